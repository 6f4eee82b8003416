#include "isolation/init_filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include <array>

namespace sigil::isolation {
namespace {

// All that init/init.cc calls, the execve that makes it, and what the kernel has a stopped process
// call by itself (restart_syscall(2)).
constexpr std::array kCalls = {
    __NR_rt_sigtimedwait, __NR_wait4,      __NR_kill,     __NR_rt_sigqueueinfo,
    __NR_prctl,           __NR_exit_group, __NR_execveat, __NR_restart_syscall,
};

constexpr size_t kHead = 3;
constexpr size_t kSize = kHead + kCalls.size() + 2;

constexpr std::array<sock_filter, kSize> program() {
    std::array<sock_filter, kSize> code = {};
    constexpr auto kRefuse = kSize - 2;
    code[0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
    code[1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, kRefuse - 2);
    code[2] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (size_t index = 0; index < kCalls.size(); ++index) {
        const size_t at = kHead + index;
        code[at] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(kCalls[index]),
                            static_cast<uint8_t>(kSize - 1 - (at + 1)), 0);
    }
    code[kRefuse] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    code[kSize - 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return code;
}

}  // namespace

const sock_fprog* init_filter() {
    static constexpr auto kCode = program();
    // The kernel only reads them; sock_fprog says otherwise.
    static const sock_fprog filter = {kSize, const_cast<sock_filter*>(kCode.data())};
    return &filter;
}

}  // namespace sigil::isolation
