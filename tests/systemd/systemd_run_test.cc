// sigil --systemd-cgroup from end to end, with a manager of the test's own that makes cgroups: not
// systemd, but what is asked of it is asked by sigil and its helper as a user runs them.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include <gmock/gmock.h>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "manager.h"

namespace sigil::e2e {
namespace {

using testing::Answer;
using ::testing::Contains;
using testing::FakeManager;
using ::testing::IsSupersetOf;

class SystemdRun : public CgroupE2e {
  protected:
    void SetUp() override {
        CgroupE2e::SetUp();
        if (IsSkipped())
            return;
        bundle_.set("/linux/cgroupsPath", "\"machine.slice:test:" + id_ + "\"");
    }
    void TearDown() override {
        (void)run_program(verb({"delete", "--force"}));
        E2e::TearDown();
    }
    Start verb(Words words) {
        words.insert(words.begin(), "--systemd-cgroup");
        words.push_back(id_);
        return sigil(std::move(words));
    }
    Start create(Words options = {}) {
        Words words = {"create", "--bundle", bundle_.path()};
        words.insert(words.end(), options.begin(), options.end());
        Start start = verb(words);
        start.before_exec = [] {
            for (int fd = 0; fd < 3; ++fd)
                ::dup2(::open("/dev/null", O_RDWR | O_CLOEXEC), fd);
        };
        return start;
    }
    std::string status() { return member_of(run_program(verb({"state"})).out, "/status"); }

    const std::string id_ = "managed-" + std::to_string(::getpid());
    const std::string scope_ = "test-" + id_ + ".scope";
    const std::string cgroup_ = test_cgroup() + "/" + scope_;
    Bundle bundle_{{"/bin/probe", "signals", "TERM"}};
    FakeManager manager_{Answer::done, cgroup_mount() + test_cgroup(), test_cgroup()};
};

TEST_F(SystemdRun, AContainerRunsInItsScope) {
    bundle_.set("/process/args", R"(["/bin/busybox", "cat", "/proc/self/cgroup"])")
        .set("/linux/namespaces", R"([{"type": "mount"}, {"type": "pid"}])")
        .remove("/hostname");
    bundle_.set("/mounts", R"([{"destination": "/proc", "type": "proc", "source": "proc"}])");
    const Finished finished = run_program(verb({"run", "--bundle", bundle_.path()}));
    EXPECT_EQ(finished.code(), 0) << finished.err;
    EXPECT_THAT(lines_of(finished.out), Contains("0::" + cgroup_));
    EXPECT_THAT(manager_.asked(),
                IsSupersetOf({"StartTransientUnit " + scope_ + " fail",
                              std::string("  Slice s machine.slice"), std::string("  Delegate b 1"),
                              "  Description s sigil container " + id_,
                              "StopUnit " + scope_ + " replace"}));
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_));
}

TEST_F(SystemdRun, TheVerbsFindItsCgroup) {
    ASSERT_EQ(run_program(create()).code(), 0);
    EXPECT_EQ(status(), "created");
    EXPECT_TRUE(exists(cgroup_mount() + cgroup_));
    ASSERT_EQ(run_program(verb({"start"})).code(), 0);
    EXPECT_EQ(run_program(sigil({"exec", id_, "/bin/true"})).code(), 0);
    ASSERT_EQ(run_program(verb({"pause"})).code(), 0);
    EXPECT_EQ(status(), "paused");
    ASSERT_EQ(run_program(verb({"resume"})).code(), 0);
    ASSERT_EQ(run_program(sigil({"kill", id_, "TERM"})).code(), 0);
    ASSERT_TRUE(eventually([&] { return status() == "stopped"; }));
    EXPECT_EQ(run_program(verb({"delete"})).code(), 0);
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_));
}

TEST_F(SystemdRun, AForcedDeleteStopsTheScope) {
    ASSERT_EQ(run_program(create()).code(), 0);
    ASSERT_EQ(run_program(verb({"start"})).code(), 0);
    const Finished deleted = run_program(verb({"delete", "--force"}));
    EXPECT_EQ(deleted.code(), 0) << deleted.err;
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_));
    EXPECT_EQ(status(), "(none)");
}

TEST_F(SystemdRun, AFailedCreateLeavesNoScope) {
    bundle_.set("/process/args", R"(["/bin/nope"])");
    EXPECT_EQ(run_program(create()).code(), 127);
    EXPECT_THAT(manager_.asked(), Contains("StartTransientUnit " + scope_ + " fail"));
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_));
}

// By the same name in config.json: its failure stops nothing of the other's.
TEST_F(SystemdRun, ASecondOneOfThatScopeLeavesTheFirstAlone) {
    ASSERT_EQ(run_program(create()).code(), 0);
    ASSERT_EQ(run_program(verb({"start"})).code(), 0);
    const Finished second = run_program(
        sigil({"--systemd-cgroup", "create", "--bundle", bundle_.path(), id_ + "-second"}));
    expect_failure(second, "start " + scope_ + ": a unit of that name is there already");
    EXPECT_EQ(status(), "running");
    EXPECT_EQ(std::ranges::count(manager_.asked(), "StopUnit " + scope_ + " replace"), 0);
}

TEST_F(SystemdRun, AnInterruptionWhileItIsSlowGivesTheLaunchUp) {
    const std::string flag = make_directory_outside() + "/hung";
    bundle_.set("/hooks/createRuntime", R"([{"path": ")" + busybox_path() +
                                            R"(", "args": ["sh", "-c", "echo > )" + flag +
                                            R"(; exec sleep 1000"]}])");
    Running running(verb({"run", "--bundle", bundle_.path()}));
    ASSERT_TRUE(eventually([&] { return exists(flag); }));
    running.send(SIGTERM);
    expect_failure(running.wait(), "given up at a SIGTERM", 128 + SIGTERM);
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_));
}

class SystemdSilent : public CgroupE2e {};

TEST_F(SystemdSilent, AnInterruptionDoesNotWaitForIt) {
    const FakeManager manager(Answer::unstarted);
    Bundle bundle({"/bin/true"});
    const std::string id = "silent-" + std::to_string(::getpid());
    bundle.set("/linux/cgroupsPath", "\"machine.slice:test:" + id + "\"");
    Running running(sigil({"--systemd-cgroup", "run", "--bundle", bundle.path(), id}));
    ASSERT_TRUE(eventually([&] { return manager.pid() > 0; }));
    running.send(SIGTERM);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 128 + SIGTERM) << finished.err;
}

}  // namespace
}  // namespace sigil::e2e
