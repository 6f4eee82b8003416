// Limits of processor, processes and devices, where the kernel gives cgroup v2 the controllers.
#include <signal.h>
#include <unistd.h>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "report.h"

namespace sigil::e2e {
namespace {

using Limits = E2e;

// Runs a container with these options and gives its cgroup's path to `look`.
template <typename Look>
void look_at_cgroup(Words options, Look look) {
    Running running(sigil_run(std::move(options), {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    look(cgroup_of(std::to_string(init_of(running.pid()))));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Limits, PidsAreLimited) {
    SIGIL_NEEDS_CONTROLLER("pids");
    // PID 1, the command, and eight more.
    const Finished finished = run({"--pids-limit", "10"}, {"/bin/probe", "forks", "50"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out, "forks 8 EAGAIN\n");
}

TEST_F(Limits, APidsLimitTooSmallToStartInIsAnError) {
    SIGIL_NEEDS_CONTROLLER("pids");
    expect_failure(run({"--pids-limit", "1"}, {"/bin/true"}),
                   "--pids-limit 1: too small to start in");
    EXPECT_EQ(run({"--pids-limit", "2"}, {"/bin/true"}).code(), 0);
}

TEST_F(Limits, CpusAreAQuotaInPeriodsOf100Milliseconds) {
    SIGIL_NEEDS_CONTROLLER("cpu");
    look_at_cgroup({"--cpus", "0.5"}, [](const std::string& path) {
        EXPECT_EQ(cgroup_file(path, "cpu.max"), "50000 100000");
    });
}

TEST_F(Limits, TheCpusetIsTheCommands) {
    SIGIL_NEEDS_CONTROLLER("cpuset");
    const Finished finished =
        run_script({"--cpuset-cpus", "0"}, "grep Cpus_allowed_list /proc/self/status");
    EXPECT_EQ(finished.out, "Cpus_allowed_list:\t0\n");
}

TEST_F(Limits, OtherFilesAreWrittenAsTheyStand) {
    SIGIL_NEEDS_CONTROLLER("cpu");
    look_at_cgroup({"--cgroup-set", "cpu.weight=200", "--cgroup-set", "cgroup.max.depth=3"},
                   [](const std::string& path) {
                       EXPECT_EQ(cgroup_file(path, "cpu.weight"), "200");
                       EXPECT_EQ(cgroup_file(path, "cgroup.max.depth"), "3");
                   });
}

TEST_F(Limits, AValueThatTheKernelRefusesNamesTheOptionAndTheFile) {
    SIGIL_NEEDS_CONTROLLER("cpu");
    expect_failure(run({"--cgroup-set", "cpu.weight=99999"}, {"/bin/true"}),
                   "--cgroup-set: write 99999 to cpu.weight");
    expect_failure(run({"--cgroup-set", "cpu.nonsense=1"}, {"/bin/true"}), "cpu.nonsense");
}

TEST_F(Limits, AnIoLimitReachesTheDevice) {
    SIGIL_NEEDS_CONTROLLER("io");
    if (access("/dev/loop0", F_OK) != 0)
        GTEST_SKIP() << "no block device to limit: /dev/loop0 is not here";
    look_at_cgroup({"--io-max", "/dev/loop0:rbps=1M,wiops=100"}, [](const std::string& path) {
        EXPECT_EQ(cgroup_file(path, "io.max"), "7:0 rbps=1048576 wbps=max riops=max wiops=100");
    });
}

TEST_F(Limits, AParentIsMadeAndGoesAgain) {
    SIGIL_NEEDS_CONTROLLER("pids");
    look_at_cgroup({"--cgroup-parent", "/made/for-it", "--pids-limit", "20", "--name", "child"},
                   [](const std::string& path) { EXPECT_EQ(path, "/made/for-it/sigil-child"); });
    EXPECT_EQ(cgroup_file("/made", "cgroup.procs"), "");
}

}  // namespace
}  // namespace sigil::e2e
