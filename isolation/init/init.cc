// PID 1 of a container: starts nothing, waits for everything.
//
// The launch has already started the command as PID 2 and then executed this program over PID 1,
// with every signal blocked and no descriptor open. It forwards each signal it gets to the command,
// reaps what is orphaned to it, and, when the command ends, exits as it did: with its code, or with
// 128 plus the signal that killed it, and then under another name, by which the supervisor tells
// the two apart. The kernel then kills what is left in the namespace.
//
// No libc, nothing linked: a page of text and a page of stack for each container.
//
// argv[1]: "g" to signal the command's process group, anything else to signal the command alone.
#include <asm/unistd.h>
#include <linux/wait.h>
#include <stdint.h>

#include "../../core/raw_syscall.h"
#include "protocol.h"

namespace {

using sigil::raw::call;

constexpr int kPrSetName = 15;
constexpr int kSigchld = 17;
constexpr int kSiKernel = 0x80;  // sent by the kernel: a key on the terminal, which the command,
                                 // in the same foreground group, has got already
constexpr int kSiQueue = -1;

// The kernel's siginfo_t: 128 bytes, of which the first words are read.
struct SignalInfo {
    int number;
    int error;
    int code;
    char rest[116];
};
static_assert(sizeof(SignalInfo) == 128);

[[noreturn]] void finish(int status) {
    const int signal = status & 0x7f;
    const int code = signal == 0 ? (status >> 8) & 0xff : 128 + signal;
    if (signal != 0)
        call(__NR_prctl, kPrSetName, sigil::isolation::kSignaledName, 0, 0, 0);
    for (;;)
        call(__NR_exit_group, code);
}

void reap() {
    for (;;) {
        int status = 0;
        long pid = call(__NR_wait4, -1, &status, WNOHANG | __WALL, nullptr);
        if (pid <= 0)
            return;
        if (pid == sigil::isolation::kCommandPid)
            finish(status);
    }
}

void forward(const SignalInfo& info, bool to_group) {
    constexpr int kCommand = sigil::isolation::kCommandPid;
    if (info.code == kSiQueue && !to_group)  // with the value that sigqueue(3) gave it
        call(__NR_rt_sigqueueinfo, kCommand, info.number, &info);
    else
        call(__NR_kill, to_group ? -kCommand : kCommand, info.number);
}

}  // namespace

extern "C" [[noreturn]] void init_main(const long* stack) {
    const long argument_count = stack[0];
    auto* const* arguments = reinterpret_cast<const char* const*>(stack + 1);
    const bool to_group = argument_count > 1 && arguments[1][0] == 'g';
    call(__NR_prctl, kPrSetName, "sigil-init", 0, 0, 0);
    const uint64_t all_signals = ~uint64_t{0};
    for (;;) {
        SignalInfo info;
        long signal = call(__NR_rt_sigtimedwait, &all_signals, &info, nullptr, sizeof all_signals);
        if (signal == kSigchld)
            reap();
        else if (signal > 0 && info.code != kSiKernel)
            forward(info, to_group);
    }
}

asm(R"(
    .globl _start
_start:
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call init_main
)");
