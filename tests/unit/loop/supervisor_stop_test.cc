// The supervisor: signals passed on, stops, grace, timeouts.
#include <gtest/gtest.h>

#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

using namespace std::chrono_literals;
using Supervisor = SupervisorTest;

constexpr Signal kTerm = {.number = SIGTERM, .value = {}};

// ---- forwarding
// -----------------------------------------------------------------------------------

TEST_F(Supervisor, ForwardsASignal) {
    const Child child = Child::telling_its_signal();
    const Token token = run(child);
    supervisor.forward({.number = SIGUSR2, .value = {}});
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", fmt::format("web exited {}", SIGUSR2)}));
}

TEST_F(Supervisor, ForwardsARealTimeSignalWithItsValue) {
    const Child child = Child::telling_its_signal();
    const Token token = run(child);
    supervisor.forward({.number = SIGRTMIN + 3, .value = sigval{.sival_int = 99}});
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), 99);
}

TEST_F(Supervisor, ForwardsToEveryContainer) {
    const Child first = Child::telling_its_signal();
    const Child second = Child::telling_its_signal();
    run(first, spec_named("a"));
    run(second, spec_named("b"));
    supervisor.forward({.number = SIGHUP, .value = {}});
    first.await_end();
    second.await_end();
}

TEST_F(Supervisor, MindsNoSignalToWhatHasEnded) {
    const Child child = Child::exiting(0);
    const Token token = run(child);
    child.await_end();
    supervisor.forward({.number = SIGHUP, .value = {}});
    exit(token);
    supervisor.forward({.number = SIGHUP, .value = {}});
    supervisor.stop(kTerm);
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
}

TEST_F(Supervisor, KeepsASignalUntilTheLaunchIsOver) {
    const Child child = Child::telling_its_signal();
    const Token token = start();
    supervisor.forward({.number = SIGUSR1, .value = {}});
    EXPECT_FALSE(child.has_ended());
    supervisor.launched(token, launch_of(child));
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), SIGUSR1);
}

TEST_F(Supervisor, ForwardsToNothingThatFailed) {
    const Child child = Child::telling_its_signal();
    const Token token = start();
    supervisor.forward({.number = SIGUSR1, .value = {}});
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.error = Error::because("failed");
    supervisor.launched(token, std::move(outcome));
    supervisor.forward({.number = SIGUSR1, .value = {}});
    EXPECT_TRUE(child.survives());
}

// ---- stop
// -----------------------------------------------------------------------------------------

TEST_F(Supervisor, StopsByTheSignalAndGivesGrace) {
    const Child child = Child::telling_its_signal();
    Spec spec = spec_named("web");
    spec.stop_timeout = 5s;
    const Token token = run(child, std::move(spec));
    const Time before = sys::monotonic_now();
    supervisor.stop(kTerm);
    const Time after = sys::monotonic_now();
    const FakeRing::Asked* timer = ring.find(token.with(Operation::grace_over));
    ASSERT_TRUE(timer);
    EXPECT_GE(timer->at, before + 5s);
    EXPECT_LE(timer->at, after + 5s);
    child.await_end();
    exit(token);
    EXPECT_TRUE(is_cancelled(token, Operation::grace_over));
    settle();
    EXPECT_EQ(record.log, (Log{"web started", fmt::format("web stopped {}", SIGTERM)}));
}

TEST_F(Supervisor, KillsAtOnceWhatHasNoGrace) {
    const Child child = Child::telling_its_signal();
    Spec spec = spec_named("web");
    spec.stop_timeout = 0s;
    const Token token = run(child, std::move(spec));
    supervisor.stop(kTerm);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"})) << "it saw no SIGTERM";
    EXPECT_EQ(record.asked_to_stop, Log{"web"});
}

TEST_F(Supervisor, KillsWhatOutlivesItsGrace) {
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child);
    supervisor.stop(kTerm);
    EXPECT_TRUE(child.survives());
    complete(token, Operation::grace_over, -ETIME);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"}));
}

TEST_F(Supervisor, KillsTheWholeCgroup) {
    const CgroupFiles files;
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child, files);
    supervisor.stop(kTerm);
    EXPECT_FALSE(files.is_killed());
    complete(token, Operation::grace_over, -ETIME);
    EXPECT_TRUE(files.is_killed());
    EXPECT_TRUE(
        child.survives());  // a plain file kills nobody: so it was the cgroup that was asked
}

TEST_F(Supervisor, KillsTheProcessWhereTheCgroupCannot) {
    CgroupFiles files;
    files.remove("cgroup.kill");
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child, files);
    supervisor.stop(kTerm);
    complete(token, Operation::grace_over, -ETIME);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"}));
}

TEST_F(Supervisor, KillsNothingForACancelledTimer) {
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child);
    supervisor.stop(kTerm);
    complete(token, Operation::grace_over, -ECANCELED);
    EXPECT_TRUE(child.survives());
}

TEST_F(Supervisor, ForwardsASecondStopAndKeepsTheFirstGrace) {
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child);
    supervisor.stop(kTerm);
    const Time first = ring.find(token.with(Operation::grace_over))->at;
    supervisor.stop({.number = SIGINT, .value = {}});
    EXPECT_EQ(ring.find(token.with(Operation::grace_over))->at, first);
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", fmt::format("web stopped {}", 128 + SIGINT)}));
}

TEST_F(Supervisor, StopsEveryContainer) {
    const Child first = Child::telling_its_signal();
    const Child second = Child::telling_its_signal();
    const Token one = run(first, spec_named("a"));
    const Token two = run(second, spec_named("b"));
    supervisor.stop(kTerm);
    EXPECT_TRUE(is_armed(one, Operation::grace_over));
    EXPECT_TRUE(is_armed(two, Operation::grace_over));
    first.await_end();
    second.await_end();
    exit(two);
    exit(one);
    settle();
    EXPECT_EQ(supervisor.live(), 0U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

// It had ended by itself: only its traces were left.
TEST_F(Supervisor, CallsNothingStoppedThatEndedBefore) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(0);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    ASSERT_EQ(record.log, Log{"web started"});
    supervisor.stop(kTerm);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
}

// ---- stop while launching
// ---------------------------------------------------------------------------

TEST_F(Supervisor, StopsALaunchOnceItRuns) {
    const Child child = Child::telling_its_signal();
    const Token token = start();
    supervisor.stop(kTerm);
    EXPECT_TRUE(is_armed(token, Operation::grace_over));
    EXPECT_TRUE(launcher.cancelled.empty());
    supervisor.launched(token, launch_of(child));
    EXPECT_TRUE(is_armed(token, Operation::exit));
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", fmt::format("web stopped {}", SIGTERM)}));
}

// A standard signal once, of real-time ones each, up to a bound.
TEST_F(Supervisor, HoldsSignalsDuringALaunchAsTheKernelHoldsBlockedOnes) {
    const int last = SIGRTMAX;
    const Child child = Child::run_blocked([last](const sigset_t& every) {
        int count = 0;
        while (::sigwaitinfo(&every, nullptr) != last)
            ++count;
        return count;
    });
    const Token token = start();
    for (int count = 0; count < 200; ++count) {
        supervisor.forward({.number = SIGUSR1, .value = {}});
        supervisor.forward({.number = SIGRTMIN, .value = {}});
    }
    supervisor.forward({.number = SIGUSR2, .value = {}});
    supervisor.launched(token, launch_of(child));
    supervisor.forward({.number = last, .value = {}});
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), 1 + 127 + 1);
}

TEST_F(Supervisor, KillsWhatOutlivesAGraceThatBeganBeforeItRan) {
    const Child child = Child::ignoring_sigterm();
    const Token token = start();
    supervisor.stop(kTerm);
    supervisor.launched(token, launch_of(child));
    complete(token, Operation::grace_over, -ETIME);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"}));
}

TEST_F(Supervisor, CancelsALaunchThatOutlivesItsGrace) {
    const Token token = start();
    supervisor.stop(kTerm);
    complete(token, Operation::grace_over, -ETIME);
    EXPECT_EQ(launcher.cancelled, std::vector<Token>{token});
    EXPECT_EQ(supervisor.live(), 1U);
    isolation::LaunchOutcome outcome;
    outcome.error = Error::because("cancelled");
    supervisor.launched(token, std::move(outcome));
    EXPECT_EQ(record.log, Log{"web failed 0"});
    EXPECT_EQ(supervisor.live(), 0U);
}

// Launcher::cancel: "if it can still be stopped". Where it couldn't, nothing else would end it.
TEST_F(Supervisor, KillsALaunchThatCouldNotBeCancelled) {
    const Child child = Child::ignoring_sigterm();
    const Token token = start();
    supervisor.stop(kTerm);
    complete(token, Operation::grace_over, -ETIME);
    supervisor.launched(token, launch_of(child));
    if (is_armed(token, Operation::grace_over))  // a new grace would do as well
        complete(token, Operation::grace_over, -ETIME);
    EXPECT_FALSE(child.survives());
}

TEST_F(Supervisor, ReportsAStoppedLaunchThatFailed) {
    const Token token = start();
    supervisor.stop(kTerm);
    isolation::LaunchOutcome outcome;
    outcome.error = Error::because("no such command").exiting(kExitNotFound);
    supervisor.launched(token, std::move(outcome));
    EXPECT_EQ(record.log, Log{"web failed 0"});
    EXPECT_EQ(record.last.error_exit_code, 127);
    EXPECT_TRUE(is_cancelled(token, Operation::grace_over));
    settle();
    EXPECT_EQ(ring.in_flight(), 0U);
}

// ---- timeout
// --------------------------------------------------------------------------------------

TEST_F(Supervisor, CountsTheTimeoutFromTheCommandsStart) {
    const Child child = Child::pausing();
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = start(std::move(spec));
    EXPECT_FALSE(is_armed(token, Operation::timed_out));
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.times.executed = 1000s;
    supervisor.launched(token, std::move(outcome));
    ASSERT_TRUE(is_armed(token, Operation::timed_out));
    EXPECT_EQ(ring.find(token.with(Operation::timed_out))->at, 1003s);
}

TEST_F(Supervisor, KillsAtTheTimeout) {
    const Child child = Child::ignoring_sigterm();
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = run(child, std::move(spec));
    complete(token, Operation::timed_out, -ETIME);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web timeout 137"}));
}

TEST_F(Supervisor, KillsAtTheTimeoutWithinTheGrace) {
    const Child child = Child::ignoring_sigterm();
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = run(child, std::move(spec));
    supervisor.stop(kTerm);
    complete(token, Operation::timed_out, -ETIME);
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web timeout 137"}));
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, CallsNoTimeoutThatCameAfterTheGrace) {
    const Child child = Child::ignoring_sigterm();
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = run(child, std::move(spec));
    supervisor.stop(kTerm);
    complete(token, Operation::grace_over, -ETIME);
    complete(token, Operation::timed_out, -ETIME);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"}));
}

TEST_F(Supervisor, CancelsTheTimeoutOfWhatHasEnded) {
    const Child child = Child::exiting(0);
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = run(child, std::move(spec));
    child.await_end();
    exit(token);
    EXPECT_TRUE(is_cancelled(token, Operation::timed_out));
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
}

TEST_F(Supervisor, StartsNoTimeoutForALaunchThatFailed) {
    const Child child = Child::pausing();
    Spec spec = spec_named("web");
    spec.timeout = 3s;
    const Token token = start(std::move(spec));
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.error = Error::because("failed");
    supervisor.launched(token, std::move(outcome));
    EXPECT_FALSE(is_armed(token, Operation::timed_out));
}

}  // namespace
}  // namespace sigil::loop
