// What a container sees of other containers and of the host: nothing.
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Namespaces = E2e;

std::string own_namespace(const std::string& kind) {
    return std::filesystem::read_symlink("/proc/self/ns/" + kind);
}

std::string own_hostname() {
    char name[256] = "";
    ::gethostname(name, sizeof name);
    return name;
}

void expect_separate(const Facts& facts, const std::vector<std::string>& kinds) {
    for (const std::string& kind : kinds) {
        const std::string there = facts["ns." + kind];
        EXPECT_TRUE(there.starts_with(kind + ":[")) << kind << " " << there;
        EXPECT_NE(there, own_namespace(kind)) << kind;
    }
}

TEST_F(Namespaces, AreAllItsOwn) {
    expect_separate(facts_of({}), {"cgroup", "ipc", "mnt", "net", "pid", "uts"});
    expect_separate(facts_of({"--no-init"}), {"cgroup", "ipc", "mnt", "net", "pid", "uts"});
}

TEST_F(Namespaces, ShareTheHostsNetworkWhenAsked) {
    const Facts facts = facts_of({"--network", "host"});
    EXPECT_EQ(facts["ns.net"], own_namespace("net"));
    expect_separate(facts, {"cgroup", "ipc", "mnt", "pid", "uts"});
}

TEST_F(Namespaces, InitAndCommandAreInTheSame) {
    Running running(sigil_run({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    for (const char* kind : {"cgroup", "ipc", "mnt", "net", "pid", "uts"}) {
        std::string links[2];
        const pid_t pids[] = {init_of(running.pid()), command_of(running.pid())};
        for (int index = 0; index < 2; ++index)
            links[index] = std::filesystem::read_symlink("/proc/" + std::to_string(pids[index]) +
                                                         "/ns/" + kind);
        EXPECT_EQ(links[0], links[1]);
    }
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Namespaces, HostnameIsTheNameUnlessSaid) {
    EXPECT_EQ(facts_of({"--name", "web"})["hostname"], "web");
    EXPECT_EQ(facts_of({"--name", "web", "--hostname", "web-1.example"})["hostname"],
              "web-1.example");
    const std::string host = own_hostname();
    const std::string chosen = facts_of({})["hostname"];
    EXPECT_EQ(chosen.size(), 12U);
    EXPECT_EQ(chosen.find_first_not_of("0123456789abcdef"), std::string::npos) << chosen;
    EXPECT_NE(chosen, facts_of({})["hostname"]);
    EXPECT_EQ(own_hostname(), host);
}

TEST_F(Namespaces, PsShowsOnlyTheContainer) {
    // For a moment PID 1 is still what it was before it executed the init, and then, before the
    // init has said its name, what execveat(2) calls a file without a path ("memfd:sigil-ini").
    const Words lines = lines_of(
        run_script({},
                   "until [ $(cat /proc/1/comm) = sigil-init ]; do :; done; exec ps -o pid,comm")
            .out);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[1], "    1 sigil-init");
    EXPECT_EQ(lines[2], "    2 ps");
}

TEST_F(Namespaces, OnlyALoopbackIsThereAndItIsUp) {
    const Facts facts = facts_of({});
    EXPECT_EQ(facts.all("interface"), Words{"lo"});
    EXPECT_EQ(facts["loopback"], "up");
    const Finished finished = run({}, {"/bin/probe", "loopback"});
    EXPECT_EQ(finished.out, "ok\n");
}

TEST_F(Namespaces, NetworkNoneIsTheDefault) {
    EXPECT_EQ(facts_of({"--network", "none"}).all("interface"), Words{"lo"});
}

TEST_F(Namespaces, HostNetworkShowsTheHostsInterfaces) {
    Words interfaces = facts_of({"--network", "host"}).all("interface");
    std::ranges::sort(interfaces);
    EXPECT_EQ(interfaces, names_in("/sys/class/net"));
}

TEST_F(Namespaces, CgroupRootIsTheContainersOwn) {
    const Facts facts = facts_of({});
    for (const std::string& line : facts.all("cgroup"))
        if (line.starts_with("0::")) {
            EXPECT_EQ(line, "0::/");
        }
}

TEST_F(Namespaces, SharedMemoryOfTheHostIsNotVisible) {
    const int segment = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    ASSERT_GE(segment, 0);
    EXPECT_EQ(run({}, {"cat", "/proc/sysvipc/shm"}).out.find('\n') + 1,
              run({}, {"cat", "/proc/sysvipc/shm"}).out.size());
    ::shmctl(segment, IPC_RMID, nullptr);
}

TEST_F(Namespaces, NoMountIsSharedWithTheHost) {
    for (const std::string& line : facts_of({}).all("mount")) {
        EXPECT_EQ(line.find("shared:"), std::string::npos) << line;
        EXPECT_EQ(line.find("master:"), std::string::npos) << line;
    }
}

TEST_F(Namespaces, MountsInsideStayInside) {
    const std::string directory = make_directory_outside();
    const std::string script = "mount -t tmpfs inner /shared && touch /shared/inside && echo done";
    EXPECT_EQ(run_script({"--cap-add", "SYS_ADMIN", "--bind", directory + ":/shared"}, script).out,
              "done\n");
    EXPECT_EQ(names_in(directory), Words{});
}

TEST_F(Namespaces, MountsOfTheHostStayOutside) {
    const std::string directory = make_directory_outside();
    Start start = sigil_run({"--bind", directory + ":/shared"},
                            {"/bin/sh", "-c", "echo ready; read line; ls /shared"});
    start.keeps_input_open = true;
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr), 0);
    write_file(directory + "/late", "");
    running.type("go\n");
    EXPECT_EQ(running.wait().out, "ready\n");
    ASSERT_EQ(::umount2(directory.c_str(), MNT_DETACH), 0);
}

// Nothing of a container may keep a file system of the host busy once it is gone, nor one that it
// was never given while it runs.
TEST_F(Namespaces, PinNoMountOfTheHost) {
    const std::string directory = make_directory_outside();
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr), 0);
    Running running(sigil_run({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(::umount(directory.c_str()), 0) << strerror(errno);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
