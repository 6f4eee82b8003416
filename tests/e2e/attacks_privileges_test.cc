// What a container may not get at: capabilities of later programs (CVE-2022-29162), the caller's
// terminal (CVE-2017-5226), cgroup v1's release_agent (CVE-2022-0492), a process that is being set
// up (CVE-2016-8659), and the lines of others by names that hold more than a name.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bundle.h"
#include "events.h"
#include "fixture.h"
#include "machine.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

using AttackOnPrivileges = E2e;

const char* const kCapabilities = "grep -E '^Cap(Inh|Amb)' /proc/self/status | cut -f2";
constexpr const char* kNone = "0000000000000000\n0000000000000000\n";

TEST_F(AttackOnPrivileges, NothingIsInheritable) {
    EXPECT_EQ(run_script({"--cap-add", "NET_ADMIN"}, kCapabilities).out, kNone);
    EXPECT_EQ(run_script({"--user", "alice"}, kCapabilities).out, kNone);
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("inherits");
    ASSERT_EQ(container.create(bundle).code(), 0);
    ASSERT_EQ(container.start().code(), 0);
    for (const Words& options :
         {Words{}, Words{"--cap", "CAP_NET_ADMIN"}, Words{"--user", "1000"}}) {
        Words words = {"exec"};
        words.insert(words.end(), options.begin(), options.end());
        words.insert(words.end(), {container.id(), "/bin/sh", "-c", kCapabilities});
        EXPECT_EQ(run_program(sigil(words)).out, kNone);
    }
}

// Without a filter the kernel would look at the character's address: EFAULT.
TEST_F(AttackOnPrivileges, ASharedTerminalIsNotTypedInto) {
    for (const char* request : {"0x5412", "0x541C", "0x100005412"})
        for (const Words& options : {Words{}, Words{"--cap-add", "SYS_ADMIN"}}) {
            TerminalSession session(
                sigil_run(options, {"/bin/probe", "call", "16", "0", request, "1"}).command);
            session.expect("error EPERM");
            (void)session.wait();
        }
}

TEST_F(AttackOnPrivileges, NoCgroupFilesystemCanBeMounted) {
    const Finished finished = run_script(
        {},
        "mkdir /tmp/cg; for t in cgroup cgroup2; do mount -t $t $t /tmp/cg 2>&1; done; "
        "find / -xdev -name release_agent; find /sys -name release_agent 2>/dev/null; exit 0");
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out.find("release_agent"), std::string::npos) << finished.out;
    EXPECT_EQ(lines_of(finished.out).size(), 2U) << finished.out;
}

TEST_F(AttackOnPrivileges, WhatIsSetUpCannotBeTraced) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("waits");
    ASSERT_EQ(container.create(bundle).code(), 0);
    // As another process of the container, with its root's rights.
    const Finished finished = run_program(sigil(
        {"exec", container.id(), "/bin/sh", "-c", "cat /proc/1/environ; readlink /proc/1/exe"}));
    EXPECT_EQ(finished.out.find("/sigil"), std::string::npos) << finished.out;
}

TEST_F(AttackOnPrivileges, NamesAreNames) {
    for (const std::string& name :
         {std::string("a\nb"), std::string("\x1b[2J"), std::string("a/b"), std::string(".."),
          std::string("a/../../b"), std::string("\xff"), std::string("")}) {
        for (const char* option : {"--name", "--hostname"}) {
            const Finished finished = run({option, name}, {"/bin/true"});
            EXPECT_EQ(finished.code(), 125) << option << " " << testing::PrintToString(name);
            EXPECT_EQ(finished.err.find('\x1b'), std::string::npos);
            EXPECT_EQ(lines_of(finished.err).size(), 1U) << finished.err;
        }
        Bundle bundle({"/bin/true"});
        const Finished created = run_program(sigil({"create", "--bundle", bundle.path(), name}));
        EXPECT_EQ(created.code(), 125);
        EXPECT_EQ(created.err.find('\x1b'), std::string::npos);
    }
}

TEST_F(AttackOnPrivileges, ALineOfJobsHasNoNameOfAnother) {
    Start start = sigil({"run", "--rootfs", shared_rootfs(), "--from", "-", "/bin/echo", "a"});
    start.input =
        "{\"id\":\"x\\ny\"}\n{\"id\":\"\\u001b[31m\"}\n{\"id\":\"../up\"}\n{\"id\":\"\\u0000\"}\n"
        "{\"\\u001b[31m\":1}\n";
    const Finished finished = run_program(start);
    EXPECT_NE(finished.code(), 0);
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err.find('\x1b'), std::string::npos) << finished.err;
    EXPECT_EQ(finished.err.find("\ny"), std::string::npos) << finished.err;
}

TEST_F(AttackOnPrivileges, ACgroupsPathDoesNotLeaveTheHierarchy) {
    for (const char* path : {"/../../../..", "/..", "/a/../.."}) {
        Bundle bundle({"/bin/true"});
        bundle.set("/linux/cgroupsPath", std::string("\"") + path + "\"");
        const Finished finished = run_program(
            sigil({"run", "--bundle", bundle.path(), "attack-" + std::to_string(::getpid())}));
        EXPECT_EQ(finished.code(), 125) << path;
    }
    expect_failure(run({"--cgroup-parent", "/../../../../tmp"}, {"/bin/true"}), "--cgroup-parent");
    expect_failure(run({"--cgroup-parent", "../.."}, {"/bin/true"}), "--cgroup-parent");
}

}  // namespace
}  // namespace sigil::e2e
