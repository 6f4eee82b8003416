// The supervisor: launches, exits, and completions that come late, twice, or failed.
#include <gtest/gtest.h>

#include "isolation/init/protocol.h"
#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

using Supervisor = SupervisorTest;

TEST_F(Supervisor, AsksTheLauncherForEachContainer) {
    const Token first = start(spec_named("a"));
    const Token second = start(spec_named("b"));
    EXPECT_EQ(launcher.launched, (std::vector<Token>{first, second}));
    EXPECT_EQ(supervisor.live(), 2U);
    EXPECT_EQ(record.log, Log{});
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, WatchesThePidfdOfWhatWasLaunched) {
    const Child child = Child::pausing();
    const Token token = run(child);
    const FakeRing::Asked* asked = ring.find(token.with(Operation::exit));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->events, uint32_t{POLLIN});
    EXPECT_GE(asked->fd, 0);
    EXPECT_EQ(ring.in_flight(), 1U);
    EXPECT_EQ(record.log, Log{"web started"});
}

TEST_F(Supervisor, ReportsAnExitCode) {
    const Child child = Child::exiting(42);
    const Token token = run(child);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web exited 42"}));
    EXPECT_EQ(record.last.pid, child.pid());
    EXPECT_FALSE(record.last.status.is_signal());
    EXPECT_EQ(supervisor.live(), 0U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, ReportsASignal) {
    const Child child = Child::pausing();
    const Token token = run(child);
    child.kill(SIGUSR1);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", fmt::format("web signaled {}", 128 + SIGUSR1)}));
    EXPECT_EQ(record.last.status.signal(), SIGUSR1);
}

TEST_F(Supervisor, StampsEveryPhaseInOrder) {
    const Child child = Child::exiting(0);
    const Token token = run(child);
    child.await_end();
    exit(token);
    const Times& times = record.last.times;
    EXPECT_GT(times.request.count(), 0);
    EXPECT_LE(times.request, times.cloned);
    EXPECT_LE(times.cloned, times.isolated);
    EXPECT_LE(times.isolated, times.executed);
    EXPECT_LE(times.executed, times.exit_seen);
    EXPECT_LE(times.exit_seen, times.reaped);
    EXPECT_LE(times.reaped, times.cleaned);
}

// The init's exit code is 143 for SIGTERM and for exit(143); its name tells.
TEST_F(Supervisor, TakesTheSignalThatTheInitsNameTellsOf) {
    const Child init = Child::exiting(143, isolation::kSignaledName);
    const Token token = run(init);
    init.await_end();
    exit(token);
    EXPECT_EQ(record.last.cause, Cause::signaled);
    EXPECT_EQ(record.last.status.signal(), SIGTERM);
}

TEST_F(Supervisor, TakesTheCodeWhereTheInitHasItsOwnName) {
    const Child init = Child::exiting(143);
    const Token token = run(init);
    init.await_end();
    exit(token);
    EXPECT_EQ(record.last.cause, Cause::exited);
    EXPECT_EQ(record.last.status.exit_code(), 143);
}

TEST_F(Supervisor, TakesTheInitsOwnStatusWhereItWasKilled) {
    const Child init = Child::pausing();
    const Token token = run(init);
    init.kill(SIGKILL);
    init.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.signal(), SIGKILL);
}

// ---- launches that fail -------------------------------------------------------------------------

TEST_F(Supervisor, ReportsALaunchThatLeftNoProcess) {
    const Token token = start();
    isolation::LaunchOutcome outcome;
    outcome.error = Error::because("no such command").exiting(kExitNotFound);
    supervisor.launched(token, std::move(outcome));
    EXPECT_EQ(record.log, Log{"web failed 0"});
    EXPECT_EQ(record.last.error, "no such command");
    EXPECT_EQ(record.last.error_exit_code, 127);
    EXPECT_EQ(record.last.pid, -1);
    EXPECT_EQ(supervisor.live(), 0U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, ReapsWhatAFailedLaunchLeft) {
    const Child child = Child::exiting(125);
    const Token token = start();
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.error = Error::because("mount proc on /proc");
    supervisor.launched(token, std::move(outcome));
    EXPECT_EQ(record.log, Log{});
    EXPECT_EQ(supervisor.live(), 1U);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, Log{"web failed 125"});
    EXPECT_EQ(record.last.error, "mount proc on /proc");
    EXPECT_TRUE(child.was_reaped());
}

TEST_F(Supervisor, RemovesTheCgroupOfALaunchThatLeftNoProcess) {
    const CgroupFiles files;
    const Token token = start();
    isolation::LaunchOutcome outcome;
    outcome.cgroup = files.cgroup();
    outcome.error = Error::because("clone3");
    supervisor.launched(token, std::move(outcome));
    EXPECT_TRUE(files.is_removed());
    EXPECT_EQ(record.log, Log{"web failed 0"});
}

// ---- completions as they should not come
// ----------------------------------------------------------

TEST_F(Supervisor, AsksAgainForAnExitThatHasNotHappened) {
    const Child child = Child::pausing();
    const Token token = run(child);
    for (int32_t result : {-ECANCELED, -EBADF, -ENOMEM, POLLIN, POLLNVAL}) {
        complete(token, Operation::exit, result);
        EXPECT_TRUE(is_armed(token, Operation::exit)) << result;
    }
    EXPECT_EQ(record.log, Log{"web started"});
    child.kill(SIGKILL);
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log, (Log{"web started", "web signaled 137"}));
}

TEST_F(Supervisor, ReapsOnACompletionThatFailed) {
    const Child child = Child::exiting(3);
    const Token token = run(child);
    child.await_end();
    complete(token, Operation::exit, -ENOMEM);
    EXPECT_EQ(record.log, (Log{"web started", "web exited 3"}));
}

TEST_F(Supervisor, DropsCompletionOfARemovedContainer) {
    const Child child = Child::exiting(0);
    const Token token = run(child);
    child.await_end();
    exit(token);
    const Log before = record.log;
    for (Operation operation :
         {Operation::exit, Operation::oom, Operation::emptied, Operation::grace_over,
          Operation::timed_out, Operation::none, Operation::readable}) {
        inject(token, operation, POLLIN);
        inject(token, operation, -ECANCELED);
    }
    EXPECT_EQ(record.log, before);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, DropsCompletionOfAContainerThatNeverWas) {
    inject({Source::container, Operation::none, 3, 77}, Operation::exit, POLLIN);
    inject({Source::container, Operation::none, 0, Token::kMask}, Operation::oom, POLLPRI);
    EXPECT_EQ(record.log, Log{});
}

TEST_F(Supervisor, GivesASlotAgainInAnotherGeneration) {
    const Child first_child = Child::exiting(1);
    const Token first = run(first_child, spec_named("first"));
    first_child.await_end();
    exit(first);
    const Child second_child = Child::pausing();
    const Token second = run(second_child, spec_named("second"));
    ASSERT_EQ(second.slot, first.slot);
    ASSERT_NE(second.generation, first.generation);
    // Late words of the first are no words of the second.
    inject(first, Operation::exit, POLLIN);
    inject(first, Operation::timed_out, -ETIME);
    EXPECT_TRUE(is_armed(second, Operation::exit));
    EXPECT_TRUE(second_child.survives());
    second_child.kill(SIGKILL);
    second_child.await_end();
    exit(second);
    EXPECT_EQ(record.log,
              (Log{"first started", "first exited 1", "second started", "second signaled 137"}));
}

TEST_F(Supervisor, KeepsTheSlotOfATimerThatIsStillInFlight) {
    const Child child = Child::exiting(0);
    Spec spec = spec_named("first");
    spec.timeout = std::chrono::hours(1);
    const Token token = run(child, std::move(spec));
    child.await_end();
    exit(token);
    EXPECT_EQ(supervisor.live(), 0U);
    ASSERT_TRUE(is_armed(token, Operation::timed_out));  // cancelled, not completed yet
    const Token other = start(spec_named("other"));
    EXPECT_NE(other.slot, token.slot);
    settle();
    const Token third = start(spec_named("third"));
    EXPECT_EQ(third.slot, token.slot);
    EXPECT_NE(third.generation, token.generation);
}

// Harmless though the container is over: the timer had completed before its cancel was seen.
TEST_F(Supervisor, MindsNoTimerThatBeatsItsCancel) {
    const Child child = Child::exiting(0);
    Spec spec = spec_named("web");
    spec.timeout = std::chrono::hours(1);
    const Token token = run(child, std::move(spec));
    child.await_end();
    exit(token);
    complete(token, Operation::timed_out, -ETIME);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
}

TEST_F(Supervisor, IgnoresASecondExitOfTheSameProcess) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(7);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    ASSERT_TRUE(is_armed(token, Operation::oom));  // it isn't over yet
    inject(token, Operation::exit, POLLIN | POLLHUP);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web exited 7"}));
    EXPECT_EQ(supervisor.live(), 0U);
}

TEST_F(Supervisor, TakesABatchInWhichEverythingHasHappened) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(7);
    Spec spec = spec_named("web");
    spec.timeout = std::chrono::hours(1);
    const Token token = run(child, std::move(spec), files);
    child.await_end();
    ring.complete(token.with(Operation::oom), POLLPRI);
    ring.complete(token.with(Operation::exit), POLLIN);
    ring.complete(token.with(Operation::timed_out), -ETIME);
    ring.inject(Token{}, 0);  // of a cancel: nobody waits for it
    turn();
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web exited 7"}));
    EXPECT_TRUE(files.is_removed());
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Supervisor, KeepsContainersApart) {
    const Child first_child = Child::exiting(1);
    const Child second_child = Child::exiting(2);
    const Child third_child = Child::pausing();
    const Token first = run(first_child, spec_named("a"));
    const Token second = run(second_child, spec_named("b"));
    const Token third = run(third_child, spec_named("c"));
    first_child.await_end();
    second_child.await_end();
    exit(second);
    exit(first);
    EXPECT_EQ(record.log, (Log{"a started", "b started", "c started", "b exited 2", "a exited 1"}));
    EXPECT_EQ(supervisor.live(), 1U);
    EXPECT_TRUE(is_armed(third, Operation::exit));
}

// ---- without a ring
// -------------------------------------------------------------------------------

TEST_F(Supervisor, AbandonsALaunchByKillingAndReapingIt) {
    const CgroupFiles files;
    const Child child = Child::ignoring_sigterm();
    loop::Supervisor::abandon(launch_of(child, files));
    EXPECT_TRUE(files.is_killed());
    EXPECT_TRUE(files.is_removed());
    EXPECT_TRUE(child.was_reaped());
}

TEST_F(Supervisor, AbandonsALaunchThatLeftNothing) {
    loop::Supervisor::abandon({});
}

}  // namespace
}  // namespace sigil::loop
