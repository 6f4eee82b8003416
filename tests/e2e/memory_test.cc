// Memory limits and the out-of-memory killer, where the kernel gives cgroup v2 the memory
// controller.
#include <signal.h>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "report.h"

namespace sigil::e2e {
namespace {

using Memory = E2e;
constexpr const char* kMuch = "100000000";
constexpr const char* kLittle = "1000000";

#define SIGIL_NEEDS_MEMORY() SIGIL_NEEDS_CONTROLLER("memory")

TEST_F(Memory, ABelievableAmountIsAllocated) {
    SIGIL_NEEDS_MEMORY();
    const Reported run = run_reported({"--memory", "32M"}, {"/bin/probe", "alloc", kLittle});
    EXPECT_EQ(run.finished.code(), 0);
    EXPECT_EQ(run.cause(), "exited");
    EXPECT_EQ(run.report["memory"]["oom_kill"].GetInt(), 0);
    EXPECT_GT(run.report["memory"]["peak_bytes"].GetInt64(), 1'000'000);
    EXPECT_EQ(run.finished.err, "");
}

TEST_F(Memory, AnOomIsTheCauseAndIsToldWithItsLimitAndPeak) {
    SIGIL_NEEDS_MEMORY();
    for (const Words& init : {Words{}, Words{"--no-init"}}) {
        Words options = {"--memory", "32M", "--name", "hungry"};
        options.insert(options.end(), init.begin(), init.end());
        const Reported run = run_reported(options, {"/bin/probe", "alloc", kMuch});
        EXPECT_EQ(run.finished.code(), 128 + SIGKILL);
        EXPECT_EQ(run.cause(), "oom");
        EXPECT_EQ(run.text("signal"), "SIGKILL");
        EXPECT_EQ(run.report["memory"]["oom_kill"].GetInt(), 1);
        EXPECT_EQ(run.report["memory"]["peak_bytes"].GetInt64(), 32 << 20);
        EXPECT_EQ(
            run.finished.err,
            "sigil: hungry: out of memory: the container's limit (memory.max 32M) was reached; "
            "1 process killed, peak 32M\n");
    }
}

TEST_F(Memory, ASigkillIsNotTakenForAnOom) {
    SIGIL_NEEDS_MEMORY();
    const Reported run = run_reported({"--memory", "32M"}, {"/bin/probe", "die", "9"});
    EXPECT_EQ(run.finished.code(), 128 + SIGKILL);
    EXPECT_EQ(run.cause(), "signaled");
    EXPECT_EQ(run.finished.err, "");
}

TEST_F(Memory, AnOomThatTheCommandSurvivesIsToldWhenItHappens) {
    SIGIL_NEEDS_MEMORY();
    Start start = sigil_run({"--memory", "32M"},
                            {"/bin/sh", "-c", "probe alloc 100000000; echo survived; cat"});
    start.merges_streams = true;
    start.keeps_input_open = true;
    Running running(start);
    // Before the end, which only comes with the end of stdin.
    bool told = false;
    bool survived = false;
    while (!told || !survived) {
        const std::string line = running.next_line();
        ASSERT_NE(line, "");
        told = told || line.find("out of memory") != std::string::npos;
        survived = survived || line == "survived";
    }
    running.close_input();
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Memory, OomGroupKillsAllOfIt) {
    SIGIL_NEEDS_MEMORY();
    const Reported run = run_reported({"--memory", "32M", "--oom-group"},
                                      {"/bin/sh", "-c", "probe alloc 100000000; echo survived"});
    EXPECT_EQ(run.finished.code(), 128 + SIGKILL);
    EXPECT_EQ(run.cause(), "oom");
    EXPECT_EQ(run.report["memory"]["oom_group_kill"].GetInt(), 1);
    EXPECT_EQ(run.finished.out, "");
}

// Some limits are below what the kernel itself needs, some below what the first page faults need.
TEST_F(Memory, ALimitTooSmallToStartInIsAnErrorOrAnOomAndNeverHurtsTheSupervisor) {
    SIGIL_NEEDS_MEMORY();
    for (const char* limit : {"0", "4K", "64K", "128K", "256K", "512K", "1M"}) {
        const Finished finished = run({"--memory", limit}, {"/bin/probe", "alloc", "2000000"});
        EXPECT_EQ(finished.signal(), 0) << limit;
        const bool refused = finished.code() == 125;
        EXPECT_TRUE(refused || finished.code() == 128 + SIGKILL) << limit;
        const char* told = refused ? "too small to start in" : "out of memory";
        EXPECT_NE(finished.err.find(told), std::string::npos) << limit << ": " << finished.err;
    }
}

TEST_F(Memory, TheLimitsAreWhatWasAskedFor) {
    SIGIL_NEEDS_MEMORY();
    Running running(sigil_run({"--memory", "64M", "--memory-high", "48M", "--memory-swap", "80M"},
                              {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    const std::string path = cgroup_of(std::to_string(init_of(running.pid())));
    EXPECT_EQ(cgroup_file(path, "memory.max"), std::to_string(64 << 20));
    EXPECT_EQ(cgroup_file(path, "memory.high"), std::to_string(48 << 20));
    EXPECT_EQ(cgroup_file(path, "memory.swap.max"), std::to_string(16 << 20));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Memory, ALimitAloneMeansNoSwap) {
    SIGIL_NEEDS_MEMORY();
    Running running(sigil_run({"--memory", "64M"}, {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    const std::string path = cgroup_of(std::to_string(init_of(running.pid())));
    EXPECT_EQ(cgroup_file(path, "memory.swap.max"), "0");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Memory, OomsAndKillsAreToldApartManyTimes) {
    SIGIL_NEEDS_MEMORY();
    for (int round = 0; round < 20; ++round) {
        const bool hungry = round % 2 == 0;
        const Reported run = hungry
                                 ? run_reported({"--memory", "16M"}, {"/bin/probe", "alloc", kMuch})
                                 : run_reported({"--memory", "16M"}, {"/bin/probe", "die", "9"});
        EXPECT_EQ(run.cause(), hungry ? "oom" : "signaled");
    }
}

}  // namespace
}  // namespace sigil::e2e
