// The supervisor and memory: an OOM is reported before the end it caused, never missed, never
// invented; and the cgroup is removed only when nothing watches it.
#include <gtest/gtest.h>

#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

using Supervisor = SupervisorTest;

// A child that SIGKILL has ended, as an OOM killer's does.
void kill_as_oom(const Child& child) {
    child.kill(SIGKILL);
    child.await_end();
}

TEST_F(Supervisor, WatchesMemoryEvents) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    const Token token = run(child, files);
    const FakeRing::Asked* asked = ring.find(token.with(Operation::oom));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->events, uint32_t{POLLPRI});
    EXPECT_EQ(record.log, Log{"web started"});
}

TEST_F(Supervisor, WatchesNoMemoryWithoutTheController) {
    const CgroupFiles files;
    const Child child = Child::pausing();
    const Token token = run(child, files);
    EXPECT_FALSE(is_armed(token, Operation::oom));
    EXPECT_EQ(record.log, Log{"web started"});
}

TEST_F(Supervisor, ReportsAnOomBeforeTheEndItCaused) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    files.set_oom_kills(1);
    complete(token, Operation::oom, POLLPRI);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1"}));
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 137"}));
    EXPECT_EQ(record.last.cause, Cause::oom);
    EXPECT_EQ(record.last.memory.oom_kill, 1U);
    EXPECT_EQ(record.last.memory_peak, 8192U);
    EXPECT_EQ(record.memory_max, 65536U);
}

// The command may run out of memory before its start is told.
TEST_F(Supervisor, ReportsAnOomAfterItsStart) {
    CgroupFiles files;
    files.add_memory(1);
    const Child child = Child::pausing();
    const Token token = run(child, files);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1"}));
    EXPECT_TRUE(is_armed(token, Operation::oom));
}

TEST_F(Supervisor, FindsAnOomWhoseNotificationNeverCame) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    files.set_oom_kills(2);
    exit(token);
    EXPECT_EQ(record.log, Log{"web started"});
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web oom 2", "web oom 137"}));
}

// The counters may rise after the exit was seen and before the cgroup is empty.
TEST_F(Supervisor, ReadsTheCountersOnceNothingRuns) {
    CgroupFiles files;
    files.add_memory();
    files.write("cgroup.events", "populated 1\n");
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    exit(token);
    settle();
    EXPECT_EQ(record.log, Log{"web started"});
    files.set_oom_kills(1);
    files.write("cgroup.events", "populated 0\n");
    complete(token, Operation::emptied, POLLPRI);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 137"}));
}

TEST_F(Supervisor, InventsNoOomForASigkill) {
    CgroupFiles files;
    files.add_memory();
    files.write("memory.events", "low 3\nhigh 5\nmax 7\noom 1\noom_kill 0\n");
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    complete(token, Operation::oom, POLLPRI);
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web signaled 137"}));
}

TEST_F(Supervisor, TakesAnOomOfAnotherProcessForNoEnd) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(3);
    const Token token = run(child, files);
    files.set_oom_kills(1);
    complete(token, Operation::oom, POLLPRI);
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web exited 3"}));
}

TEST_F(Supervisor, ReportsEachOomOnce) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(0);
    const Token token = run(child, files);
    for (unsigned kills : {1, 1, 2, 2}) {
        files.set_oom_kills(kills);
        complete(token, Operation::oom, POLLPRI);
    }
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 2", "web exited 0"}));
}

TEST_F(Supervisor, ReportsAnOomOfTheLaunchItself) {
    CgroupFiles files;
    files.add_memory(1);
    const Child child = Child::pausing();
    const Token token = start();
    isolation::LaunchOutcome outcome = launch_of(child, files);
    outcome.error = Error::because("--memory 512K: too small to start in");
    supervisor.launched(token, std::move(outcome));
    kill_as_oom(child);
    exit(token);
    settle();
    EXPECT_EQ(record.log, (Log{"web oom 1", "web failed 137"}));
    EXPECT_TRUE(files.is_removed());
}

TEST_F(Supervisor, WatchesOnAfterAFailedWatch) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    const Token token = run(child, files);
    for (int32_t result : {-ENOMEM, POLLPRI | POLLERR, -EBADF}) {
        complete(token, Operation::oom, result);
        EXPECT_TRUE(is_armed(token, Operation::oom)) << result;
    }
}

TEST_F(Supervisor, WarnsOfCountersThatCannotBeRead) {
    CgroupFiles files;
    files.add_memory();
    files.remove("memory.events");
    files.write("memory.events/not-a-file", "");
    const Child child = Child::exiting(0);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    settle();
    ASSERT_GE(record.log.size(), 3U);
    EXPECT_EQ(record.log[1], "web warning: read memory.events: Is a directory");
    EXPECT_EQ(record.log.back(), "web exited 0");
}

// ---- the cgroup's end
// -----------------------------------------------------------------------------

// A poll on memory.events would never complete after the rmdir: kernel-notes.md.
TEST_F(Supervisor, RemovesTheCgroupOnlyOnceItsWatchIsCancelled) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(0);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    EXPECT_TRUE(is_cancelled(token, Operation::oom));
    EXPECT_FALSE(files.is_removed());
    EXPECT_EQ(record.log, Log{"web started"});
    complete(token, Operation::oom, -ECANCELED);
    EXPECT_TRUE(files.is_removed());
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
}

TEST_F(Supervisor, EndsByAWatchThatBeatsItsCancel) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    exit(token);
    files.set_oom_kills(1);
    complete(token, Operation::oom, POLLPRI);
    EXPECT_FALSE(is_armed(token, Operation::oom));
    EXPECT_TRUE(files.is_removed());
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 137"}));
}

TEST_F(Supervisor, RemovesACgroupWithoutMemoryAtOnce) {
    const CgroupFiles files;
    const Child child = Child::exiting(0);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    EXPECT_TRUE(files.is_removed());
    EXPECT_FALSE(files.is_killed());
    EXPECT_EQ(record.log, (Log{"web started", "web exited 0"}));
    EXPECT_FALSE(record.last.memory_peak.has_value());
}

TEST_F(Supervisor, KillsWhatIsLeftInTheCgroupAndWaitsForItsEnd) {
    CgroupFiles files;
    files.add_memory();
    files.write("cgroup.events", "populated 1\nfrozen 0\n");
    const Child child = Child::exiting(5);
    const Token token = run(child, files);
    child.await_end();
    exit(token);
    settle();
    EXPECT_TRUE(files.is_killed());
    EXPECT_FALSE(files.is_removed());
    EXPECT_EQ(record.log, Log{"web started"});
    const FakeRing::Asked* asked = ring.find(token.with(Operation::emptied));
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->events, uint32_t{POLLPRI});

    complete(token, Operation::emptied, POLLPRI);  // nothing has changed yet
    EXPECT_TRUE(is_armed(token, Operation::emptied));
    EXPECT_EQ(record.log, Log{"web started"});

    files.write("cgroup.events", "populated 0\nfrozen 0\n");
    complete(token, Operation::emptied, POLLPRI);
    EXPECT_TRUE(files.is_removed());
    EXPECT_EQ(record.log, (Log{"web started", "web exited 5"}));
    EXPECT_EQ(supervisor.live(), 0U);
}

// Without a memory controller the rmdir itself tells that a process is left.
TEST_F(Supervisor, WaitsForABusyCgroupWithoutMemory) {
    CgroupFiles files;
    files.write("cgroup.events", "populated 1\n");
    const Child child = Child::exiting(0);
    const Token token = start();
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.cgroup = files.cgroup("/");
    supervisor.launched(token, std::move(outcome));
    child.await_end();
    exit(token);
    EXPECT_TRUE(is_armed(token, Operation::emptied));
    EXPECT_TRUE(files.is_killed());
    EXPECT_EQ(record.log, Log{"web started"});
}

TEST_F(Supervisor, GivesUpACgroupThatIsEmptyAndBusyForEver) {
    const CgroupFiles files;
    const Child child = Child::exiting(0);
    const Token token = start();
    isolation::LaunchOutcome outcome = launch_of(child);
    outcome.cgroup = files.cgroup("/");
    supervisor.launched(token, std::move(outcome));
    child.await_end();
    exit(token);
    EXPECT_EQ(record.log,
              (Log{"web started", "web warning: cgroup /sigil-web is empty and cannot be removed",
                   "web exited 0"}));
    EXPECT_EQ(supervisor.live(), 0U);
}

// The counters can be read all the same: an OOM is never missed.
TEST_F(Supervisor, FindsAnOomWhereTheEmptinessCannotBeRead) {
    CgroupFiles files;
    files.add_memory();
    files.remove("cgroup.events");
    const Child child = Child::pausing();
    const Token token = run(child, files);
    kill_as_oom(child);
    files.set_oom_kills(1);
    exit(token);
    settle();
    EXPECT_EQ(record.log.back(), "web oom 137");
    EXPECT_EQ(supervisor.live(), 0U);
}

// ---- --oom-group
// ----------------------------------------------------------------------------------

// Before its execve the child shares our memory, and the kernel would kill us with the group.
TEST_F(Supervisor, SetsOomGroupOnlyAfterTheLaunch) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    Spec spec = spec_named("web");
    spec.resources.oom_group = true;
    const Token token = start(std::move(spec));
    EXPECT_EQ(files.read("memory.oom.group"), "0");
    supervisor.launched(token, launch_of(child, files));
    EXPECT_EQ(files.read("memory.oom.group"), "1");
}

TEST_F(Supervisor, LeavesOomGroupAloneUnlessAsked) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    run(child, files);
    EXPECT_EQ(files.read("memory.oom.group"), "0");
}

TEST_F(Supervisor, LeavesOomGroupAloneWhenTheLaunchFailed) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::pausing();
    Spec spec = spec_named("web");
    spec.resources.oom_group = true;
    const Token token = start(std::move(spec));
    isolation::LaunchOutcome outcome = launch_of(child, files);
    outcome.error = Error::because("failed");
    supervisor.launched(token, std::move(outcome));
    EXPECT_EQ(files.read("memory.oom.group"), "0");
}

TEST_F(Supervisor, WarnsOfAnOomGroupThatCannotBeSet) {
    CgroupFiles files;
    files.add_memory();
    files.remove("memory.oom.group");
    const Child child = Child::pausing();
    Spec spec = spec_named("web");
    spec.resources.oom_group = true;
    run(child, std::move(spec), files);
    EXPECT_EQ(record.log.front(),
              "web warning: --oom-group: write memory.oom.group: No such file or directory");
}

}  // namespace
}  // namespace sigil::loop
