// PID 1 of a container.
#include <signal.h>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Init = E2e;

void end(Running& running) {
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Init, IsPid1AndTheCommandIsItsChild) {
    const Facts facts = facts_of({});
    EXPECT_EQ(facts["pid"], "2");
    EXPECT_EQ(facts["ppid"], "1");
    EXPECT_EQ(facts.all("process").size(), 2U);
}

TEST_F(Init, IsNotThereWithNoInit) {
    const Facts facts = facts_of({"--no-init"});
    EXPECT_EQ(facts["pid"], "1");
    EXPECT_EQ(facts["ppid"], "0");
    EXPECT_EQ(facts.all("process").size(), 1U);
}

TEST_F(Init, ReapsAThousandOrphans) {
    const Finished finished = run({}, {"/bin/probe", "orphans", "1000"});
    EXPECT_EQ(finished.out, "orphans 1000\nleft 2\n");
    EXPECT_EQ(finished.code(), 0);
}

TEST_F(Init, ReapsOrphansWhileSignalsArrive) {
    Running running(sigil_run({}, {"/bin/sh", "-c",
                                   "trap 'n=$((n+1))' USR1; echo ready;"
                                   "for i in 1 2 3 4 5; do /bin/probe orphans 100; done; exit 9"}));
    ASSERT_EQ(running.next_line(), "ready");
    for (int count = 0; count < 500; ++count)
        running.send(SIGUSR1);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 9);
    EXPECT_EQ(lines_of(finished.out).size(), 11U) << finished.out;
}

TEST_F(Init, EndsWithTheCommandThoughOrphansHoldStdout) {
    EXPECT_EQ(run({}, {"/bin/probe", "hold-stdout", "3"}).code(), 3);
    EXPECT_EQ(run({"--no-init"}, {"/bin/probe", "hold-stdout", "4"}).code(), 4);
    EXPECT_EQ(run_script({}, "sleep 100000 & exit 5").code(), 5);
}

TEST_F(Init, DoesNotTakeAnotherProcessForTheCommand) {
    EXPECT_EQ(
        run_script({}, "(sh -c 'exit 1' &); (sh -c 'kill -9 $$' &); sleep 0.1; exit 6").code(), 6);
}

TEST_F(Init, SurvivesEverySignalFromInside) {
    const std::string script =
        "trap '' HUP INT QUIT ABRT TERM USR1 USR2 PIPE ALRM;"
        "for n in 1 2 3 6 9 13 14 15 19; do kill -$n 1; done; sleep 0.05; exit 11";
    EXPECT_EQ(run_script({}, script).code(), 11);
}

// A command can't tell sigil that it ended otherwise than it did.
TEST_F(Init, ReportsOverADescriptorThatTheCommandCannotReach) {
    const Facts facts = facts_of({});
    for (const auto& [number, target] : facts.descriptors())
        EXPECT_EQ(target.find("eventfd"), std::string::npos) << number << " " << target;
    const std::string script = "for fd in /proc/1/fd/*; do echo 0 > $fd; done 2>/dev/null; exit 12";
    EXPECT_EQ(run_script({}, script).code(), 12);
}

TEST_F(Init, HoldsNoDescriptorOfTheCaller) {
    Running running(sigil_run({}, {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    const pid_t init = init_of(running.pid());
    const auto descriptors = "/proc/" + std::to_string(init) + "/fd";
    ASSERT_TRUE(eventually(
        [&] { return read_file("/proc/" + std::to_string(init) + "/comm") == "sigil-init\n"; }));
    EXPECT_TRUE(eventually([&] { return names_in(descriptors).size() <= 1; }));
    end(running);
}

TEST_F(Init, HasFewPrivileges) {
    Running running(sigil_run({"--cap-add", "SYS_ADMIN"}, {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    const std::string path = "/proc/" + std::to_string(init_of(running.pid())) + "/status";
    EXPECT_TRUE(eventually([&] {
        const std::string status = read_file(path);
        return status.find("CapEff:\t0000000000000020\n") != std::string::npos &&
               status.find("NoNewPrivs:\t1\n") != std::string::npos;
    })) << read_file(path);
    end(running);
}

TEST_F(Init, HasTheContainersRootAsItsDirectory) {
    Running running(sigil_run({}, {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    const std::string proc = "/proc/" + std::to_string(init_of(running.pid()));
    EXPECT_TRUE(exists(proc + "/root/bin/probe"));
    EXPECT_TRUE(exists(proc + "/cwd/bin/probe"));
    end(running);
}

}  // namespace
}  // namespace sigil::e2e
