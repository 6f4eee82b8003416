// ExitStatus, signal names, and waiting for real children by pidfd.
#include "core/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/sys.h"

namespace sigil {
namespace {

// A child that runs `body` and exits with what it returns.
template <typename Body>
Process start_child(Body body) {
    const pid_t pid = ::fork();
    if (pid == 0)
        ::_exit(body());
    auto pidfd = sys::pidfd_open(pid);
    EXPECT_TRUE(pidfd);
    return {pid, std::move(*pidfd)};
}

int pause_for_ever() {
    for (;;)
        ::pause();
}

void await_exit(const Process& process) {
    pollfd ended = {.fd = process.pidfd.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&ended, 1, 10'000), 1);
}

TEST(ExitStatus, IsZeroAtFirst) {
    EXPECT_EQ(ExitStatus().exit_code(), 0);
    EXPECT_FALSE(ExitStatus().is_signal());
}

TEST(ExitStatus, OfAnExitIsItsCode) {
    const ExitStatus status = ExitStatus::exited(143);
    EXPECT_EQ(status.exit_code(), 143);
    EXPECT_FALSE(status.is_signal());
    EXPECT_EQ(status.signal(), 0);
}

TEST(ExitStatus, OfASignalIs128More) {
    const ExitStatus status = ExitStatus::signaled(SIGTERM);
    EXPECT_EQ(status.exit_code(), 143);
    EXPECT_TRUE(status.is_signal());
    EXPECT_EQ(status.signal(), SIGTERM);
}

TEST(ExitStatus, IsReadFromAWaitWord) {
    EXPECT_EQ(ExitStatus::from_wait_word(0).exit_code(), 0);
    EXPECT_EQ(ExitStatus::from_wait_word(3 << 8).exit_code(), 3);
    EXPECT_EQ(ExitStatus::from_wait_word(255 << 8).exit_code(), 255);
    EXPECT_EQ(ExitStatus::from_wait_word(SIGKILL).signal(), SIGKILL);
    EXPECT_EQ(ExitStatus::from_wait_word(SIGSEGV | 0x80).signal(), SIGSEGV);  // with a core
    EXPECT_EQ(ExitStatus::from_wait_word(64).signal(), 64);
}

TEST(SignalName, KnowsStandardAndRealTimeSignals) {
    EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
    EXPECT_EQ(signal_name(SIGHUP), "SIGHUP");
    EXPECT_EQ(signal_name(SIGSYS), "SIGSYS");
    EXPECT_EQ(signal_name(34), "SIGRTMIN");
    EXPECT_EQ(signal_name(35), "SIGRTMIN+1");
    EXPECT_EQ(signal_name(64), "SIGRTMIN+30");
}

TEST(SignalName, OfAnUnknownOneIsItsNumber) {
    EXPECT_EQ(signal_name(0), "signal 0");
    EXPECT_EQ(signal_name(32), "signal 32");  // libc's own
    EXPECT_EQ(signal_name(65), "signal 65");
    EXPECT_EQ(signal_name(-1), "signal -1");
}

TEST(WaitExited, SaysNothingOfARunningChild) {
    const Process child = start_child(pause_for_ever);
    const auto exit = sys::wait_exited(child.pidfd.get());
    ASSERT_TRUE(exit);
    EXPECT_FALSE(exit->has_value());
    ASSERT_TRUE(sys::pidfd_send_signal(child.pidfd.get(), SIGKILL));
    await_exit(child);
    EXPECT_TRUE(sys::wait_exited(child.pidfd.get())->has_value());
}

TEST(WaitExited, GivesTheCode) {
    const Process child = start_child([] { return 42; });
    await_exit(child);
    const auto exit = sys::wait_exited(child.pidfd.get());
    ASSERT_TRUE(exit && *exit);
    EXPECT_EQ((*exit)->status.exit_code(), 42);
    EXPECT_FALSE((*exit)->status.is_signal());
    EXPECT_GT((*exit)->usage.ru_maxrss, 0);
}

TEST(WaitExited, GivesTheSignal) {
    const Process child = start_child(pause_for_ever);
    ASSERT_TRUE(sys::pidfd_send_signal(child.pidfd.get(), SIGUSR1));
    await_exit(child);
    const auto exit = sys::wait_exited(child.pidfd.get());
    ASSERT_TRUE(exit && *exit);
    EXPECT_EQ((*exit)->status.signal(), SIGUSR1);
}

TEST(WaitExited, ReapsOnce) {
    const Process child = start_child([] { return 0; });
    await_exit(child);
    ASSERT_TRUE(sys::wait_exited(child.pidfd.get())->has_value());
    const auto again = sys::wait_exited(child.pidfd.get());
    ASSERT_FALSE(again);
    EXPECT_TRUE(again.error().is(ECHILD));
}

TEST(WaitExited, SeesAChildThatHasNoExitSignal) {
    // As a container's process is until its execve: clone(2) with no signal in its flags.
    const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone, 0, nullptr, nullptr, nullptr, 0));
    if (pid == 0)
        ::_exit(5);
    auto pidfd = sys::pidfd_open(pid);
    ASSERT_TRUE(pidfd);
    const Process child{pid, std::move(*pidfd)};
    await_exit(child);
    const auto exit = sys::wait_exited(child.pidfd.get());
    ASSERT_TRUE(exit && *exit);
    EXPECT_EQ((*exit)->status.exit_code(), 5);
}

TEST(PidfdSendSignal, CarriesTheValueOfSigqueue) {
    const Process child = start_child([] {
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGRTMIN);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        siginfo_t info;
        timespec limit = {.tv_sec = 10, .tv_nsec = 0};
        ::raise(SIGSTOP);  // until the parent has queued it
        if (::sigtimedwait(&set, &info, &limit) < 0)
            return 255;
        return info.si_code == SI_QUEUE ? info.si_value.sival_int : 254;
    });
    siginfo_t stopped = {};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid), &stopped, WSTOPPED), 0);
    ASSERT_TRUE(sys::pidfd_send_signal(child.pidfd.get(), SIGRTMIN, sigval{.sival_int = 17}));
    ASSERT_TRUE(sys::pidfd_send_signal(child.pidfd.get(), SIGCONT));
    await_exit(child);
    const auto exit = sys::wait_exited(child.pidfd.get());
    ASSERT_TRUE(exit && *exit);
    EXPECT_EQ((*exit)->status.exit_code(), 17);
}

TEST(PidfdSendSignal, FailsForAProcessThatWasReaped) {
    const Process child = start_child([] { return 0; });
    await_exit(child);
    (void)sys::wait_exited(child.pidfd.get());
    const auto sent = sys::pidfd_send_signal(child.pidfd.get(), SIGTERM);
    ASSERT_FALSE(sent);
    EXPECT_TRUE(sent.error().is(ESRCH));
}

}  // namespace
}  // namespace sigil
