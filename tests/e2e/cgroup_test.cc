// The container's cgroup, on any machine: limits are for limits_test.cc and memory_test.cc.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Cgroup = CgroupE2e;

void end(Running& running) {
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

// A limit of a controller that this machine does not have in cgroup v2.
struct Limit {
    const char* controller;
    Words options;
};

std::vector<Limit> impossible_limits() {
    const std::array<Limit, 8> all = {{
        {"memory", {"--memory", "64M"}},
        {"memory", {"--memory-high", "64M"}},
        {"memory", {"--oom-group"}},
        {"cpu", {"--cpus", "1"}},
        {"cpuset", {"--cpuset-cpus", "0"}},
        {"pids", {"--pids-limit", "100"}},
        {"io", {"--io-max", "8:0:rbps=1000000"}},
        {"memory", {"--cgroup-set", "memory.low=1M"}},
    }};
    std::vector<Limit> missing;
    std::ranges::copy_if(all, std::back_inserter(missing),
                         [](const Limit& limit) { return !has_controller(limit.controller); });
    return missing;
}

TEST_F(Cgroup, HoldsTheContainerAndIsGoneAfterwards) {
    for (const Words& mode : {Words{}, Words{"--no-init"}}) {
        Words options = {"--name", "web"};
        options.insert(options.end(), mode.begin(), mode.end());
        Running running(waiting(options));
        ASSERT_EQ(running.next_line(), "ready");
        const std::string path = test_cgroup() + "/sigil-web";
        EXPECT_EQ(container_cgroups(), Words{path});
        EXPECT_EQ(cgroup_of(std::to_string(init_of(running.pid()))), path);
        EXPECT_EQ(words_of(cgroup_file(path, "cgroup.procs")).size(), mode.empty() ? 2U : 1U);
        end(running);
        EXPECT_EQ(container_cgroups(), Words{});
    }
}

TEST_F(Cgroup, SupervisorStaysWhereItIs) {
    Running running(waiting({}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_of(std::to_string(running.pid())), test_cgroup());
    end(running);
}

TEST_F(Cgroup, IsFoundFromTheRootCgroupToo) {
    Start start = waiting({"--name", "from-the-root"});
    start.before_exec = [] { write_cgroup_file("/", "cgroup.procs", "0"); };
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_of(std::to_string(init_of(running.pid()))), "/sigil-from-the-root");
    end(running);
    EXPECT_EQ(cgroup_file("/sigil-from-the-root", "cgroup.procs"), "");
    EXPECT_FALSE(exists(cgroup_mount() + "/sigil-from-the-root"));
}

TEST_F(Cgroup, IsGoneAfterEachFailure) {
    const std::string root = make_rootfs();
    for (const Words& options :
         {Words{}, Words{"--user", "nobody-here"}, Words{"--tmpfs", "/etc/passwd"},
          Words{"--mount", "type=nosuchfs,target=/tmp"}, Words{"--workdir", "/etc/passwd"},
          Words{"--cgroup-set", "cgroup.nope=1"}}) {
        const Finished finished = run(options, {"/bin/nope"});
        EXPECT_GE(finished.code(), 125);
        EXPECT_EQ(container_cgroups(), Words{}) << testing::PrintToString(options);
    }
}

TEST_F(Cgroup, ParentMayBeNamedAbsolutely) {
    const std::string parent = test_cgroup() + "/mine";
    ASSERT_TRUE(make_cgroup(parent));
    for (const std::string& spelled : {parent, parent + "/", "/" + parent}) {
        Running running(waiting({"--name", "web", "--cgroup-parent", spelled}));
        ASSERT_EQ(running.next_line(), "ready");
        EXPECT_EQ(container_cgroups(), Words{parent + "/sigil-web"});
        end(running);
        EXPECT_EQ(container_cgroups(), Words{});
    }
    EXPECT_TRUE(exists(cgroup_mount() + parent));
    remove_cgroup(parent);
}

TEST_F(Cgroup, ParentMayBeNamedFromSigilsOwn) {
    ASSERT_TRUE(make_cgroup(test_cgroup() + "/mine"));
    Running running(waiting({"--name", "web", "--cgroup-parent", "mine"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/mine/sigil-web"});
    end(running);
    remove_cgroup(test_cgroup() + "/mine");
}

TEST_F(Cgroup, ParentIsMadeWhereItIsMissing) {
    Running running(waiting({"--name", "web", "--cgroup-parent", "new/deep"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/new/deep/sigil-web"});
    end(running);
    EXPECT_EQ(container_cgroups(), Words{});
    EXPECT_FALSE(exists(cgroup_mount() + test_cgroup() + "/new"))
        << "a parent that it made is left";
    remove_cgroup(test_cgroup() + "/new");
}

TEST_F(Cgroup, ALimitWithoutItsControllerSaysWhich) {
    const auto limits = impossible_limits();
    if (limits.empty())
        GTEST_SKIP() << "every controller is in cgroup v2 here";
    for (const Limit& limit : limits) {
        const Finished finished = run(limit.options, {"true"});
        expect_failure(finished, std::string("the ") + limit.controller + " controller");
        const bool is_v1 = exists("/sys/fs/cgroup/" + std::string(limit.controller)) ||
                           std::string(limit.controller) == "io";
        if (is_v1) {
            EXPECT_NE(finished.err.find("cgroup v1"), std::string::npos) << finished.err;
        }
    }
}

// Of the controllers that this machine has in cgroup v2, a limit that any container can live with.
Words possible_limit() {
    if (has_controller("hugetlb"))
        return {"--cgroup-set", "hugetlb.2MB.max=0"};
    if (has_controller("pids"))
        return {"--pids-limit", "1000"};
    return {};
}

// A cgroup with processes can't hand controllers on ("no internal processes"), and the tests' own
// has processes: sigil finds another place, and takes it away again.
TEST_F(Cgroup, ALimitBesideProcessesTakesAnotherPlace) {
    Words options = possible_limit();
    if (options.empty())
        GTEST_SKIP() << "cgroup v2 has no controller here";
    const bool was_there = exists(cgroup_mount() + "/sigil");
    options.insert(options.end(), {"--name", "web"});
    Running running(waiting(options));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(container_cgroups(), Words{"/sigil/sigil-web"});
    end(running);
    EXPECT_EQ(container_cgroups(), Words{});
    EXPECT_EQ(exists(cgroup_mount() + "/sigil"), was_there);
}

TEST_F(Cgroup, AParentWithProcessesCannotDelegateAndTheErrorSaysSo) {
    Words options = possible_limit();
    if (options.empty())
        GTEST_SKIP() << "cgroup v2 has no controller here";
    options.insert(options.end(), {"--cgroup-parent", test_cgroup()});
    const Finished finished = run(options, {"true"});
    expect_failure(finished, "controller");
    EXPECT_NE(finished.err.find("processes of its own"), std::string::npos) << finished.err;
}

TEST_F(Cgroup, AControllerThatNoKernelHasIsAnError) {
    expect_failure(run({"--cgroup-set", "nosuch.file=1"}, {"true"}), "the nosuch controller");
}

TEST_F(Cgroup, SetWritesAnyFile) {
    Running running(waiting({"--name", "web", "--cgroup-set", "cgroup.max.descendants=0",
                             "--cgroup-set", "cgroup.max.depth=3"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_file(test_cgroup() + "/sigil-web", "cgroup.max.descendants"), "0");
    EXPECT_EQ(cgroup_file(test_cgroup() + "/sigil-web", "cgroup.max.depth"), "3");
    end(running);
}

TEST_F(Cgroup, SetNamesTheFileThatCannotBeWritten) {
    expect_failure(run({"--cgroup-set", "cgroup.nope=1"}, {"true"}), "cgroup.nope");
    expect_failure(run({"--cgroup-set", "cgroup.max.depth=lots"}, {"true"}), "cgroup.max.depth");
}

TEST_F(Cgroup, TwoContainersOfOneNameAreAnError) {
    Running running(waiting({"--name", "web"}));
    ASSERT_EQ(running.next_line(), "ready");
    expect_failure(run({"--name", "web"}, {"true"}), "web is running already");
    EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/sigil-web"});
    running.send(SIGUSR1);
    EXPECT_EQ(running.next_line(), "signal 10 sent 0");
    end(running);
}

TEST_F(Cgroup, WhatAnEarlierRunLeftIsTakenOver) {
    ASSERT_TRUE(make_cgroup(test_cgroup() + "/sigil-web"));
    EXPECT_EQ(run({"--name", "web"}, {"/bin/probe", "exit", "3"}).code(), 3);
    EXPECT_EQ(container_cgroups(), Words{});
}

TEST_F(Cgroup, CgroupsInsideItGoWithIt) {
    Running running(waiting({"--name", "web"}));
    ASSERT_EQ(running.next_line(), "ready");
    const std::string path = test_cgroup() + "/sigil-web";
    for (const char* below : {"/a", "/a/b", "/a/b/c", "/d"})
        ASSERT_TRUE(make_cgroup(path + below));
    ASSERT_TRUE(write_cgroup_file(path + "/a/b/c", "cgroup.procs",
                                  std::to_string(command_of(running.pid()))));
    end(running);
    EXPECT_EQ(container_cgroups(), Words{});
}

// A process of the host that somebody has put into the container's cgroup: it would keep the cgroup
// from being removed.
TEST_F(Cgroup, AForeignProcessInItIsKilledWithIt) {
    Running running(waiting({"--name", "web"}));
    ASSERT_EQ(running.next_line(), "ready");
    Running foreign({.command = {probe_path(), "sleep", "100000"}});
    ASSERT_EQ(foreign.next_line(), "ready");
    ASSERT_TRUE(write_cgroup_file(test_cgroup() + "/sigil-web", "cgroup.procs",
                                  std::to_string(foreign.pid())));
    end(running);
    EXPECT_EQ(foreign.wait().signal(), SIGKILL);
    EXPECT_EQ(container_cgroups(), Words{});
}

TEST_F(Cgroup, ItsOwnIsTheRootOfTheContainersView) {
    EXPECT_EQ(
        run_script({"--cgroup-set", "cgroup.max.depth=7"}, "cat /sys/fs/cgroup/cgroup.max.depth")
            .out,
        "7\n");
    EXPECT_EQ(run_script({}, "cat /sys/fs/cgroup/cgroup.procs").out.substr(0, 4), "1\n2\n");
}

// ---- without a usable cgroup v2 ---------------------------------------------------------------

// Takes cgroup2 out of sigil's sight, in a mount namespace of its own.
void hide_cgroup2() {
    if (::unshare(CLONE_NEWNS) < 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
        ::umount2(cgroup_mount().c_str(), MNT_DETACH) < 0)
        ::_exit(1);
}

void make_cgroup2_read_only() {
    if (::unshare(CLONE_NEWNS) < 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
        ::mount(nullptr, cgroup_mount().c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                nullptr) < 0)
        ::_exit(1);
}

TEST_F(Cgroup, ContainersRunWithoutOne) {
    for (auto prepare : {hide_cgroup2, make_cgroup2_read_only}) {
        Start start = sigil_run({}, {"/bin/probe", "exit", "3"});
        start.before_exec = prepare;
        const Finished finished = run_program(start);
        EXPECT_EQ(finished.code(), 3) << testing::PrintToString(finished);
        EXPECT_EQ(finished.err, "");
    }
}

TEST_F(Cgroup, StoppingWorksWithoutOne) {
    Start start = sigil_run({"--stop-timeout", "50ms"}, {"/bin/probe", "ignore", "TERM"});
    start.before_exec = hide_cgroup2;
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 137);
}

TEST_F(Cgroup, LimitsAreAnErrorWithoutOne) {
    for (const Words& options :
         {Words{"--memory", "64M"}, Words{"--pids-limit", "9"}, Words{"--cgroup-parent", "/x"},
          Words{"--cgroup-set", "cgroup.type=x"}}) {
        Start start = sigil_run(options, {"true"});
        start.before_exec = hide_cgroup2;
        expect_failure(run_program(start), "cgroup v2");
        start.before_exec = make_cgroup2_read_only;
        expect_failure(run_program(start), "");
    }
}

}  // namespace
}  // namespace sigil::e2e
