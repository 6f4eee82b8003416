// Where containers' cgroups go in a unit of systemd's: nowhere, unless it was delegated.
#include <signal.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "cgroups.h"
#include "fixture.h"

namespace sigil::e2e {
namespace {

class Delegation : public CgroupE2e {
  protected:
    void SetUp() override {
        CgroupE2e::SetUp();
        if (cgroup_mount().empty())
            return;
        ASSERT_TRUE(make_cgroup(unit_));
    }
    void TearDown() override {
        if (!cgroup_mount().empty())
            eventually([&] {
                remove_cgroup(unit_);
                return !exists(cgroup_mount() + unit_);
            });
        CgroupE2e::TearDown();
    }
    void mark(const char* name, const char* value) const {
        ASSERT_EQ(::setxattr((cgroup_mount() + unit_).c_str(), name, value, 1, 0), 0) << name;
    }
    // sigil, started in the unit as systemd does it.
    [[nodiscard]] Start in_unit(Start start) const {
        start.before_exec = [procs = cgroup_mount() + unit_ + "/cgroup.procs"] {
            std::ofstream(procs) << "0";
        };
        return start;
    }
    [[nodiscard]] std::string cgroup_of_container(pid_t sigil) const {
        return cgroup_of(std::to_string(init_of(sigil)));
    }

    std::string unit_ = test_cgroup() + "/unit";
};

TEST_F(Delegation, AUnitThatIsNotDelegatedGetsNoContainer) {
    mark("trusted.invocation_id", "x");
    Running running(in_unit(waiting({"--name", "web"})));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_of_container(running.pid()), "/sigil/sigil-web");
    EXPECT_EQ(cgroup_of(std::to_string(running.pid())), unit_);
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Delegation, AUnitThatIsGetsThem) {
    mark("trusted.invocation_id", "x");
    mark("trusted.delegate", "1");
    Running running(in_unit(waiting({"--name", "web"})));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_of_container(running.pid()), unit_ + "/sigil-web");
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Delegation, SigilMakesRoomForControllers) {
    SIGIL_NEEDS_CONTROLLER("pids");
    mark("trusted.delegate", "1");
    ASSERT_TRUE(write_cgroup_file(test_cgroup(), "cgroup.subtree_control", "+pids") || true);
    if (cgroup_file(unit_, "cgroup.controllers").find("pids") == std::string::npos)
        GTEST_SKIP() << "the tests' own cgroup has processes: no controller can be delegated here";
    Running running(in_unit(waiting({"--name", "web", "--pids-limit", "20"})));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_of_container(running.pid()), unit_ + "/sigil-web");
    EXPECT_EQ(cgroup_of(std::to_string(running.pid())), unit_ + "/supervisor");
    EXPECT_EQ(cgroup_file(unit_ + "/sigil-web", "pids.max"), "20");
    running.send(SIGTERM);
    (void)running.wait();
}

}  // namespace
}  // namespace sigil::e2e
