// What a bundle's process is, and what its namespaces hold, seen from inside.
#include <linux/capability.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "bundle.h"

namespace sigil::bundle {
namespace {

using e2e::Facts;
using e2e::make_directory_outside;
using e2e::make_rootfs;

constexpr uint64_t bit(int capability) {
    return uint64_t{1} << capability;
}

TEST_F(BundleTest, TheCommandIsPid1InASessionOfItsOwn) {
    const Facts facts = facts_of(Bundle());
    EXPECT_EQ(facts["pid"], "1");
    EXPECT_EQ(facts["sid"], "1");
    EXPECT_EQ(facts["status.NoNewPrivs"], "1");
    EXPECT_EQ(facts["umask"], "0022");
    EXPECT_EQ(facts["cwd"], "/");
    EXPECT_EQ(facts["loopback"], "up");
    EXPECT_EQ(facts.all("env"), (std::vector<std::string>{"PATH=/bin", "HOME=/root"}));
}

TEST_F(BundleTest, NoDescriptorGetsIn) {
    const Facts facts = facts_of(Bundle());
    std::vector<std::string> numbers;
    for (const auto& [number, target] : facts.descriptors())
        numbers.push_back(number);
    EXPECT_EQ(numbers, (std::vector<std::string>{"0", "1", "2"}));
}

TEST_F(BundleTest, TheUserIsTheOneOfTheConfig) {
    Bundle bundle;
    bundle.oci.process.uid = 1000;
    bundle.oci.process.gid = 100;
    bundle.oci.process.additional_gids = {7, 8};
    bundle.oci.process.umask = 0027;
    const Facts facts = facts_of(bundle);
    EXPECT_EQ(facts["uid"], "1000 1000 1000");
    EXPECT_EQ(facts["gid"], "100 100 100");
    EXPECT_EQ(facts["groups"], "7 8");
    EXPECT_EQ(facts["umask"], "0027");
    EXPECT_EQ(facts["env"], "PATH=/bin") << "the first";
    EXPECT_EQ(facts.all("env").back(), "HOME=/home/alice");
}

TEST_F(BundleTest, CapabilitiesAreExactlyThose) {
    Bundle bundle;
    bundle.oci.process.uid = 1000;
    const uint64_t kill = bit(CAP_KILL);
    const uint64_t raw = bit(CAP_NET_RAW);
    const uint64_t chown = bit(CAP_CHOWN);
    bundle.oci.process.capabilities = {.bounding = kill | raw | chown,
                                       .effective = kill,
                                       .inheritable = kill | raw,
                                       .permitted = kill | raw,
                                       .ambient = kill};
    bundle.spec.no_new_privileges = false;
    const Facts facts = facts_of(bundle);
    EXPECT_EQ(facts["status.CapBnd"], "0000000000002021");
    EXPECT_EQ(facts["status.CapInh"], "0000000000002020");
    EXPECT_EQ(facts["status.CapAmb"], "0000000000000020");
    // execve(2) by a user who is not root: the ambient ones are what is left.
    EXPECT_EQ(facts["status.CapPrm"], "0000000000000020");
    EXPECT_EQ(facts["status.CapEff"], "0000000000000020");
    EXPECT_EQ(facts["status.NoNewPrivs"], "0");
}

// `runc spec` writes such a config.json.
TEST_F(BundleTest, AnAmbientCapabilityThatIsNotInheritableIsLeftOut) {
    Bundle bundle;
    bundle.oci.process.capabilities.ambient = bit(CAP_KILL);
    const Facts facts = facts_of(bundle);
    EXPECT_EQ(facts["status.CapAmb"], "0000000000000000");
    EXPECT_EQ(facts["status.CapInh"], "0000000000000000");
}

TEST_F(BundleTest, TheWorkingDirectoryIsMadeAndIsInTheContainer) {
    Bundle bundle(make_rootfs());
    bundle.spec.cwd = "/made/for/it";
    EXPECT_EQ(facts_of(bundle)["cwd"], "/made/for/it");
    for (const char* leak : {"/proc/self/fd/3", "/proc/self/fd/7/..", "/proc/self/cwd"}) {
        bundle.spec.cwd = leak;
        EXPECT_TRUE(holds(run(bundle.runs({"/bin/true"})).error, "process.cwd: ")) << leak;
    }
}

TEST_F(BundleTest, ADirectoryThatOnlyTheUserMayEnterIsEntered) {
    const std::string root = make_rootfs();
    e2e::make_directory(root + "/home/alice/private");
    ASSERT_EQ(::chown((root + "/home/alice").c_str(), 1000, 1000), 0);
    ASSERT_EQ(::chmod((root + "/home/alice").c_str(), 0700), 0);
    Bundle bundle(root);
    bundle.spec.cwd = "/home/alice/private";
    bundle.oci.process.uid = 1000;
    EXPECT_EQ(facts_of(bundle)["cwd"], "/home/alice/private");
}

TEST_F(BundleTest, NamesAreThoseOfTheUtsNamespace) {
    Bundle bundle;
    bundle.spec.hostname = "inside";
    bundle.oci.domainname = "example.org";
    EXPECT_EQ(output_of(bundle, "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"),
              "inside\nexample.org\n");
    bundle.without(NamespaceKind::uts).runs({"/bin/true"});
    EXPECT_EQ(run(bundle).error, "hostname: needs a uts namespace");
    bundle.spec.hostname = "";
    EXPECT_EQ(run(bundle).error, "domainname: needs a uts namespace");
}

TEST_F(BundleTest, NamespacesThatAreNotListedAreTheHosts) {
    Bundle bundle;
    bundle.without(NamespaceKind::network).without(NamespaceKind::ipc);
    bundle.clear_mounts().mount("proc", "proc", "/proc");
    const Facts inside = facts_of(bundle);
    char host[64] = "";
    EXPECT_GT(::readlink("/proc/self/ns/net", host, sizeof host - 1), 0);
    EXPECT_EQ(inside["ns.net"], host);
    EXPECT_NE(facts_of(Bundle())["ns.net"], host);
}

TEST_F(BundleTest, SysctlsAreSetBeforeProcIsReadOnly) {
    Bundle bundle;
    bundle.oci.readonly_paths = {"/proc/sys"};
    bundle.oci.sysctl = {{"net.ipv4.ip_forward", "1"},
                         {"net/ipv4/ip_default_ttl", "33"},
                         {"kernel.shmmni", "77"},
                         {"fs.mqueue.msg_max", "11"}};
    EXPECT_EQ(output_of(bundle,
                        "cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/ip_default_ttl "
                        "kernel/shmmni fs/mqueue/msg_max"),
              "1\n33\n77\n11\n");
    // Without a /proc of the container's, too.
    bundle.clear_mounts().script("true");
    EXPECT_EQ(run(bundle).error, "");
}

TEST_F(BundleTest, ASysctlThatTheKernelRefusesIsNamed) {
    Bundle bundle;
    bundle.runs({"/bin/true"});
    bundle.oci.sysctl = {{"net.ipv4.nosuch", "1"}};
    EXPECT_EQ(run(bundle).error,
              "linux.sysctl.net.ipv4.nosuch: write '1' to /proc/sys/net/ipv4/nosuch: No such file "
              "or directory");
    bundle.oci.sysctl = {{"net.ipv4.ip_forward", "many"}};
    EXPECT_TRUE(holds(run(bundle).error, "linux.sysctl.net.ipv4.ip_forward: "));
    bundle.oci.sysctl = {{"kernel.pid_max", "400"}};
    EXPECT_EQ(run(bundle).error,
              "linux.sysctl.kernel.pid_max is in no namespace: it would be the host's");
}

TEST_F(BundleTest, ALimitAndTheOomScoreAreTheProcesses) {
    Bundle bundle;
    bundle.spec.rlimits = {{RLIMIT_NOFILE, 100, 200, "RLIMIT_NOFILE"}};
    bundle.oci.process.oom_score_adj = 123;
    const Facts facts = facts_of(bundle);
    EXPECT_EQ(facts["rlimit.nofile"], "100 200");
    EXPECT_EQ(facts["oom_score_adj"], "123");
}

TEST_F(BundleTest, SchedulerIoPriorityPersonalityAndMemoryPolicyAreSet) {
    Bundle bundle;
    constexpr uint32_t kBatch = 3;              // SCHED_BATCH
    constexpr uint32_t kBestEffort = 2U << 13;  // IOPRIO_CLASS_BE
    bundle.oci.process.scheduler = Scheduler{.policy = kBatch, .nice = 7};
    bundle.oci.process.io_priority = kBestEffort | 5;
    bundle.oci.personality = PER_LINUX32;
    bundle.oci.memory_policy = MemoryPolicy{.mode = 2, .flags = 0, .nodes = {0}};  // MPOL_BIND
    EXPECT_EQ(output_of(bundle,
                        "cut -d' ' -f19,41 /proc/self/stat; uname -m; "
                        "cut -d' ' -f2 /proc/1/numa_maps | sort -u; ionice -p 1"),
              "7 3\ni686\nbind:0\nbest-effort: prio 5\n");
    bundle.oci.process.scheduler = Scheduler{.policy = 99};
    EXPECT_EQ(run(bundle.runs({"/bin/true"})).error,
              "process.scheduler: set the scheduler: Invalid argument");
}

TEST_F(BundleTest, AProfileThatTheMachineCannotApplyIsAnError) {
    Bundle bundle;
    bundle.runs({"/bin/true"});
    bundle.oci.process.apparmor_profile = "a-profile-that-nobody-loaded";
    EXPECT_TRUE(holds(run(bundle).error, "process.apparmorProfile: "));
    bundle.oci.process.apparmor_profile = "";
    bundle.oci.process.selinux_label = "no:such:label:s0";
    EXPECT_TRUE(holds(run(bundle).error, "process.selinuxLabel: "));
}

TEST_F(BundleTest, TheCommandIsFoundByItsOwnPath) {
    Bundle bundle;
    bundle.runs({"true"});
    EXPECT_EQ(run(bundle).code, 0);
    bundle.spec.env = {"PATH=/nowhere"};
    EXPECT_EQ(run(bundle).error, "true: No such file or directory");
    bundle.spec.args = {};
    EXPECT_EQ(run(bundle).error, "process.args: nothing to run");
}

// ---- in a user namespace ----------------------------------------------------------------------

TEST_F(BundleTest, InAUserNamespaceEverythingIsThere) {
    Bundle bundle(make_rootfs());
    ASSERT_EQ(::chmod(bundle.spec.rootfs.c_str(), 0777), 0);  // mount points are made by its root
    for (const char* name : {"proc", "sys", "dev"})
        e2e::make_directory(bundle.spec.rootfs + "/" + name);
    bundle.in_user_namespace();
    bundle.oci.masked_paths = {"/proc/keys", "/sys/firmware"};
    bundle.oci.readonly_paths = {"/proc/sys"};
    bundle.oci.sysctl = {{"net.ipv4.ip_forward", "1"}};
    bundle.oci.process.oom_score_adj = 500;
    const Facts facts = facts_of(bundle);
    EXPECT_EQ(facts["uid"], "0 0 0");
    EXPECT_EQ(facts["pid"], "1");
    EXPECT_TRUE(facts.has_mount_option("/proc/sys", "ro"));
    EXPECT_NE(facts.mount_on("/sys"), "(none)");
    EXPECT_NE(facts.mount_on("/dev/null"), "(none)") << "a bind of the host's";
    EXPECT_EQ(output_of(bundle,
                        "echo x >/dev/null; cat /proc/sys/net/ipv4/ip_forward /proc/keys; "
                        "stat -c '%F %t:%T' /dev/zero; ls -d /sys/kernel"),
              "1\ncharacter special file 1:5\n/sys/kernel\n");
}

TEST_F(BundleTest, InAUserNamespaceTheHostsNetworkHasTheHostsSysfs) {
    Bundle bundle(make_rootfs());
    ASSERT_EQ(::chmod(bundle.spec.rootfs.c_str(), 0777), 0);
    bundle.in_user_namespace().without(NamespaceKind::network);
    const Facts facts = facts_of(bundle);
    EXPECT_NE(facts.mount_on("/sys"), "(none)");
    EXPECT_TRUE(facts.has_mount_option("/sys", "ro"));
}

TEST_F(BundleTest, InAUserNamespaceNothingIsSharedWithTheHost) {
    const std::string outside = make_directory_outside();
    Bundle bundle(make_rootfs());
    ASSERT_EQ(::chmod(bundle.spec.rootfs.c_str(), 0777), 0);
    bundle.oci.rootfs_propagation = "rshared";
    bundle.in_user_namespace().mount("bind", outside, "/mnt", {"rbind", "rshared"});
    const auto words = e2e::words_of(facts_of(bundle).mount_on("/mnt"));
    EXPECT_TRUE(holds(words.at(6), "shared:"));
    EXPECT_TRUE(holds(words.at(7), "master:"));
}

TEST_F(BundleTest, WithoutPivotRootTheHostIsHiddenAllTheSame) {
    for (const bool in_user_namespace : {false, true}) {
        Bundle bundle(make_rootfs());
        ASSERT_EQ(::chmod(bundle.spec.rootfs.c_str(), 0777), 0);
        bundle.no_pivot = true;
        if (in_user_namespace)
            bundle.in_user_namespace();
        bundle.spec.read_only_root = true;
        EXPECT_EQ(output_of(bundle,
                            "ls -d /work 2>/dev/null; ls /bin/probe; echo x >/dev/null; "
                            "touch /x 2>/dev/null || echo read-only"),
                  "/bin/probe\nread-only\n");
    }
}

}  // namespace
}  // namespace sigil::bundle
