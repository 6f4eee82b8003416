// The container's root: /proc, /dev, /sys, what is hidden and what is read-only.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Rootfs = E2e;

// "ok" or "error ENAME".
std::string try_write(const Words& options, const std::string& path) {
    return run(options, {"/bin/probe", "write", path, "x"}).out;
}

std::string try_open(const std::string& path, const char* mode) {
    return run({}, {"/bin/probe", "open", path, mode}).out;
}

TEST_F(Rootfs, IsTheDirectoryAndNothingAboveIt) {
    EXPECT_EQ(run({}, {"cat", "/../../../etc/passwd"}).out,
              read_file(shared_rootfs() + "/etc/passwd"));
    const std::string script = "cd /; cd ../..; pwd; ls -di / /.. | cut -d/ -f1 | sort -u | wc -l";
    EXPECT_EQ(run_script({}, script).out, "/\n1\n");
}

// Each mount is the root or below a place that sigil makes; the first is the root, and is so once.
TEST_F(Rootfs, HasNoMountOfTheOldRoot) {
    const Words mounts = facts_of({}).all("mount");
    int roots = 0;
    for (const std::string& line : mounts) {
        const std::string place = words_of(line).at(4);
        roots += place == "/";
        EXPECT_TRUE(place == "/" || place.starts_with("/proc") || place.starts_with("/dev") ||
                    place.starts_with("/sys"))
            << line;
        EXPECT_EQ(line.find(" /sys/fs/cgroup/"), std::string::npos) << line;
    }
    EXPECT_EQ(roots, 1);
    EXPECT_EQ(words_of(mounts.at(0)).at(4), "/");
}

TEST_F(Rootfs, HoldsAgainstTheOldEscapeFromAChroot) {
    const std::string root = make_rootfs();
    const std::string marker = make_directory_outside();
    EXPECT_EQ(run({"--rootfs", root}, {"/bin/probe", "escape", marker}).out, "marker hidden\n");
}

TEST_F(Rootfs, ProcIsTheContainersOwn) {
    const Facts facts = facts_of({});
    const std::string mount = facts.mount_on("/proc");
    EXPECT_NE(mount.find(" - proc "), std::string::npos) << mount;
    for (const char* option : {"nosuid", "nodev", "noexec"})
        EXPECT_TRUE(facts.has_mount_option("/proc", option)) << mount;
    EXPECT_EQ(facts.all("process"), (Words{"1", "2"}));
}

TEST_F(Rootfs, HasTheStandardDevices) {
    const std::string script =
        "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a %u:%g %F' $d; done";
    EXPECT_EQ(run_script({"--workdir", "/dev"}, script).out,
              "null 1:3 666 0:0 character special file\n"
              "zero 1:5 666 0:0 character special file\n"
              "full 1:7 666 0:0 character special file\n"
              "random 1:8 666 0:0 character special file\n"
              "urandom 1:9 666 0:0 character special file\n"
              "tty 5:0 666 0:0 character special file\n");
}

TEST_F(Rootfs, DevicesWork) {
    EXPECT_EQ(run_script({},
                         "echo x >/dev/null; head -c 3 /dev/zero | wc -c;"
                         "head -c 3 /dev/urandom | wc -c; cat /dev/null | wc -c")
                  .out,
              "3\n3\n0\n");
    EXPECT_EQ(run({}, {"/bin/probe", "fill", "/dev/full", "10"}).out, "filled 0 ENOSPC\n");
    EXPECT_EQ(run({"--user", "1000"}, {"/bin/probe", "fill", "/dev/full", "10"}).out,
              "filled 0 ENOSPC\n");
}

TEST_F(Rootfs, HasTheStandardLinks) {
    const std::string script = "for l in fd stdin stdout stderr ptmx; do readlink $l; done";
    EXPECT_EQ(run_script({"--workdir", "/dev"}, script).out,
              "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
    EXPECT_EQ(run_script({}, "echo out >/dev/stdout; echo err >/dev/stderr").err, "err\n");
}

TEST_F(Rootfs, DevHasNoOtherDevice) {
    const Finished finished = run_script({}, "find /dev -type b -o -type c | sort");
    EXPECT_EQ(lines_of(finished.out),
              (Words{"/dev/full", "/dev/null", "/dev/pts/ptmx", "/dev/random", "/dev/tty",
                     "/dev/urandom", "/dev/zero"}));
}

TEST_F(Rootfs, TerminalsCanBeMade) {
    EXPECT_EQ(run({}, {"/bin/probe", "pty"}).out, "pts /dev/pts/0\nok\n");
    EXPECT_EQ(run({"--user", "1000"}, {"/bin/probe", "pty"}).out, "pts /dev/pts/0\nok\n");
}

TEST_F(Rootfs, SharedMemoryAndMessageQueuesWork) {
    for (const Words& options : {Words{}, Words{"--user", "1000"}, Words{"--read-only"}}) {
        EXPECT_EQ(run(options, {"/bin/probe", "shm"}).out, "ok\n");
        EXPECT_EQ(run(options, {"/bin/probe", "mqueue"}).out, "ok\n");
    }
}

TEST_F(Rootfs, SysIsReadOnly) {
    const Facts facts = facts_of({});
    for (const char* option : {"ro", "nosuid", "nodev", "noexec"})
        EXPECT_TRUE(facts.has_mount_option("/sys", option)) << facts.mount_on("/sys");
    EXPECT_EQ(
        run({}, {"/bin/probe", "open", "/sys/kernel/mm/transparent_hugepage/enabled", "w"}).out,
        "error EROFS\n");
    EXPECT_EQ(run({}, {"/bin/probe", "mkdir", "/sys/fs/cgroup/sub"}).out, "error EROFS\n");
}

TEST_F(Rootfs, SysStaysReadOnlyOnTheHostsNetwork) {
    EXPECT_TRUE(facts_of({"--network", "host"}).has_mount_option("/sys", "ro"));
}

TEST_F(Rootfs, HostilePathsAreMasked) {
    for (const char* file : {"/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                             "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats"}) {
        if (!exists(file))
            continue;
        EXPECT_EQ(run_script({}, std::string("cat ") + file + " | wc -c").out, "0\n") << file;
    }
    for (const char* directory : {"/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware",
                                  "/sys/devices/virtual/powercap"}) {
        if (!exists(directory))
            continue;
        EXPECT_EQ(run({}, {"ls", "-A", directory}).out, "") << directory;
        // procfs looks for the name before it minds that it is read-only.
        const std::string written = try_write({}, std::string(directory) + "/new");
        EXPECT_TRUE(written == "error EROFS\n" || written == "error ENOENT\n")
            << directory << ": " << written;
        EXPECT_EQ(run({}, {"stat", "-c", "%A", directory}).out, "dr-xr-xr-x\n") << directory;
    }
}

TEST_F(Rootfs, TheRestOfProcIsWritable) {
    const Facts facts = facts_of({});
    EXPECT_TRUE(facts.has_mount_option("/proc", "rw")) << facts.mount_on("/proc");
    EXPECT_TRUE(facts.has_mount_option("/proc/sys", "ro")) << facts.mount_on("/proc/sys");
    for (const char* option : {"nosuid", "nodev", "noexec"})
        for (const char* path : {"/proc", "/proc/sys", "/proc/bus"})
            EXPECT_TRUE(facts.has_mount_option(path, option)) << facts.mount_on(path);
    EXPECT_EQ(
        run_script({}, "echo 500 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj").out,
        "500\n");
}

TEST_F(Rootfs, DangerousPathsOfProcAreReadOnly) {
    for (const char* path : {"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
                             "/proc/irq/default_smp_affinity"}) {
        if (exists(path)) {
            EXPECT_EQ(try_open(path, "w"), "error EROFS\n") << path;
        }
    }
    const Facts facts = facts_of({});
    for (const char* path :
         {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}) {
        if (exists(path)) {
            EXPECT_TRUE(facts.has_mount_option(path, "ro")) << path;
        }
    }
}

TEST_F(Rootfs, WhatBelongsToTheProcessStaysWritable) {
    EXPECT_EQ(run_script({}, "printf renamed >/proc/$$/comm; cat /proc/$$/comm; :").out,
              "renamed\n");
    EXPECT_EQ(try_write({}, "/proc/self/oom_score_adj"), "error EINVAL\n");
}

TEST_F(Rootfs, IsWritableUnlessSaid) {
    const std::string root = make_rootfs();
    EXPECT_EQ(try_write({"--rootfs", root}, "/tmp/file"), "ok\n");
    EXPECT_EQ(read_file(root + "/tmp/file"), "x");
}

TEST_F(Rootfs, IsReadOnlyWhenAsked) {
    const std::string root = make_rootfs();
    const Words options = {"--rootfs", root, "--read-only"};
    EXPECT_EQ(try_write(options, "/tmp/file"), "error EROFS\n");
    EXPECT_EQ(try_write(options, "/etc/passwd"), "error EROFS\n");
    EXPECT_EQ(try_write(options, "/dev/shm/file"), "ok\n");
    EXPECT_EQ(names_in(root + "/tmp"), Words{});
    EXPECT_TRUE(facts_of(options).has_mount_option("/", "ro"));
    // The host's own view is what it was.
    write_file(root + "/tmp/later", "");
}

TEST_F(Rootfs, ReadOnlyLeavesOwnMountsAsTheyAre) {
    const std::string shared = make_directory_outside();
    const Words options = {"--read-only", "--tmpfs", "/tmp", "--bind", shared + ":/mnt"};
    EXPECT_EQ(try_write(options, "/tmp/file"), "ok\n");
    EXPECT_EQ(try_write(options, "/mnt/file"), "ok\n");
    EXPECT_EQ(read_file(shared + "/file"), "x");
}

// A mount below the root directory of the host comes along; --read-only means that too.
TEST_F(Rootfs, ReadOnlyIncludesMountsBelowTheRoot) {
    const std::string root = make_rootfs();
    make_directory(root + "/data");
    ASSERT_EQ(::mount("tmpfs", (root + "/data").c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_EQ(try_write({"--rootfs", root}, "/data/file"), "ok\n");
    EXPECT_EQ(try_write({"--rootfs", root, "--read-only"}, "/data/file"), "error EROFS\n");
    EXPECT_EQ(::umount((root + "/data").c_str()), 0);
}

TEST_F(Rootfs, ADeviceInTheImageOpensNothing) {
    const std::string root = make_rootfs();
    ASSERT_EQ(::mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    EXPECT_EQ(run({"--rootfs", root}, {"/bin/probe", "open", "/null", "r"}).out, "error EACCES\n");
}

TEST_F(Rootfs, DirectoriesThatAreMissingAreMade) {
    const std::string root = make_rootfs();
    EXPECT_EQ(run({"--rootfs", root}, {"true"}).code(), 0);
    for (const char* name : {"/dev", "/proc", "/sys"})
        EXPECT_EQ(names_in(root + name), Words{}) << name;
}

TEST_F(Rootfs, MayBeReadOnlyOnTheHost) {
    const std::string root = make_rootfs();
    for (const char* name : {"/dev", "/proc", "/sys"})
        make_directory(root + name);
    ASSERT_EQ(::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
              0);
    EXPECT_EQ(try_write({"--rootfs", root}, "/tmp/file"), "error EROFS\n");
    EXPECT_EQ(try_write({"--rootfs", root}, "/dev/shm/file"), "ok\n");
    EXPECT_EQ(::umount2(root.c_str(), MNT_DETACH), 0);
}

TEST_F(Rootfs, MayBeTheHostsOwn) {
    const Finished finished =
        run_program(sigil({"run", "--rootfs", "/", "--read-only", "--", probe_path()}));
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    EXPECT_EQ(Facts(finished.out)["pid"], "2");
}

TEST_F(Rootfs, AnImageOfAnotherUserIsNoHindrance) {
    const std::string root = make_rootfs();
    ASSERT_EQ(::chown(root.c_str(), 1000, 1000), 0);
    ASSERT_EQ(::chmod(root.c_str(), 0700), 0);
    EXPECT_EQ(run({"--rootfs", root}, {"true"}).code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
