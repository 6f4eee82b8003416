// --device and the rules of devices, --privileged, and what exec gives in such containers.
//
// The device of these tests is /dev/kmsg (1:11): every host has it, and whoever may open it for
// writing needs no capability (drivers/char: devkmsg_open()).
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

class Devices : public CgroupE2e {};

std::string try_open(const Words& options, const std::string& path, const char* mode) {
    return run(options, {"/bin/probe", "open", path, mode}).out;
}

TEST_F(Devices, AreTheHostsWithTheirOwners) {
    const Finished finished =
        run_script({"--device", "/dev/kmsg", "--device", "/dev/zero:/dev/a/b"},
                   "stat -c '%n %t:%T %a %u:%g' /dev/kmsg /dev/a/b; head -c 3 /dev/a/b | wc -c");
    struct stat facts = {};
    ASSERT_EQ(::stat("/dev/kmsg", &facts), 0);
    char expected[200];
    (void)::snprintf(expected, sizeof expected, "/dev/kmsg 1:b %o %u:%u\n/dev/a/b 1:5 666 0:0\n3\n",
                     facts.st_mode & 07777, facts.st_uid, facts.st_gid);
    EXPECT_EQ(finished.out, expected) << finished.err;
}

TEST_F(Devices, AllowWhatWasAskedFor) {
    EXPECT_EQ(try_open({"--device", "/dev/kmsg"}, "/dev/kmsg", "w"), "ok\n");
    EXPECT_EQ(try_open({"--device", "/dev/kmsg:w"}, "/dev/kmsg", "w"), "ok\n");
    EXPECT_EQ(try_open({"--device", "/dev/kmsg:r"}, "/dev/kmsg", "w"), "error EPERM\n");
}

// Whatever node there is: made inside, or of the host in a bind.
TEST_F(Devices, ThatWereNotAskedForCannotBeOpened) {
    EXPECT_EQ(run_script({"--cap-add", "MKNOD"},
                         "mknod /dev/k c 1 11 && probe open /dev/k w; probe open /dev/null w")
                  .out,
              "error EPERM\nok\n");
    EXPECT_EQ(try_open({"--bind", "/dev:/host"}, "/host/kmsg", "w"), "error EPERM\n");
    EXPECT_EQ(try_open({"--bind", "/dev:/host"}, "/host/null", "w"), "ok\n");
    EXPECT_EQ(
        run_script({"--cap-add", "SYS_ADMIN"},
                   "mkdir -p /tmp/d && mount -t devtmpfs d /tmp/d && probe open /tmp/d/kmsg w")
            .out,
        "error EPERM\n");
}

TEST_F(Devices, CannotBeMadeWithoutTheCapability) {
    EXPECT_NE(run({}, {"mknod", "/dev/k", "c", "1", "11"}).code(), 0);
}

TEST_F(Devices, OfManyContainersHaveTheirOwnRules) {
    const std::string jobs = make_directory_outside() + "/jobs";
    write_file(jobs,
               R"({"id":"a","args":["probe","open","/dev/kmsg","w"],"device":"/dev/kmsg"})"
               "\n"
               R"({"id":"b","args":["probe","open","/dev/kmsg","w"],"devices":["/dev/kmsg:r"]})"
               "\n"
               R"({"id":"c","args":["probe","open","/bound","w"],"binds":["/dev/kmsg:/bound"]})"
               "\n");
    Words lines = lines_of(
        run_program(sigil({"run", "--rootfs", shared_rootfs(), "--from", jobs, "--quiet"})).out);
    std::ranges::sort(lines);
    EXPECT_EQ(lines, (Words{"a | ok", "b | error EPERM", "c | error EPERM"}));
}

TEST_F(Devices, ThatAreNoneAreAnError) {
    expect_failure(run({"--device", "/etc/passwd:/dev/x"}, {"true"}),
                   "--device: '/etc/passwd' is not a device");
    expect_failure(run({"--device", "/dev/kmsg:/kmsg"}, {"true"}),
                   "--device: '/kmsg' is not below /dev");
    // Another device has the name.
    expect_failure(run({"--device", "/dev/kmsg:/dev/null"}, {"true"}),
                   "--device /dev/kmsg:/dev/null: make device /dev/null");
}

// ---- --privileged -------------------------------------------------------------------------------

TEST_F(Devices, OfAPrivilegedContainerAreAll) {
    EXPECT_EQ(run_script({"--privileged"},
                         "probe open /dev/kmsg w; mknod /tmp/k c 1 11; probe open /tmp/k w; "
                         "rm /tmp/k")
                  .out,
              "ok\nok\n");
}

TEST_F(Devices, APrivilegedContainerHasEverything) {
    const Facts facts = facts_of({"--privileged"});
    const Facts ours = facts_from({.command = {probe_path()}});
    EXPECT_EQ(facts["status.CapEff"], ours["status.CapEff"]);
    EXPECT_EQ(facts["status.CapBnd"], ours["status.CapEff"]);
    EXPECT_EQ(facts["status.Seccomp"], "0");
    for (const char* place : {"/proc", "/sys", "/sys/fs/cgroup"})
        EXPECT_TRUE(facts.has_mount_option(place, "rw")) << place;
    for (const std::string& line : facts.all("mount")) {
        const std::string place = words_of(line).at(4);
        EXPECT_FALSE(place.starts_with("/proc/") || place == "/sys/firmware") << line;
    }
    EXPECT_FALSE(facts.has_mount_option("/", "nodev"));
}

TEST_F(Devices, APrivilegedContainerIsFilteredOnRequest) {
    EXPECT_EQ(facts_of({"--privileged", "--seccomp", "default"})["status.Seccomp"], "2");
}

TEST_F(Devices, ALineOfJobsMayBePrivilegedAndAnotherNot) {
    const std::string jobs = make_directory_outside() + "/jobs";
    write_file(jobs,
               R"({"id":"a","args":["grep","^Seccomp:","/proc/self/status"]})"
               "\n"
               R"({"id":"b","args":["grep","^Seccomp:","/proc/self/status"],"privileged":false})"
               "\n");
    Words lines = lines_of(run_program(sigil({"run", "--rootfs", shared_rootfs(), "--privileged",
                                              "--from", jobs, "--quiet"}))
                               .out);
    std::ranges::sort(lines);
    EXPECT_EQ(lines, (Words{"a | Seccomp:\t0", "b | Seccomp:\t2"}));
}

// ---- exec ---------------------------------------------------------------------------------------

Facts exec_facts(const Words& options) {
    const std::string name = "notes-" + std::to_string(::getpid());
    Words all = {"--name", name};
    all.insert(all.end(), options.begin(), options.end());
    Running running(waiting(all));
    EXPECT_EQ(running.next_line(), "ready");
    const Facts facts = facts_from(sigil({"exec", name, "/bin/probe"}));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    return facts;
}

TEST_F(Devices, ExecHasTheContainersOwnCapabilities) {
    for (const Words& options :
         {Words{}, Words{"--cap-drop", "ALL"}, Words{"--cap-add", "NET_ADMIN"},
          Words{"--cap-drop", "ALL", "--cap-add", "SYS_TIME"}, Words{"--privileged"}}) {
        const Facts command = facts_of(options);
        const Facts beside = exec_facts(options);
        for (const char* set : {"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "Seccomp"})
            EXPECT_EQ(beside[std::string("status.") + set], command[std::string("status.") + set])
                << set << testing::PrintToString(options);
    }
    EXPECT_EQ(exec_facts({"--seccomp", "unconfined"})["status.Seccomp"], "0");
}

TEST_F(Devices, ExecHasTheCapabilitiesOfEachOfMany) {
    const std::string jobs = make_directory_outside() + "/jobs";
    write_file(jobs, R"({"id":"none","args":["probe","signals","TERM"],"cap_drop":"ALL"})"
                     "\n");
    Running running(sigil({"run", "--rootfs", shared_rootfs(), "--from", jobs, "--quiet"}));
    ASSERT_EQ(running.next_line(), "none | ready");
    EXPECT_EQ(facts_from(sigil({"exec", "none", "/bin/probe"}))["status.CapBnd"],
              "0000000000000000");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
