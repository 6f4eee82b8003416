// --userns: root of the container is nobody outside.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <set>

#include "cgroups.h"
#include "fixture.h"
#include "manager_socket.h"
#include "many.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

const std::string kRange = "200000:300000:65536";

class Users : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        if (!roots_can_be_mapped())
            GTEST_SKIP() << "no idmapped mounts of a tmpfs in this kernel";
    }
};

std::string status_of(pid_t pid, const std::string& key) {
    for (const std::string& line : lines_of(read_file("/proc/" + std::to_string(pid) + "/status")))
        if (line.starts_with(key + ":\t"))
            return words_of(line).at(1);
    return "(none)";
}

uid_t first_uid_of(pid_t pid) {
    return static_cast<uid_t>(
        std::stoul(words_of(read_file("/proc/" + std::to_string(pid) + "/uid_map")).at(1)));
}

// The first processes of its containers, once the helpers that cloned them are gone.
std::vector<pid_t> containers_of(const Running& running, size_t count) {
    EXPECT_TRUE(eventually([&] { return children_of(running.pid()).size() == count; }));
    return children_of(running.pid());
}

TEST_F(Users, AreThoseOfTheMapping) {
    const Facts facts = facts_of({"--userns", kRange});
    EXPECT_EQ(facts["uid"], "0 0 0");
    EXPECT_EQ(facts["gid"], "0 0 0");
    EXPECT_EQ(facts["groups"], "");
    EXPECT_EQ(words_of(run({"--userns", kRange}, {"cat", "/proc/self/uid_map"}).out),
              (Words{"0", "200000", "65536"}));
    EXPECT_EQ(words_of(run({"--userns", kRange}, {"cat", "/proc/self/gid_map"}).out),
              (Words{"0", "300000", "65536"}));
    EXPECT_EQ(words_of(run({"--userns", "200000:300000:10,500000:600000:20"},
                           {"cat", "/proc/self/uid_map"})
                           .out),
              (Words{"0", "200000", "10", "10", "500000", "20"}));
}

TEST_F(Users, RootIsNobodyOutside) {
    for (const Words& options :
         {Words{"--userns", "auto"}, Words{"--userns", "auto", "--no-init"}}) {
        Running running(waiting(options));
        ASSERT_EQ(running.next_line(), "ready");
        const auto children = containers_of(running, 1);
        ASSERT_EQ(children.size(), 1U);
        const uid_t uid = first_uid_of(children[0]);
        EXPECT_GT(uid, 65535U);
        EXPECT_EQ(status_of(children[0], "Uid"), std::to_string(uid));
        for (const pid_t below : children_of(children[0]))
            EXPECT_EQ(status_of(below, "Uid"), std::to_string(uid));
        running.send(SIGTERM);
        EXPECT_EQ(running.wait().code(), 0);
    }
}

TEST_F(Users, OfEachContainerAreItsOwn) {
    Running one(waiting({"--userns", "auto"}));
    Running other(waiting({"--userns", "auto"}));
    Running many(sigil_run({"--userns", "auto", "--count", "4", "--quiet"},
                           {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(one.next_line(), "ready");
    ASSERT_EQ(other.next_line(), "ready");
    for (int index = 0; index < 4; ++index)
        ASSERT_NE(many.next_line().find("ready"), std::string::npos);
    std::set<uid_t> firsts;
    for (const Running* running : {&one, &other})
        firsts.insert(first_uid_of(containers_of(*running, 1).at(0)));
    for (const pid_t pid : containers_of(many, 4))
        firsts.insert(first_uid_of(pid));
    EXPECT_EQ(firsts.size(), 6U);
    for (Running* running : {&one, &other, &many}) {
        running->send(SIGTERM);
        EXPECT_EQ(running->wait().code(), 0);
    }
    EXPECT_EQ(names_in("/run/sigil/users"), Words{});
}

TEST_F(Users, MayOpenStreamsThatArePipes) {
    const Words script = {"/bin/sh", "-c", "echo out > /dev/stdout"};
    for (const Words& options : {Words{}, Words{"--user", "1000:1000"}}) {
        Words all = {"--userns", "auto"};
        all.insert(all.end(), options.begin(), options.end());
        const Finished finished = run(all, script);
        EXPECT_EQ(finished.out, "out\n") << testing::PrintToString(finished);
    }
}

// Each by the same launchers at the same time.
TEST_F(Users, OfHundredsAreMadeAtOnce) {
    const unsigned count = scaled(200, 20);
    const ManyRun run =
        run_many({"--userns", "auto", "--count", std::to_string(count)}, {"/bin/bare", "0"});
    EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(run.finished);
    EXPECT_EQ(run.events.summary("succeeded"), count);
}

// The root's files are root's inside and on the disk.
TEST_F(Users, OwnTheRootsFiles) {
    const std::string root = make_rootfs();
    const std::string script =
        "stat -c %u:%g / /bin/busybox; echo x > /etc/new; chown alice /etc/new; "
        "stat -c %u:%g /etc/new; touch /etc/mine; stat -c %u:%g /etc/mine";
    EXPECT_EQ(run_script({"--rootfs", root, "--userns", "auto"}, script).out,
              "0:0\n0:0\n1000:0\n0:0\n");
    struct stat facts = {};
    ASSERT_EQ(::stat((root + "/etc/new").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 1000U);
    ASSERT_EQ(::stat((root + "/etc/mine").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 0U);
}

TEST_F(Users, AreLookedUpAndHaveTheirGroups) {
    const Facts facts = facts_of({"--userns", kRange, "--user", "alice"});
    EXPECT_EQ(facts["uid"], "1000 1000 1000");
    EXPECT_EQ(facts["gid"], "1000 1000 1000");
    EXPECT_EQ(facts["groups"], "10 44 100");
}

TEST_F(Users, ThatAreNotThereAreAnError) {
    expect_failure(run({"--userns", "200000:300000:1000", "--user", "alice"}, {"true"}),
                   "--user: the container's user namespace has no user 1000");
    expect_failure(run({"--userns", "200000:300000:10", "--user", "5:10"}, {"true"}),
                   "--user: the container's user namespace has no group 10");
    expect_failure(run({"--userns", "0:1000:10"}, {"true"}),
                   "--userns: '0:1000:10' has the host's root in it");
}

TEST_F(Users, NeedARootThatCanBeMapped) {
    const std::string root = make_directory_outside();
    ASSERT_EQ(::mount("ramfs", root.c_str(), "ramfs", 0, nullptr), 0) << strerror(errno);
    expect_failure(run({"--rootfs", root, "--userns", "auto"}, {"true"}),
                   "knows no idmapped mounts");
    ::umount2(root.c_str(), MNT_DETACH);
}

// ---- what root of the container cannot do -------------------------------------------------------

TEST_F(Users, CannotTouchFilesOfTheHostsRoot) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/secret", "secret", 0600);
    write_file(outside + "/public", "public");
    EXPECT_EQ(run_script({"--userns", "auto", "--bind", outside + ":/host"},
                         "cd /host; probe open secret r; probe open public r; probe open public w; "
                         "probe write new x; stat -c %u secret; "
                         "chown 0 public 2>/dev/null || echo no; chmod 777 public 2>/dev/null || "
                         "echo no; rm -f public 2>/dev/null || echo no")
                  .out,
              "error EACCES\nok\nerror EACCES\nerror EACCES\n65534\nno\nno\nno\n");
}

// With every capability, which they are only in its own namespace.
TEST_F(Users, CannotChangeTheKernel) {
    const Words options = {"--userns", "auto", "--privileged"};
    EXPECT_EQ(run_script(options,
                         "for f in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness "
                         "/proc/sysrq-trigger /sys/kernel/mm/transparent_hugepage/enabled "
                         "/sys/fs/cgroup/cgroup.procs; do [ -e $f ] && "
                         "probe open $f w | grep -v EACCES; done; "
                         "ulimit -Hn 100000000 2>/dev/null && echo raised; exit 0")
                  .out,
              "");
    constexpr const char* kSettimeofday = "164";  // of nothing: only the right to it is looked at
    EXPECT_EQ(run(options, {"probe", "call", kSettimeofday, "0", "0"}).out, "error EPERM\n");
}

TEST_F(Users, CannotMakeDevices) {
    for (const char* more : {"--cap-add=MKNOD", "--privileged"}) {
        const std::string out = run_script({"--userns", "auto", more},
                                           "mknod /dev/k c 1 11 2>/dev/null || echo no; "
                                           "mknod /tmp/k c 1 11 2>/dev/null || echo no; "
                                           "echo x > /dev/null && head -c 2 /dev/zero | wc -c")
                                    .out;
        EXPECT_EQ(out, "no\nno\n2\n") << more;
    }
}

// A node on the disk is one of the host's: the root is nodev also where it is mapped.
TEST_F(Users, CannotOpenANodeOfTheImage) {
    const std::string root = make_rootfs();
    ASSERT_EQ(::mknod((root + "/kmsg").c_str(), S_IFCHR | 0666, makedev(1, 11)), 0);
    EXPECT_EQ(run({"--rootfs", root, "--userns", "auto"}, {"probe", "open", "/kmsg", "w"}).out,
              "error EACCES\n");
}

TEST_F(Users, HaveNoMountOfTheOldRoot) {
    for (const std::string& line : facts_of({"--userns", "auto"}).all("mount")) {
        const std::string place = words_of(line).at(4);
        EXPECT_TRUE(place == "/" || place.starts_with("/proc") || place.starts_with("/dev") ||
                    place.starts_with("/sys"))
            << line;
    }
}

TEST_F(Users, HaveOnlyTheirCapabilities) {
    const Facts mapped = facts_of({"--userns", "auto"});
    const Facts usual = facts_of({});
    for (const char* set :
         {"CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "Seccomp", "NoNewPrivs"})
        EXPECT_EQ(mapped[std::string("status.") + set], usual[std::string("status.") + set]) << set;
    EXPECT_EQ(mapped.descriptors().size(), usual.descriptors().size());
    // The launchers of many drop what no container keeps: it must not come back.
    const Finished many = run({"--userns", "auto", "--count", "2", "--quiet"},
                              {"grep", "CapBnd", "/proc/self/status"});
    for (const std::string& line : lines_of(many.out))
        EXPECT_TRUE(line.ends_with(usual["status.CapBnd"])) << line;
}

// ---- what they can ------------------------------------------------------------------------------

TEST_F(Users, OwnTheirNetwork) {
    EXPECT_EQ(run({"--userns", "auto"}, {"/bin/probe", "loopback"}).out, "ok\n");
    const Finished finished = run({"--userns", "auto", "--cap-add", "NET_ADMIN"},
                                  {"ip", "link", "set", "lo", "mtu", "9000"});
    EXPECT_EQ(finished.code(), 0) << finished.err;
}

TEST_F(Users, OfTheHostsNetworkDoNotOwnIt) {
    const Words options = {"--userns", "auto", "--network", "host", "--cap-add", "NET_ADMIN"};
    EXPECT_NE(run(options, {"ip", "link", "set", "lo", "mtu", "9000"}).code(), 0);
    EXPECT_EQ(run(options, {"ls", "-d", "/sys/class/net/lo"}).out, "/sys/class/net/lo\n");
}

TEST_F(Users, HaveTerminalsSharedMemoryAndQueues) {
    EXPECT_EQ(run({"--userns", "auto"}, {"/bin/probe", "pty"}).out, "pts /dev/pts/0\nok\n");
    EXPECT_EQ(run({"--userns", "auto"}, {"/bin/probe", "shm"}).out, "ok\n");
    EXPECT_EQ(run({"--userns", "auto"}, {"/bin/probe", "mqueue"}).out, "ok\n");
    EXPECT_EQ(run({"--userns", "auto", "--tmpfs", "/x"}, {"probe", "write", "/x/y", "z"}).out,
              "ok\n");
}

TEST_F(Users, HaveATerminalOfTheirOwn) {
    TerminalSession session(
        sigil_run({"--tty", "--userns", "auto"}, {"/bin/sh", "-c", "tty; echo $((40 + 2))"})
            .command);
    session.expect("/dev/pts/0");
    session.expect("42");
    (void)session.wait();
}

TEST_F(Users, TellOfTheirReadiness) {
    ManagerSocket manager;
    Running running(manager.told_by(
        sigil_run({"--userns", "auto", "--notify", "container"}, {"probe", "notify", "READY=1"})));
    EXPECT_TRUE(manager.await("READY=1"));
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Users, SeeDevicesOfTheHost) {
    EXPECT_EQ(run_script({"--userns", "auto", "--device", "/dev/zero:/dev/a/z"},
                         "head -c 5 /dev/a/z | wc -c; stat -c %t:%T /dev/a/z")
                  .out,
              "5\n1:5\n");
}

TEST_F(Users, OfACommandThatIsNotThereLeaveNothing) {
    expect_failure(run({"--userns", "auto"}, {"/nope"}), "/nope", 127);
    expect_failure(run({"--userns", "auto", "--count", "1", "--quiet"}, {"/nope"}), "/nope", 127);
    expect_failure(run({"--userns", "auto", "--bind", "/nope:/x"}, {"true"}), "/nope");
}

TEST_F(Users, DieWithSigil) {
    Running running(waiting({"--userns", "auto"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
    remove_abandoned_cgroups();
    EXPECT_TRUE(await_no_processes());
    EXPECT_EQ(names_in("/run/sigil/users").size(), 1U);
    EXPECT_EQ(run({"--userns", "auto"}, {"true"}).code(), 0);
    EXPECT_EQ(names_in("/run/sigil/users"), Words{});
}

class UsersExec : public Users {};

TEST_F(UsersExec, JoinsTheirNamespace) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "without cgroup v2, exec finds no container of run";
    const std::string name = "users-" + std::to_string(::getpid());
    Running running(waiting({"--userns", kRange, "--name", name}));
    ASSERT_EQ(running.next_line(), "ready");
    const Finished finished =
        run_program(sigil({"exec", name, "/bin/sh", "-c", "id -u; cat /proc/self/uid_map"}));
    EXPECT_EQ(words_of(finished.out), (Words{"0", "0", "200000", "65536"})) << finished.err;
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
