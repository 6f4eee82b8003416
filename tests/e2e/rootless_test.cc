// `sigil run` of an ordinary user: a real one, that no range of IDs is set aside for unless a test
// does so.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

constexpr uid_t kUser = 12345;

void become_user() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kUser, kUser, kUser) != 0 ||
        ::setresuid(kUser, kUser, kUser) != 0)
        ::_exit(198);
}

// Whether the kernel lets such a user have a user namespace.
bool has_namespaces() {
    const pid_t child = ::fork();
    if (child == 0) {
        become_user();
        ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    }
    int word = 0;
    ::waitpid(child, &word, 0);
    return WIFEXITED(word) && WEXITSTATUS(word) == 0;
}

// The directories: what is in /bin is the same file in every root.
void give_to_user(const std::string& path) {
    ASSERT_EQ(::chown(path.c_str(), kUser, kUser), 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
        if (entry.is_directory() && !entry.is_symlink()) {
            EXPECT_EQ(::chown(entry.path().c_str(), kUser, kUser), 0);
        }
}

class Rootless : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        if (!has_namespaces())
            GTEST_SKIP() << "an ordinary user may have no user namespace here";
        // Where it was built may not be for everybody's eyes.
        program_ = make_directory_outside() + "/sigil";
        std::filesystem::copy_file(sigil_path(), program_);
        root_ = make_rootfs();
        give_to_user(root_);
        runtime_ = make_directory_outside();
        give_to_user(runtime_);
    }

    // The user's: with a root and a runtime directory of their own.
    [[nodiscard]] Start user(Start start) const {
        start.command[0] = program_;
        start.before_exec = [runtime = runtime_, cgroup = cgroup_] {
            ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
            // LeakSanitizer never ends in a process that has gone to another user namespace.
            ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
            if (!cgroup.empty() && !write_cgroup_file(cgroup, "cgroup.procs", "0"))
                ::_exit(197);
            become_user();
            (void)!::chdir("/");
        };
        return start;
    }
    [[nodiscard]] Start start(Words options, const Words& command) const {
        options.insert(options.begin(), {"--rootfs", root_});
        return user(sigil_run(options, command));
    }
    [[nodiscard]] Finished run(const Words& options, const Words& command) const {
        return run_program(start(options, command));
    }
    [[nodiscard]] Finished script(const Words& options, const std::string& text) const {
        return run(options, {"/bin/sh", "-c", text});
    }

    std::string program_;
    std::string root_;
    std::string runtime_;
    std::string cgroup_;  // to be in; empty: the test's, which is root's
};

TEST_F(Rootless, RootIsTheUser) {
    const Finished finished =
        script({},
               "id -u; id -g; cat /proc/self/uid_map; cat /proc/self/gid_map; touch /tmp/mine; "
               "stat -c %u:%g /tmp/mine");
    ASSERT_EQ(finished.code(), 0) << finished.err;
    EXPECT_EQ(words_of(finished.out),
              (Words{"0", "0", "0", "12345", "1", "0", "12345", "1", "0:0"}));
    EXPECT_EQ(finished.err, "");
    struct stat facts = {};
    ASSERT_EQ(::stat((root_ + "/tmp/mine").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, kUser);
    EXPECT_EQ(facts.st_gid, kUser);
}

TEST_F(Rootless, IsIsolatedAsEver) {
    const Facts facts = facts_from(start({}, {"/bin/probe"}));
    const Facts usual = facts_of({});
    for (const char* set :
         {"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "Seccomp", "NoNewPrivs"})
        EXPECT_EQ(facts[std::string("status.") + set], usual[std::string("status.") + set]) << set;
    EXPECT_EQ(facts.all("process"), (Words{"1", "2"}));
    EXPECT_EQ(facts.descriptors().size(), usual.descriptors().size());
    for (const std::string& line : facts.all("mount")) {
        const std::string place = words_of(line).at(4);
        EXPECT_TRUE(place == "/" || place.starts_with("/proc") || place.starts_with("/dev") ||
                    place.starts_with("/sys"))
            << line;
    }
    for (const char* place : {"/proc/sys", "/sys", "/sys/fs/cgroup"})
        EXPECT_TRUE(place == std::string("/sys/fs/cgroup") || facts.has_mount_option(place, "ro"))
            << place;
}

TEST_F(Rootless, WorksAsWithRoot) {
    EXPECT_EQ(run({}, {"/bin/probe", "pty"}).out, "pts /dev/pts/0\nok\n");
    EXPECT_EQ(run({}, {"/bin/probe", "shm"}).out, "ok\n");
    EXPECT_EQ(run({}, {"/bin/probe", "mqueue"}).out, "ok\n");
    EXPECT_EQ(run({}, {"/bin/probe", "loopback"}).out, "ok\n");
    EXPECT_EQ(run({"--no-init"}, {"/bin/probe", "exit", "7"}).code(), 7);
    EXPECT_EQ(run({"--read-only", "--tmpfs", "/x"}, {"probe", "write", "/x/y", "z"}).out, "ok\n");
    EXPECT_EQ(run({"--read-only"}, {"probe", "write", "/y", "z"}).out, "error EROFS\n");
    const Finished host = run({"--network", "host"}, {"ls", "-d", "/sys/class/net/lo"});
    EXPECT_EQ(host.out, "/sys/class/net/lo\n") << host.err;
    expect_failure(run({}, {"/nope"}), "/nope", 127);
}

TEST_F(Rootless, RunsMany) {
    const Finished finished =
        run({"--name", "n", "--count", "5", "--warm", "2", "--quiet"}, {"/bin/sh", "-c", "id -u"});
    EXPECT_EQ(finished.code(), 0) << finished.err;
    Words lines = lines_of(finished.out);
    std::ranges::sort(lines);
    EXPECT_EQ(lines, (Words{"n-1 | 0", "n-2 | 0", "n-3 | 0", "n-4 | 0", "n-5 | 0"}));
}

// ---- attacks ------------------------------------------------------------------------------------

// Who could drop a group would get at what the group is denied (CVE-2014-8989): user_namespaces(7).
TEST_F(Rootless, CannotChangeItsGroups) {
    constexpr const char* kSetgroups = "116";
    EXPECT_EQ(run({}, {"cat", "/proc/self/setgroups"}).out, "deny\n");
    EXPECT_EQ(run({}, {"/bin/probe", "call", kSetgroups, "0", "0"}).out, "error EPERM\n");
}

TEST_F(Rootless, CannotTouchFilesOfTheHostsRoot) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/secret", "secret", 0600);
    write_file(outside + "/public", "public");
    EXPECT_EQ(script({"--bind", outside + ":/host", "--cap-add", "ALL", "--no-init"},
                     "cd /host; probe open secret r; probe open public w; probe write new x; "
                     "chown 0 public 2>/dev/null || echo no")
                  .out,
              "error EACCES\nerror EACCES\nerror EACCES\nno\n");
}

TEST_F(Rootless, CannotMakeOrOpenDevices) {
    EXPECT_EQ(script({"--cap-add", "MKNOD"}, "mknod /dev/k c 1 11 2>/dev/null || echo no").out,
              "no\n");
    const std::string node = root_ + "/kmsg";
    ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0666, makedev(1, 11)), 0);
    EXPECT_EQ(run({}, {"probe", "open", "/kmsg", "w"}).out, "error EACCES\n");
}

TEST_F(Rootless, CannotChangeTheKernel) {
    EXPECT_EQ(script({"--privileged"},
                     "for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger "
                     "/sys/kernel/mm/transparent_hugepage/enabled; do [ -e $f ] && probe open $f w "
                     "| grep -v EACCES; done; exit 0")
                  .out,
              "");
}

TEST_F(Rootless, TakesNoRecordsOfAnothersDirectory) {
    const std::string theirs = make_directory_outside();
    ASSERT_EQ(::chmod(theirs.c_str(), 0777), 0);
    cgroup_ = test_cgroup();
    if (cgroup_.empty())
        GTEST_SKIP() << "without cgroup v2 nothing is written down";
    expect_failure(run({"--root", theirs, "--count", "1", "--quiet"}, {"true"}),
                   "it belongs to another user");
    EXPECT_EQ(names_in(theirs), Words{});
}

// ---- what needs root ----------------------------------------------------------------------------

TEST_F(Rootless, SaysWhatNeedsRoot) {
    for (const char* userns : {"auto", "200000:200000:100"})
        expect_failure(run({"--userns", userns}, {"true"}), "--userns: ");
    expect_failure(run({"--device", "/dev/zero:/dev/z:r"}, {"true"}),
                   "--device /dev/zero:/dev/z:r: it needs a cgroup");
    expect_failure(run({"--user", "alice"}, {"true"}), "has no user 1000");
    if (!cgroup_mount().empty())
        for (const char* option :
             {"--pids-limit=5", "--memory=64M", "--cgroup-set=cgroup.freeze=0"})
            expect_failure(run({option}, {"true"}),
                           std::string(option, ::strchr(option, '=')) + ": ");
}

TEST_F(Rootless, HasDevicesThatItMayUse) {
    EXPECT_EQ(script({"--device", "/dev/zero:/dev/z"}, "head -c 3 /dev/z | wc -c").out, "3\n");
    EXPECT_EQ(script({"--privileged"}, "[ -c /dev/kmsg ] && probe open /dev/kmsg w").out,
              "error EACCES\n");
}

// ---- its end ------------------------------------------------------------------------------------

TEST_F(Rootless, IsKilledByItsFirstProcess) {
    EXPECT_EQ(
        run({"--timeout", "50ms"}, {"/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait"}).code(),
        137);
    EXPECT_TRUE(await_no_processes());
}

TEST_F(Rootless, DiesWithSigil) {
    Running running(start({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
}

TEST_F(Rootless, PassesSignalsOn) {
    Running running(start({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    EXPECT_TRUE(running.next_line().starts_with("signal 10 "));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

// ---- with what an administrator can give --------------------------------------------------------

// Another file's content in its place, in the mount namespace of the tests alone.
class Replaced {
  public:
    Replaced(std::string path, const std::string& text) : path_(std::move(path)) {
        const std::string other = make_directory_outside() + "/file";
        write_file(other, text);
        EXPECT_EQ(::mount(other.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr), 0)
            << path_ << ": " << strerror(errno);
    }
    ~Replaced() { ::umount2(path_.c_str(), MNT_DETACH); }
    Replaced(const Replaced&) = delete;
    Replaced& operator=(const Replaced&) = delete;

  private:
    std::string path_;
};

TEST_F(Rootless, HasTheRangesThatAreSetAside) {
    if (!exists("/usr/bin/newuidmap") || !exists("/etc/subuid") || !exists("/etc/subgid"))
        GTEST_SKIP() << "newuidmap (Debian: uidmap) is not installed";
    const Replaced passwd("/etc/passwd",
                          read_file("/etc/passwd") + "somebody:x:12345:12345::/:/\n");
    const Replaced users("/etc/subuid", "somebody:400000:2000\n");
    const Replaced groups("/etc/subgid", "12345:500000:2000\n");
    const Finished finished = script({},
                                     "cat /proc/self/uid_map /proc/self/gid_map "
                                     "/proc/self/setgroups; chown alice:bob /tmp/x");
    EXPECT_EQ(words_of(finished.out), (Words{"0", "12345", "1", "1", "400000", "2000", "0", "12345",
                                             "1", "1", "500000", "2000", "allow"}))
        << finished.err;
    const Finished alice = script({"--user", "alice"}, "id -u; id -G; touch /tmp/hers");
    EXPECT_EQ(alice.out, "1000\n1000 10 44 100\n") << alice.err;
    struct stat facts = {};
    ASSERT_EQ(::stat((root_ + "/tmp/hers").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 400999U);
    EXPECT_EQ(facts.st_gid, 500999U);
}

class RootlessCgroup : public Rootless {
  protected:
    void SetUp() override {
        if (cgroup_mount().empty())
            GTEST_SKIP() << "no cgroup v2 is mounted";
        Rootless::SetUp();
        if (IsSkipped())
            return;
        const std::string path = test_cgroup() + "/delegated";
        ASSERT_TRUE(make_cgroup(path));
        for (const char* file : {"", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"})
            ASSERT_EQ(::chown((cgroup_mount() + path + file).c_str(), kUser, kUser), 0);
        cgroup_ = path;
    }
    void TearDown() override {
        if (!cgroup_.empty()) {
            EXPECT_TRUE(eventually([&] { return is_removed(); }));
        }
        Rootless::TearDown();
    }

  private:
    [[nodiscard]] bool is_removed() const {
        remove_cgroup(cgroup_);
        return !exists(cgroup_mount() + cgroup_);
    }
};

TEST_F(RootlessCgroup, OfTheUsersOwnIsUsed) {
    Running running(
        start({"--name", "mine", "--cap-drop", "ALL", "--cgroup-set", "cgroup.max.depth=3"},
              {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(cgroup_file(cgroup_ + "/sigil-mine", "cgroup.max.depth"), "3");
    const Facts beside = facts_from(user(sigil({"exec", "mine", "/bin/probe"})));
    EXPECT_EQ(beside["uid"], "0 0 0");
    EXPECT_EQ(beside["status.CapBnd"], "0000000000000000");
    EXPECT_NE(run_program(user(sigil({"list"}))).out.find("mine"), std::string::npos);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_FALSE(exists(cgroup_mount() + cgroup_ + "/sigil-mine"));
    EXPECT_EQ(names_in(runtime_ + "/sigil/runs"), Words{});
}

}  // namespace
}  // namespace sigil::e2e
