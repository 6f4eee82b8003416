// What the kernel makes of compiled programs: a forked child installs one and makes a call.
#include <asm/unistd.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "isolation/bpf_interpreter.h"
#include "isolation/init_filter.h"
#include "isolation/seccomp.h"

namespace sigil::isolation {
namespace {

constexpr int kNotInstalled = 250;
constexpr int kTrapped = 200;

// The wait status of a child that installs the program and makes one call; its errno is its exit
// code.
int call_filtered(const SeccompProgram& program, long number, long argument = 0) {
    const pid_t child = ::fork();
    if (child == 0) {
        struct sigaction on_trap = {};
        on_trap.sa_handler = [](int) { ::_exit(kTrapped); };
        ::sigaction(SIGSYS, &on_trap, nullptr);
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        const sock_fprog filter = {static_cast<unsigned short>(program.instructions.size()),
                                   const_cast<sock_filter*>(program.instructions.data())};
        if (::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter) < 0)
            ::_exit(kNotInstalled);
        errno = 0;
        ::syscall(number, argument);
        ::_exit(errno);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

SeccompProgram refusing(const char* action, std::optional<uint32_t> error = {},
                        std::vector<Seccomp::Argument> arguments = {}) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ALLOW", .listener_path = "/run/agent"};
    seccomp.rules.push_back({{"personality"}, action, error, std::move(arguments)});
    auto program = compile(seccomp);
    EXPECT_TRUE(program.has_value());
    return std::move(*program);
}

int exit_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr long kAsk = 0xffffffff;  // personality(2): tells, changes nothing

TEST(SeccompKernel, DoesWhatEachActionSays) {
    auto status = [](const char* action, std::optional<uint32_t> error = {}) {
        return call_filtered(refusing(action, error), __NR_personality, kAsk);
    };
    EXPECT_EQ(exit_code(status("SCMP_ACT_ALLOW")), 0);
    EXPECT_EQ(exit_code(status("SCMP_ACT_LOG")), 0);
    EXPECT_EQ(exit_code(status("SCMP_ACT_ERRNO", 77)), 77);
    EXPECT_EQ(exit_code(status("SCMP_ACT_TRAP")), kTrapped);
    EXPECT_EQ(exit_code(status("SCMP_ACT_TRACE")), ENOSYS);  // without a tracer
    for (const char* action : {"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"}) {
        const int killed = status(action);
        EXPECT_TRUE(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGSYS) << action << killed;
    }
}

TEST(SeccompKernel, LooksAtArguments) {
    const SeccompProgram program = refusing("SCMP_ACT_ERRNO", 77, {{0, kAsk, 0, "SCMP_CMP_EQ"}});
    EXPECT_EQ(exit_code(call_filtered(program, __NR_personality, kAsk)), 77);
    EXPECT_EQ(exit_code(call_filtered(program, __NR_personality, 0)), 0);
}

// What it notifies of would wait for ever: here nobody listens.
TEST(SeccompKernel, TakesAFilterThatNotifies) {
    const SeccompProgram program = refusing("SCMP_ACT_NOTIFY");
    EXPECT_EQ(exit_code(call_filtered(program, __NR_getppid)), 0);
}

TEST(SeccompKernel, TakesFlags) {
    SeccompProgram program = refusing("SCMP_ACT_ERRNO", 77);
    program.flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    EXPECT_EQ(exit_code(call_filtered(program, __NR_personality, kAsk)), 77);
}

// ---- the init's own
// -------------------------------------------------------------------------------

TEST(InitFilter, AllowsWhatTheInitCallsAndNothingElse) {
    const sock_fprog& filter = *init_filter();
    const std::span<const sock_filter> code(filter.filter, filter.len);
    auto action = [&code](long number, uint32_t architecture) {
        return run_filter(code, call_of(number, {}, architecture)).action;
    };
    for (long number : {__NR_rt_sigtimedwait, __NR_wait4, __NR_kill, __NR_rt_sigqueueinfo,
                        __NR_prctl, __NR_exit_group, __NR_execveat, __NR_restart_syscall})
        EXPECT_EQ(action(number, AUDIT_ARCH_X86_64), SECCOMP_RET_ALLOW) << number;
    for (long number : {__NR_read, __NR_execve, __NR_mount, __NR_unshare, __NR_clone, __NR_ptrace})
        EXPECT_EQ(action(number, AUDIT_ARCH_X86_64), SECCOMP_RET_ERRNO | EPERM) << number;
    EXPECT_EQ(action(__NR_kill, AUDIT_ARCH_I386), SECCOMP_RET_ERRNO | EPERM);
}

}  // namespace
}  // namespace sigil::isolation
