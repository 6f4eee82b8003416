// linux.seccomp of a bundle, and the listener of SCMP_ACT_NOTIFY; limits and warnings of a bundle.
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroups.h"
#include "descriptor_socket.h"
#include "fixture.h"

namespace sigil::e2e {
namespace {

class OciSeccomp : public E2e {
  protected:
    void TearDown() override {
        (void)container_.remove({"--force"});
        E2e::TearDown();
    }
    Bundle bundle_{{"/bin/probe", "mkdir", "/tmp/x"}};
    OciContainer container_{"filter"};

    void filter(const std::string& action, const std::string& more = "") {
        bundle_.set("/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": ")" +
                                          action + "\"}]" + more + "}");
    }
    Finished run() {
        return run_program(sigil({"run", "--bundle", bundle_.path(), container_.id()}));
    }
};

TEST_F(OciSeccomp, DoesWhatTheActionSays) {
    filter("SCMP_ACT_ERRNO");
    EXPECT_EQ(run().out, "error EPERM\n");
    filter("SCMP_ACT_ERRNO\", \"errnoRet\": 38, \"comment\": \"");
    EXPECT_EQ(run().out, "error ENOSYS\n");
    filter("SCMP_ACT_KILL_PROCESS");
    EXPECT_EQ(run().code(), 128 + SIGSYS);
    bundle_.set("/process/noNewPrivileges", "false");
    filter("SCMP_ACT_ERRNO");
    EXPECT_EQ(run().out, "error EPERM\n");
}

TEST_F(OciSeccomp, AWrongProfileIsAnErrorWithItsPath) {
    filter("SCMP_ACT_NOPE");
    expect_failure(run(), "linux.seccomp.syscalls[0].action");
    filter("SCMP_ACT_NOTIFY");
    expect_failure(run(), "linux.seccomp");
    filter("SCMP_ACT_NOTIFY", R"(, "listenerPath": "/nope")");
    expect_failure(run(), "linux.seccomp.listenerPath: connect to /nope");
}

TEST_F(OciSeccomp, TheListenerArrivesWithTheStateAndAnswers) {
    const DescriptorSocket socket;
    for (const char* no_new_privileges : {"true", "false"}) {
        SCOPED_TRACE(no_new_privileges);
        bundle_.set("/process/noNewPrivileges", no_new_privileges);
        filter("SCMP_ACT_NOTIFY",
               R"(, "listenerPath": ")" + socket.path() + R"(", "listenerMetadata": "about it")");
        Running running(sigil({"run", "--bundle", bundle_.path(), container_.id()}));
        std::string state;
        const int listener = socket.receive(state);
        ASSERT_GE(listener, 0);
        EXPECT_EQ(member_of(state, "/fds/0"), "seccompFd");
        EXPECT_EQ(member_of(state, "/metadata"), "about it");
        EXPECT_EQ(member_of(state, "/state/id"), container_.id());
        EXPECT_EQ(member_of(state, "/state/status"), "creating");
        EXPECT_GT(std::atoi(member_of(state, "/pid").c_str()), 1);
        EXPECT_EQ(member_of(state, "/pid"), member_of(state, "/state/pid"));
        seccomp_notif asked = {};
        ASSERT_EQ(::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked), 0);
        seccomp_notif_resp answer = {.id = asked.id, .val = 0, .error = -EXDEV, .flags = 0};
        EXPECT_EQ(::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
        ::close(listener);
        EXPECT_EQ(running.wait().out, "error EXDEV\n");
    }
}

// ---- what else config.json says ---------------------------------------------------------------

TEST_F(OciSeccomp, AWarningIsToldOnce) {
    bundle_.set("/mounts/0/destination", "\"proc\"");
    bundle_.set("/process/args", R"(["/bin/true"])");
    const std::string log = make_directory_outside() + "/log";
    const Finished finished =
        run_program(sigil({"--log", log, "run", "--bundle", bundle_.path(), container_.id()}));
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(lines_of(finished.err).size(), 1U) << finished.err;
    EXPECT_NE(finished.err.find("warning: mounts[0].destination"), std::string::npos)
        << finished.err;
    EXPECT_EQ(lines_of(read_file(log)).size(), 1U) << read_file(log);
}

// As engines that log what a program writes to /dev/stdout rely on.
TEST_F(OciSeccomp, AUserMayOpenItsStreams) {
    const std::string script = "echo out > /dev/stdout; echo err > /dev/stderr";
    bundle_.set("/process/args", R"(["/bin/sh", "-c", ")" + script + R"("])")
        .set("/process/user", R"({"uid": 1000, "gid": 1000})");
    const Finished finished = run();
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.err, "err\n");
    bundle_.set("/process/args", R"(["/bin/sleep", "1000"])").set("/process/user/uid", "0");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    ASSERT_EQ(container_.start().code(), 0);
    const Finished beside = run_program(
        sigil({"exec", "--user", "1000:1000", container_.id(), "/bin/sh", "-c", script}));
    EXPECT_EQ(beside.out, "out\n");
    EXPECT_EQ(beside.err, "err\n");
}

// The mask of a file is the host's own device.
TEST_F(OciSeccomp, AMaskedFileIsNoWayToTheHostsNullDevice) {
    bundle_.set("/process/args", R"(["/bin/sh", "-c", "chmod 666 /proc/keys; echo x > /proc/keys; )"
                                 R"(busybox chown 0:0 /proc/keys; wc -c < /proc/keys"])");
    const Finished finished = run();
    EXPECT_EQ(finished.out, "0\n") << finished.err;
    for (const char* tool : {"chmod", "chown"})
        EXPECT_NE(finished.err.find(std::string(tool) + ": /proc/keys: Read-only file system"),
                  std::string::npos)
            << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 2U) << "it may be written to: " << finished.err;
}

TEST_F(OciSeccomp, DevicesAreUpdatedFromStdin) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    bundle_.set("/process/args", R"(["/bin/sleep", "1000"])")
        .set("/linux/devices", R"([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}])")
        .set("/linux/resources", R"({"devices": [{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}]})");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    ASSERT_EQ(container_.start().code(), 0);
    auto may_open = [this](const char* device) {
        const std::string script = std::string(": >> ") + device;
        return run_program(sigil({"exec", container_.id(), "/bin/sh", "-c", script})).code() == 0;
    };
    Start update = sigil({"update", "--resources", "-", container_.id()});
    auto update_with = [&update](const char* resources) {
        update.input = resources;
        const Finished finished = run_program(update);
        EXPECT_EQ(finished.code(), 0) << finished.err;
    };
    EXPECT_TRUE(may_open("/dev/kmsg"));
    update_with(R"({"devices": [{"allow": false, "access": "rwm"}]})");
    EXPECT_FALSE(may_open("/dev/kmsg"));
    EXPECT_TRUE(may_open("/dev/null"));
    update_with(R"({"devices": [{"allow": true, "access": "rwm"}]})");
    EXPECT_TRUE(may_open("/dev/kmsg"));
    for (const char* none : {"{}", R"({"devices": []})", R"({"devices": null})"}) {
        update_with(none);
        EXPECT_TRUE(may_open("/dev/kmsg")) << none;
    }
    update.input = R"({"devices": [{"allow": true}, {"allow": true, "access": "x"}]})";
    expect_failure(run_program(update), "--resources: devices[1].access: 'x' is not made of");
}

TEST_F(OciSeccomp, WhatSigilCannotDoIsAnError) {
    bundle_.set("/linux/intelRdt", R"({"closID": "x"})");
    expect_failure(run(), "linux.intelRdt");
}

TEST_F(OciSeccomp, LimitsAreUpdatedFromStdin) {
    if (!has_controller("pids") || !has_controller("memory"))
        GTEST_SKIP() << "the pids and memory controllers are not in cgroup v2 here";
    bundle_.set("/process/args", R"(["/bin/sleep", "1000"])");
    bundle_.set("/linux/resources", R"({"memory": {"limit": 67108864}, "pids": {"limit": 50}})");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    ASSERT_EQ(container_.start().code(), 0);
    const std::string cgroup = cgroup_of(std::to_string(container_.pid()));
    EXPECT_EQ(cgroup_file(cgroup, "memory.max"), "67108864");
    EXPECT_EQ(cgroup_file(cgroup, "pids.max"), "50");
    Start update = sigil({"update", "--resources", "-", container_.id()});
    update.input = R"({"pids": {"limit": 60}, "memory": {"limit": 33554432}})";
    EXPECT_EQ(run_program(update).code(), 0);
    EXPECT_EQ(cgroup_file(cgroup, "memory.max"), "33554432");
    EXPECT_EQ(cgroup_file(cgroup, "pids.max"), "60");
    update.input = R"({"memory": {"limit": 4096, "checkBeforeUpdate": true}})";
    expect_failure(run_program(update), "memory.limit: 4K is below the");
    EXPECT_EQ(cgroup_file(cgroup, "memory.max"), "33554432");
    const Finished stats = run_program(sigil({"events", "--stats", container_.id()}));
    EXPECT_EQ(member_of(stats.out, "/type"), "stats");
    EXPECT_EQ(member_of(stats.out, "/data/pids/limit"), "60");
    EXPECT_EQ(member_of(stats.out, "/data/memory/usage/limit"), "33554432");
}

}  // namespace
}  // namespace sigil::e2e
