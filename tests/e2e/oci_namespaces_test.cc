// linux.namespaces of a bundle: joined by path, left out, and the user namespace with its mappings;
// what moves into the network namespace.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

class OciNamespaces : public E2e {
  protected:
    Bundle bundle_{{"/bin/probe"}};
    const std::string id_ = "spaces-" + std::to_string(::getpid());

    Facts facts() { return facts_from(sigil({"run", "--bundle", bundle_.path(), id_})); }
    Finished run() { return run_program(sigil({"run", "--bundle", bundle_.path(), id_})); }

    // The namespace of that type: joined by path, made anew where the path is empty.
    void set(const std::string& type, const std::string& path = {}) {
        drop(type);
        bundle_.append("/linux/namespaces",
                       R"({"type": ")" + type + "\"" +
                           (path.empty() ? "" : R"(, "path": ")" + path + "\"") + "}");
    }
    void drop(const std::string& type) {
        for (int index = 0;; ++index) {
            const std::string at = "/linux/namespaces/" + std::to_string(index);
            const std::string found = member_of(bundle_.config(), (at + "/type").c_str());
            if (found == type)
                bundle_.remove(at.c_str());
            if (found == type || found == "(none)")
                return;
        }
    }
    void map_ids(const std::string& map) {
        set("user");
        bundle_.set("/linux/uidMappings", map).set("/linux/gidMappings", map);
    }
};

// A process with namespaces of its own.
class Holder {
  public:
    explicit Holder(int flags) : running_(start(flags)) {
        EXPECT_EQ(running_.next_line(), "ready");
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return "/proc/" + std::to_string(running_.pid()) + "/ns/" + name;
    }
    [[nodiscard]] std::string target(const std::string& name) const {
        char text[64] = {};
        (void)!::readlink(path(name).c_str(), text, sizeof text - 1);
        return text;
    }

  private:
    static Start start(int flags) {
        Start start = {.command = {probe_path(), "signals", "TERM"}};
        start.before_exec = [flags] {
            if (::unshare(flags) != 0)
                ::_exit(1);
        };
        return start;
    }
    Running running_;
};

struct Kind {
    const char* type;
    const char* file;
    int flag;
};
constexpr Kind kKinds[] = {
    {"network", "net", CLONE_NEWNET},
    {"ipc", "ipc", CLONE_NEWIPC},
    {"uts", "uts", CLONE_NEWUTS},
    {"cgroup", "cgroup", CLONE_NEWCGROUP},
};

TEST_F(OciNamespaces, AreJoinedByPath) {
    for (const Kind& kind : kKinds) {
        SCOPED_TRACE(kind.type);
        const Holder holder(kind.flag);
        set(kind.type, holder.path(kind.file));
        EXPECT_EQ(facts()[std::string("ns.") + kind.file], holder.target(kind.file));
        set(kind.type);
    }
}

TEST_F(OciNamespaces, APidNamespaceIsJoined) {
    const Holder holder(0);
    set("pid", "/proc/self/ns/pid");
    EXPECT_EQ(facts()["ns.pid"], holder.target("pid"));
}

TEST_F(OciNamespaces, ThatAreLeftOutAreTheHosts) {
    const Holder holder(0);
    for (const char* type : {"network", "ipc", "cgroup", "pid"})
        drop(type);
    bundle_.remove("/mounts/4");  // a mqueue is the ipc namespace's
    const Facts facts = this->facts();
    for (const char* name : {"net", "ipc", "cgroup", "pid"})
        EXPECT_EQ(facts[std::string("ns.") + name], holder.target(name)) << name;
}

TEST_F(OciNamespaces, APathThatIsNoneIsAnError) {
    set("network", "/proc/self/ns/ipc");
    expect_failure(run(), "it is no network namespace");
    set("network", "/etc/passwd");
    expect_failure(run(), "/etc/passwd: it is no namespace");
    set("network", "/nope");
    expect_failure(run(), ".path /nope: open: No such file or directory");
}

TEST_F(OciNamespaces, TimeIsOffset) {
    set("time");
    bundle_.set("/linux/timeOffsets", R"({"boottime": {"secs": 1000000}})");
    bundle_.set("/process/args", R"(["/bin/cat", "/proc/uptime"])");
    const Finished inside = run();
    EXPECT_EQ(inside.code(), 0) << inside.err;
    const double before = std::stod(read_file("/proc/uptime"));
    EXPECT_GT(std::stod("0" + inside.out), before + 900000);
}

// ---- the user namespace -----------------------------------------------------------------------

TEST_F(OciNamespaces, RootInsideIsTheMappedUserOutside) {
    map_ids(R"([{"containerID": 0, "hostID": 100000, "size": 65536}])");
    const std::string shared = make_directory_outside();
    ASSERT_EQ(::chmod(shared.c_str(), 0777), 0);
    bundle_.append("/mounts", R"({"destination": "/tmp", "type": "bind", "source": ")" + shared +
                                  R"(", "options": ["bind"]})");
    bundle_.set("/process/args",
                R"(["/bin/sh", "-c", "id -u; cat /proc/self/uid_map; touch /tmp/made; )"
                R"(ls -d /proc/1 /sys/class; echo x > /dev/null; cat /proc/self/setgroups"])");
    const Finished inside = run();
    EXPECT_EQ(inside.code(), 0) << inside.err;
    const auto lines = lines_of(inside.out);
    ASSERT_EQ(lines.size(), 5U) << inside.out;
    EXPECT_EQ(lines[0], "0");
    EXPECT_EQ(words_of(lines[1]), (Words{"0", "100000", "65536"}));
    EXPECT_EQ(lines[4], "allow");
    struct stat facts = {};
    ASSERT_EQ(::stat((shared + "/made").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 100000U);
}

// Root inside may make nothing in a root filesystem of the host's root.
TEST_F(OciNamespaces, AUserNamespaceGetsTheMountPointsThatItsRootLacks) {
    map_ids(R"([{"containerID": 0, "hostID": 100000, "size": 65536}])");
    const std::string root = make_rootfs();
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "text\n");
    make_link("/etc", root + "/link");
    make_link("../../../../../.." + outside, root + "/evil");
    make_directory(root + "/theirs");
    ASSERT_EQ(::chown((root + "/theirs").c_str(), 100000, 100000), 0);
    bundle_.set("/root/path", "\"" + root + "\"")
        .append("/mounts", R"({"destination": "/a/b/c", "type": "tmpfs", "source": "t"})")
        .append("/mounts", R"({"destination": "/a/b/c/d", "type": "tmpfs", "source": "t"})")
        .append("/mounts", R"({"destination": "/link/new", "type": "tmpfs", "source": "t"})")
        .append("/mounts", R"({"destination": "/theirs/too", "type": "tmpfs", "source": "t"})")
        .append("/mounts", R"({"destination": "/files/one", "type": "bind", "source": ")" +
                               outside + R"(/file", "options": ["bind"]})")
        .set("/process/args", R"(["/bin/sh", "-c", "cat /files/one; cat /proc/self/mountinfo"])");
    const Finished inside = run();
    EXPECT_EQ(inside.code(), 0) << inside.err;
    EXPECT_TRUE(inside.out.starts_with("text\n")) << inside.out;
    for (const char* target : {" /proc ", " /dev ", " /sys ", " /a/b/c ", " /a/b/c/d ",
                               " /etc/new ", " /files/one ", " /theirs/too "})
        EXPECT_NE(inside.out.find(target), std::string::npos) << target << inside.out;
    struct stat facts = {};
    ASSERT_EQ(::stat((root + "/a/b/c").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 0U);
    EXPECT_EQ(facts.st_mode, S_IFDIR | 0755U);
    ASSERT_EQ(::stat((root + "/theirs/too").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 100000U);
    EXPECT_FALSE(exists(root + "/a/b/c/d")) << "it is in the tmpfs";

    bundle_.append("/mounts", R"({"destination": "/evil/new", "type": "tmpfs", "source": "t"})");
    (void)run();
    EXPECT_FALSE(exists(outside + "/new")) << "made outside of the root";
}

TEST_F(OciNamespaces, AUserNamespaceHasAllTheMounts) {
    map_ids(R"([{"containerID": 0, "hostID": 0, "size": 4294967295}])");
    set("time");
    bundle_.set("/linux/timeOffsets", R"({"monotonic": {"secs": 100}})");
    const Facts facts = this->facts();
    for (const char* target : {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"})
        EXPECT_NE(facts.mount_on(target), "(none)") << target;
    EXPECT_EQ(facts["hostname"], "bundled");
    EXPECT_EQ(facts["uid"], "0 0 0");
    EXPECT_EQ(facts["status.CapEff"], "0000000020000420");
    EXPECT_EQ(facts["status.CapAmb"], "0000000000000000");
    EXPECT_EQ(facts["status.CapInh"], "0000000000000000");
}

TEST_F(OciNamespaces, AJoinedUserNamespaceOwnsTheNewOnes) {
    Running holder(
        {.command = {"unshare", "--user", "--map-root-user", probe_path(), "signals", "TERM"}});
    ASSERT_EQ(holder.next_line(), "ready");
    const std::string path = "/proc/" + std::to_string(holder.pid()) + "/ns/user";
    char target[64] = {};
    ASSERT_GT(::readlink(path.c_str(), target, sizeof target - 1), 0);
    set("user", path);
    const Facts facts = this->facts();
    EXPECT_EQ(facts["ns.user"], target);
    EXPECT_EQ(facts["pid"], "1");
    EXPECT_EQ(facts["hostname"], "bundled");  // of a uts namespace that it may name
    EXPECT_NE(facts.mount_on("/proc"), "(none)");
}

// ---- network devices --------------------------------------------------------------------------

class OciNetDevices : public OciNamespaces {
  protected:
    void SetUp() override {
        OciNamespaces::SetUp();
        const Finished made = run_program(in_own_network("true"));
        if (made.code() != 0)
            GTEST_SKIP() << "no veth devices can be made here: " << made.err;
        bundle_.set("/process/args", R"(["/bin/ip", "addr"])");
    }
    // A shell in a network namespace with two devices, v0 with an address, and v1.
    [[nodiscard]] static Start in_own_network(const std::string& script) {
        Start start = {.command = {"/bin/sh", "-c",
                                   "ip link add v0 type veth peer name v1 && "
                                   "ip addr add 10.9.0.2/24 dev v0 && ip link set v0 up && "
                                   "ip link set v1 up && " +
                                       script}};
        start.before_exec = [] {
            if (::unshare(CLONE_NEWNET) != 0)
                ::_exit(1);
        };
        return start;
    }
    Finished run_there(const std::string& more = {}) {
        return run_program(
            in_own_network(sigil_path() + " run --bundle " + bundle_.path() + " " + id_ + more));
    }
};

TEST_F(OciNetDevices, MoveWithTheirAddressUnderTheirNewName) {
    bundle_.set("/linux/netDevices", R"({"v0": {"name": "eth0"}, "v1": {}})");
    const Finished inside = run_there();
    EXPECT_EQ(inside.code(), 0) << inside.err;
    for (const char* part : {": eth0", ": v1", "inet 10.9.0.2/24", "LOWER_UP"})
        EXPECT_NE(inside.out.find(part), std::string::npos) << part << "\n" << inside.out;
}

TEST_F(OciNetDevices, ThatAreNotThereAreAnError) {
    bundle_.set("/linux/netDevices", R"({"nope": {}})");
    expect_failure(run_there(), "linux.netDevices.nope: No such device");
}

TEST_F(OciNetDevices, ANameThatIsTakenIsAnErrorAndLeavesTheDevice) {
    bundle_.set("/linux/netDevices", R"({"v0": {"name": "lo"}})");
    const Finished finished = run_there("; ip addr show v0");
    EXPECT_NE(finished.err.find("linux.netDevices.v0: the container has a device lo already"),
              std::string::npos)
        << finished.err;
    EXPECT_NE(finished.out.find("inet 10.9.0.2/24"), std::string::npos) << finished.out;
}

}  // namespace
}  // namespace sigil::e2e
