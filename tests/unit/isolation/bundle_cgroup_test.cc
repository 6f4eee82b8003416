// The cgroup of an OCI bundle: where it is, whose it is, and when one that is there is taken.
#include "isolation/bundle_cgroup.h"

#include <errno.h>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "isolation/cgroup.h"
#include "isolation/cgroup_control.h"
#include "isolation/cgroup_fixture.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;

std::string path_of(const std::string& cgroups_path, const std::string& parent = "/own") {
    auto path = bundle_cgroup_path(cgroups_path, parent, "web");
    return path ? *path : path.error().message();
}

TEST(BundleCgroupPath, IsFromTheMountsRootIfAbsolute) {
    EXPECT_EQ(path_of("/a/b"), "/a/b");
    EXPECT_EQ(path_of("//a///b/./"), "/a/b");
}

TEST(BundleCgroupPath, IsBelowTheParentIfRelative) {
    EXPECT_EQ(path_of("a/b"), "/own/a/b");
    EXPECT_EQ(path_of("a", "/"), "/a");
}

TEST(BundleCgroupPath, IsTheContainersIdIfThereIsNone) {
    EXPECT_EQ(path_of(""), "/web");
}

TEST(BundleCgroupPath, DoesNotLeaveTheMount) {
    EXPECT_EQ(path_of("/a/../../../b"), "/b");
    EXPECT_EQ(path_of("../../../b"), "/b");
    EXPECT_EQ(path_of("../b", "/x/y"), "/x/b");
}

TEST(BundleCgroupPath, IsNotTheRoot) {
    EXPECT_EQ(path_of("/"), "linux.cgroupsPath: / is the root of all cgroups");
    EXPECT_EQ(path_of("/a/.."), "linux.cgroupsPath: /a/.. is the root of all cgroups");
}

Spec delegated_spec() {
    Oci oci;
    oci.namespaces = {{NamespaceKind::user, ""}, {NamespaceKind::cgroup, ""}};
    oci.uid_mappings = {{0, 100000, 1000}, {1000, 5000, 1}};
    Spec spec;
    spec.oci = std::make_shared<Oci>(oci);
    spec.mounts = {{.type = "cgroup", .target = "/sys/fs/cgroup/", .options = {"rw"}}};
    return spec;
}
template <typename Change>
Spec changed(Change change) {
    Spec spec = delegated_spec();
    Oci oci = *spec.oci;
    change(spec, oci);
    spec.oci = std::make_shared<Oci>(oci);
    return spec;
}

TEST(BundleCgroupOwner, IsTheProcessesUserOnTheMachine) {
    EXPECT_EQ(bundle_cgroup_owner(delegated_spec()), 100000U);
    EXPECT_EQ(bundle_cgroup_owner(changed([](Spec&, Oci& oci) { oci.process.uid = 7; })), 100007U);
    EXPECT_EQ(bundle_cgroup_owner(changed([](Spec&, Oci& oci) { oci.process.uid = 1000; })), 5000U);
}

TEST(BundleCgroupOwner, IsNobodyElseWithoutNamespacesAndAWritableMount) {
    EXPECT_FALSE(bundle_cgroup_owner(Spec()));
    EXPECT_FALSE(bundle_cgroup_owner(changed([](Spec&, Oci& oci) {
        oci.namespaces = {{NamespaceKind::cgroup, ""}};
    })));
    EXPECT_FALSE(bundle_cgroup_owner(changed([](Spec&, Oci& oci) {
        oci.namespaces = {{NamespaceKind::user, ""}};
    })));
    EXPECT_FALSE(bundle_cgroup_owner(
        changed([](Spec&, Oci& oci) { oci.namespaces[1].path = "/proc/1/ns/cgroup"; })));
    EXPECT_FALSE(
        bundle_cgroup_owner(changed([](Spec& spec, Oci&) { spec.mounts[0].options = {"ro"}; })));
    EXPECT_FALSE(bundle_cgroup_owner(changed([](Spec& spec, Oci&) { spec.mounts.clear(); })));
    EXPECT_FALSE(bundle_cgroup_owner(changed([](Spec&, Oci& oci) { oci.process.uid = 1001; })));
}

uid_t owner_of(const TempDir& files, const char* name) {
    return sys::stat(AT_FDCWD, files.at(name).c_str())->stx_uid;
}

TEST(BundleCgroupOwner, GetsTheDirectoryAndTheFilesThatTheKernelNames) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can give files away";
    const TempDir files;
    files.write("cgroup.procs", "");
    files.write("cgroup.threads", "");
    files.write("memory.max", "");
    files.write("delegate", "cgroup.procs\ncgroup.threads\nmemory.oom.group\n");
    const Fd directory = files.open();
    ASSERT_EQ(message_of(delegate_cgroup(directory.get(), 4711, files.at("delegate").c_str())),
              "(no error)");
    EXPECT_EQ(owner_of(files, "."), 4711U);
    EXPECT_EQ(owner_of(files, "cgroup.procs"), 4711U);
    EXPECT_EQ(owner_of(files, "cgroup.threads"), 4711U);
    EXPECT_EQ(owner_of(files, "memory.max"), 0U);
}

TEST(BundleCgroup, IsMadeWithItsParentsAndRemovedWithThem) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    fixture.add("/pod", "cpu memory", "");
    {
        auto cgroup = Cgroup::create_at(&host, "/pod/web", {});
        ASSERT_EQ(message_of(cgroup), "(no error)");
        EXPECT_TRUE(fixture.has("/pod/web"));
        EXPECT_EQ(cgroup->path(), "/pod/web");
    }
    EXPECT_FALSE(fixture.has("/pod/web"));
    EXPECT_TRUE(fixture.has("/pod"));
}

TEST(BundleCgroup, OutlivesWhoKeepsItAndIsOpenedByItsPath) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    Cgroup::create_at(&host, "/web", {})->keep();
    EXPECT_TRUE(fixture.has("/web"));
    EXPECT_GE(Cgroup::open_at(&host, "/web")->directory(), 0);
    EXPECT_TRUE(fixture.has("/web"));
    EXPECT_TRUE(Cgroup::open_at(&host, "/web")->remove());
    EXPECT_FALSE(fixture.has("/web"));
    const auto gone = Cgroup::open_at(&host, "/web");
    ASSERT_FALSE(gone);
    EXPECT_TRUE(gone.error().is(ENOENT));
}

TEST(BundleCgroup, GetsTheOtherControllersThatCanBeHad) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    fixture.add("/pod", "cpu memory", "");
    MadeCgroups made;
    ASSERT_EQ(message_of(prepare_bundle_parent(host, "/pod/web", {"memory"}, made)), "(no error)");
    // Plain files keep the last write alone.
    EXPECT_NE(fixture.enabled_in("/pod"), "");
    EXPECT_NE(fixture.enabled_in("/"), "");
}

TEST(BundleCgroup, MayBeThereAlreadyIfItIsUnused) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    fixture.files.write("mount/web/cgroup.events", "populated 0\nfrozen 0\n");
    fixture.files.write("mount/web/cgroup.freeze", "0\n");
    auto cgroup = Cgroup::create_at(&host, "/web", {});
    ASSERT_EQ(message_of(cgroup), "(no error)");
    cgroup->keep();
}

TEST(BundleCgroup, OfAnotherIsLeftAsItIs) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    fixture.files.write("mount/web/cgroup.events", "populated 1\nfrozen 0\n");
    fixture.files.write("mount/web/pids.max", "");
    Resources resources;
    resources.pids = 5;
    EXPECT_EQ(message_of(Cgroup::create_at(&host, "/web", resources)),
              "linux.cgroupsPath: cgroup " + fixture.mount() + "/web: it has processes already");
    EXPECT_EQ(fixture.files.read("mount/web/pids.max"), "");
    fixture.files.write("mount/web/cgroup.events", "populated 0\nfrozen 1\n");
    fixture.files.write("mount/web/cgroup.freeze", "1\n");
    EXPECT_EQ(message_of(Cgroup::create_at(&host, "/web", resources)),
              "linux.cgroupsPath: cgroup " + fixture.mount() + "/web: it is frozen");
    EXPECT_TRUE(fixture.has("/web"));
}

TEST(BundleCgroup, IsNotLeftBehindWhereALimitIsRefused) {
    CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    Resources resources;
    resources.files = {{"cgroup.nonsense", "1", "linux.resources.unified[cgroup.nonsense]"}};
    EXPECT_HOLDS(message_of(Cgroup::create_at(&host, "/web", resources)),
                 "linux.resources.unified[cgroup.nonsense]: write 1 to cgroup.nonsense");
    EXPECT_FALSE(fixture.has("/web"));
}

TEST(BundleCgroup, NeedsAMachineWithCgroups) {
    EXPECT_EQ(message_of(Cgroup::create_at(nullptr, "/web", {})),
              "linux.cgroupsPath: no cgroup v2 is mounted on this machine");
    EXPECT_EQ(message_of(Cgroup::open_at(nullptr, "/web")),
              "no cgroup v2 is mounted on this machine");
}

TEST(CgroupProcesses, AreThoseBelowToo) {
    const TempDir files;
    files.write("cgroup.procs", "30\n7\n");
    files.write("a/cgroup.procs", "0\n12\n");
    files.write("a/b/cgroup.procs", "7\n5\n");
    files.make_directory("going");
    EXPECT_EQ(*cgroup_processes(files.open().get()), (std::vector<pid_t>{5, 7, 12, 30}));
}

TEST(CgroupFreeze, IsTakenBackAtTheDeadline) {
    const TempDir files;
    files.write("cgroup.freeze", "0");
    files.write("cgroup.events", "populated 1\nfrozen 0\n");
    const auto frozen = freeze_cgroup(files.open().get(), sys::monotonic_now());
    ASSERT_FALSE(frozen);
    EXPECT_TRUE(frozen.error().is(ETIMEDOUT));
    EXPECT_EQ(frozen.error().message(),
              "freeze the cgroup: a process does not stop: Connection timed out");
    EXPECT_EQ(files.read("cgroup.freeze"), "0");
}

}  // namespace
}  // namespace sigil::isolation
