// Signals to sigil are signals to the container.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Signals = E2e;

constexpr int kLastSignal = 64;
constexpr int kRealTime = 34;  // SIGRTMIN, as libc has it

// sigil's own use of the terminal, its own children, and what suspends it.
bool is_kept(int signal) {
    return signal == SIGCHLD || signal == SIGTTIN || signal == SIGTTOU;
}

bool is_special(int signal) {
    return signal == SIGKILL || signal == SIGSTOP || signal == SIGTSTP || is_kept(signal);
}

// The probe prints what it gets; it ends with SIGUSR2. No stop request kills it meanwhile.
Start listener(Words options) {
    options.insert(options.end(), {"--stop-timeout", "1h"});
    return sigil_run(std::move(options), {"/bin/probe", "signals", "USR2"});
}

void expect_each_is_forwarded(Words options) {
    Running running(listener(std::move(options)));
    ASSERT_EQ(running.next_line(), "ready");
    for (int signal = 1; signal <= kLastSignal; ++signal) {
        if (is_special(signal) || signal == SIGUSR2)
            continue;
        running.send(signal);
        EXPECT_EQ(running.next_line(), "signal " + std::to_string(signal) + " sent 0");
    }
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Signals, ForwardsEverySignal) {
    expect_each_is_forwarded({});
}

TEST_F(Signals, ForwardsEverySignalWithoutInit) {
    expect_each_is_forwarded({"--no-init"});
}

TEST_F(Signals, KeepsItsOwnTerminalAndChildSignals) {
    Running running(listener({}));
    ASSERT_EQ(running.next_line(), "ready");
    for (int signal : {SIGCHLD, SIGTTIN, SIGTTOU})
        running.send(signal);
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().out, "ready\nsignal 12 sent 0\n");
}

TEST_F(Signals, ForwardsRealTimeSignalsWithTheirValue) {
    for (const Words& options : {Words{}, Words{"--no-init"}}) {
        Running running(listener(options));
        ASSERT_EQ(running.next_line(), "ready");
        for (int signal = kRealTime; signal <= kLastSignal; ++signal) {
            running.queue(signal, 1000 + signal);
            EXPECT_EQ(running.next_line(), "signal " + std::to_string(signal) + " queued " +
                                               std::to_string(1000 + signal));
        }
        running.queue(SIGUSR2, -7);
        EXPECT_EQ(running.next_line(), "signal 12 queued -7");
        EXPECT_EQ(running.wait().code(), 0);
    }
}

TEST_F(Signals, KeepsTheNumberAndOrderOfQueuedSignals) {
    constexpr int kCount = 500;
    Running running(listener({}));
    ASSERT_EQ(running.next_line(), "ready");
    for (int value = 0; value < kCount; ++value)
        running.queue(kRealTime + 3, value);
    for (int value = 0; value < kCount; ++value)
        ASSERT_EQ(running.next_line(), "signal 37 queued " + std::to_string(value));
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Signals, OnlyTheCommandGetsThemByDefault) {
    Running running(sigil_run({}, {"/bin/probe", "family", "USR2"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().out, "ready\nsignal 10 sent 0\nsignal 12 sent 0\n");
}

TEST_F(Signals, TheWholeGroupGetsThemWithSignalGroup) {
    Running running(sigil_run({"--signal-group"}, {"/bin/probe", "family", "USR2"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    Words lines = {running.next_line(), running.next_line()};
    std::ranges::sort(lines);
    EXPECT_EQ(lines, (Words{"child 10 sent 0", "signal 10 sent 0"}));
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

// Without an init there may be nobody who can do it; then it must not be taken silently.
TEST_F(Signals, SignalGroupWithoutInitWorksOrIsRefused) {
    Running running(sigil_run({"--signal-group", "--no-init"}, {"/bin/probe", "family", "USR2"}));
    if (running.first_line_or_end() != "ready") {
        expect_failure(running.wait(), "--signal-group");
        return;
    }
    running.send(SIGUSR1);
    running.send(SIGUSR2);
    const Finished finished = running.wait();
    EXPECT_NE(finished.out.find("child 10"), std::string::npos) << testing::PrintToString(finished);
}

// As `nohup sigil run ...` wants it: the hang-up ends neither sigil nor what it runs.
TEST_F(Signals, DoesNotForwardWhatItWasStartedIgnoring) {
    Start start = listener({});
    start.before_exec = [] { ::signal(SIGHUP, SIG_IGN); };
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGHUP);
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().out, "ready\nsignal 12 sent 0\n");
}

TEST_F(Signals, WorksWhenStartedWithEverySignalBlocked) {
    Start start = listener({});
    start.before_exec = [] {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, nullptr);
    };
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGHUP);
    EXPECT_EQ(running.next_line(), "signal 1 sent 0");
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Signals, SeesTheExitWhenStartedIgnoringSigchld) {
    Start start = sigil_run({}, {"/bin/probe", "exit", "6"});
    start.before_exec = [] { ::signal(SIGCHLD, SIG_IGN); };
    EXPECT_EQ(run_program(start).code(), 6);
}

TEST_F(Signals, SuspendsAndResumesWithItsContainer) {
    Running running(sigil_run({}, {"/bin/probe", "signals", "USR2"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTSTP);
    EXPECT_EQ(running.next_line(), "signal 20 sent 0");
    int word = 0;
    ASSERT_EQ(::waitpid(running.pid(), &word, WUNTRACED), running.pid());
    EXPECT_TRUE(WIFSTOPPED(word));
    running.send(SIGCONT);
    EXPECT_EQ(running.next_line(), "signal 18 sent 0");
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Signals, KillTheCommandThatDoesNotCatchThem) {
    for (int signal : {SIGHUP, SIGQUIT, SIGUSR1, kRealTime, kLastSignal}) {
        Running running(sigil_run({}, {"/bin/probe", "sleep", "100000"}));
        ASSERT_EQ(running.next_line(), "ready");
        running.send(signal);
        EXPECT_EQ(running.wait().code(), 128 + signal);
    }
}

TEST_F(Signals, ReachACommandOfAnotherUser) {
    Running running(sigil_run({"--user", "1000:1000"}, {"/bin/probe", "signals", "USR2"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    EXPECT_EQ(running.next_line(), "signal 10 sent 0");
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
