#include "isolation/terminal_filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <array>

namespace sigil::isolation {
namespace {

constexpr uint32_t kIoctlOf32Bits = 54;             // asm/unistd_32.h
constexpr uint32_t kIoctlOfX32 = 514 | 0x40000000;  // asm/unistd_x32.h, __X32_SYSCALL_BIT
constexpr uint32_t kRequest = offsetof(seccomp_data, args) + sizeof(uint64_t);

// The kernel looks at the lower half of the request alone: so does this (CVE-2019-10063).
constexpr std::array kCode = {
    sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 2, 0),
    sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIoctlOf32Bits, 3, 6),
    sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIoctlOfX32, 0, 3),
    sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kRequest),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 2, 0),
    sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0),
    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

}  // namespace

const sock_fprog* terminal_filter() {
    // The kernel only reads them; sock_fprog says otherwise.
    static const sock_fprog filter = {kCode.size(), const_cast<sock_filter*>(kCode.data())};
    return &filter;
}

}  // namespace sigil::isolation
