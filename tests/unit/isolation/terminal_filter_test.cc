#include "isolation/terminal_filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <sys/ioctl.h>

#include "isolation/bpf_interpreter.h"

namespace sigil::isolation {
namespace {

uint32_t action_of(uint32_t arch, int number, uint64_t request) {
    seccomp_data call = {};
    call.arch = arch;
    call.nr = number;
    call.args[1] = request;
    const sock_fprog* filter = terminal_filter();
    return run_filter({filter->filter, filter->filter + filter->len}, call).action;
}

TEST(TerminalFilter, RefusesToTypeIntoATerminal) {
    constexpr uint64_t kUpper = 0x100000000;  // the kernel does not look at it
    for (const uint64_t request : {uint64_t{TIOCSTI}, uint64_t{TIOCLINUX}})
        for (const uint64_t upper : {uint64_t{0}, kUpper}) {
            EXPECT_EQ(action_of(AUDIT_ARCH_X86_64, __NR_ioctl, request | upper),
                      SECCOMP_RET_ERRNO | EPERM);
            EXPECT_EQ(action_of(AUDIT_ARCH_X86_64, 514 | 0x40000000, request | upper),
                      SECCOMP_RET_ERRNO | EPERM);
            EXPECT_EQ(action_of(AUDIT_ARCH_I386, 54, request | upper), SECCOMP_RET_ERRNO | EPERM);
        }
}

TEST(TerminalFilter, AllowsTheRest) {
    for (const uint64_t request : {TCGETS, TIOCGWINSZ, TIOCSPGRP, TIOCSCTTY})
        EXPECT_EQ(action_of(AUDIT_ARCH_X86_64, __NR_ioctl, request), SECCOMP_RET_ALLOW);
    EXPECT_EQ(action_of(AUDIT_ARCH_X86_64, __NR_write, TIOCSTI), SECCOMP_RET_ALLOW);
    EXPECT_EQ(action_of(AUDIT_ARCH_X86_64, 54, TIOCSTI), SECCOMP_RET_ALLOW);
    EXPECT_EQ(action_of(AUDIT_ARCH_I386, __NR_ioctl, TIOCSTI), SECCOMP_RET_ALLOW);
}

}  // namespace
}  // namespace sigil::isolation
