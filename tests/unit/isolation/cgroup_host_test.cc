// Where cgroup v2 is, in every layout a host may have.
#include "isolation/cgroup_host.h"

#include <gtest/gtest.h>

#include "isolation/cgroup_fixture.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;
using Names = std::vector<std::string>;

constexpr long kNoFilesystem = 0x12345;  // of no path

// ---- find ---------------------------------------------------------------------------------------

TEST(FindCgroups, TakesAUnifiedMount) {
    const CgroupFixture fixture("/user.slice/shell");
    auto found = CgroupHost::find(fixture.paths());
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->mount_point(), fixture.mount());
    EXPECT_EQ((*found)->own(), "/user.slice/shell");
    auto controllers = sys::read_file((*found)->root(), "cgroup.controllers");
    EXPECT_EQ(*controllers, "cpuset cpu io memory pids\n");
}

TEST(FindCgroups, TakesTheUnifiedMountOfAHybridHost) {
    const CgroupFixture fixture;
    CgroupPaths paths = fixture.paths();
    paths.hybrid = paths.unified;
    paths.unified = "/proc";  // another filesystem, as the tmpfs of a hybrid host is
    auto found = CgroupHost::find(paths);
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->mount_point(), fixture.mount());
}

TEST(FindCgroups, PrefersTheUnifiedMount) {
    const CgroupFixture fixture;
    CgroupPaths paths = fixture.paths();
    fixture.files.make_directory("other");
    paths.hybrid = fixture.files.at("other");
    EXPECT_EQ((*CgroupHost::find(paths))->mount_point(), fixture.mount());
}

TEST(FindCgroups, LooksElsewhereInTheMountTable) {
    const CgroupFixture fixture;
    CgroupPaths paths = fixture.paths();
    paths.filesystem = kNoFilesystem;
    fixture.files.write("mountinfo",
                        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
                        "28 22 0:25 / /sys/fs/cgroup ro shared:9 - tmpfs cgroup2 ro,mode=755\n"
                        "30 28 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                        "31 28 0:28 / " +
                            fixture.mount() +
                            " rw,nosuid shared:1 master:2 - cgroup2 cgroup2 rw,nsdelegate\n"
                            "32 28 0:28 / /second rw - cgroup2 cgroup2 rw\n");
    auto found = CgroupHost::find(paths);
    ASSERT_TRUE(found && *found) << message_of(found);
    EXPECT_EQ((*found)->mount_point(), fixture.mount());
}

// proc(5): space, tab, newline and backslash are written as \040 and the like.
TEST(FindCgroups, ReadsAMountPointWithASpace) {
    const CgroupFixture fixture;
    fixture.files.make_directory("my cgroups");
    CgroupPaths paths = fixture.paths();
    paths.filesystem = kNoFilesystem;
    fixture.files.write("mountinfo", "31 28 0:28 / " + fixture.files.path() +
                                         "/my\\040cgroups rw - cgroup2 cgroup2 rw\n");
    auto found = CgroupHost::find(paths);
    ASSERT_TRUE(found && *found) << message_of(found);
    EXPECT_EQ((*found)->mount_point(), fixture.files.at("my cgroups"));
}

TEST(FindCgroups, SaysNothingWhereThereIsNone) {
    const CgroupFixture fixture;
    CgroupPaths paths = fixture.paths();
    paths.filesystem = kNoFilesystem;
    fixture.files.write("mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n");
    auto found = CgroupHost::find(paths);
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->has_value());
    paths.mountinfo = fixture.files.at("missing");
    EXPECT_FALSE((*CgroupHost::find(paths)).has_value());
}

TEST(FindCgroups, FindsItsOwnAmongV1Lines) {
    const CgroupFixture fixture;
    fixture.files.write("self", "9:name=systemd:/\n4:memory:/a/b\n10::/no\n0::/here\n");
    EXPECT_EQ((*CgroupHost::find(fixture.paths()))->own(), "/here");
    fixture.files.write("self", "4:memory:/a/b\n");
    EXPECT_EQ((*CgroupHost::find(fixture.paths()))->own(), "/");
}

TEST(FindCgroups, TellsWhatItCouldNotRead) {
    const CgroupFixture fixture;
    CgroupPaths paths = fixture.paths();
    paths.self = fixture.files.at("missing");
    EXPECT_EQ(message_of(CgroupHost::find(paths)),
              "read " + paths.self + ": No such file or directory");
}

TEST(CgroupPath, IsRelativeToTheMount) {
    EXPECT_STREQ(CgroupHost::relative("/"), ".");
    EXPECT_STREQ(CgroupHost::relative("/a"), "a");
    EXPECT_STREQ(CgroupHost::relative("/a/b"), "a/b");
}

// ---- prepare_parent -----------------------------------------------------------------------------

class PrepareParent : public ::testing::Test {
  protected:
    std::string prepare(const std::string& path, const Names& controllers) {
        made = {};
        return message_of(fixture.host().prepare_parent(path, controllers, made));
    }

    CgroupFixture fixture;
    [[nodiscard]] Names made_paths() const {
        Names paths;
        for (const MadeCgroups::Made& one : made.made)
            paths.push_back(one.path);
        return paths;
    }

    MadeCgroups made;
};

constexpr const char* kFine = "(no error)";

TEST_F(PrepareParent, EnablesWhatIsNot) {
    fixture.add("/a", "cpu memory pids", "cpu");
    EXPECT_EQ(prepare("/a", {"cpu", "memory"}), kFine);
    EXPECT_EQ(fixture.enabled_in("/a"), "+memory");  // over the fixture's own text
}

TEST_F(PrepareParent, LeavesWhatIsEnabled) {
    fixture.add("/a", "cpu memory pids", "cpu memory\n");
    EXPECT_EQ(prepare("/a", {"memory", "cpu"}), kFine);
    EXPECT_EQ(fixture.enabled_in("/a"), "cpu memory\n");
}

TEST_F(PrepareParent, WritesNothingForNoController) {
    fixture.add("/a", "cpu", "", "1\n");
    EXPECT_EQ(prepare("/a", {}), kFine);
    EXPECT_EQ(fixture.enabled_in("/a"), "");
}

TEST_F(PrepareParent, EnablesAtTheRootWhateverRunsThere) {
    fixture.add("/", "memory", "", "1\n2\n");
    EXPECT_EQ(prepare("/", {"memory"}), kFine);
    EXPECT_EQ(fixture.enabled_in(""), "+memory");
}

TEST_F(PrepareParent, TakesNoNameForAnotherThatItIsPartOf) {
    fixture.add("/", "cpuset", "");
    EXPECT_EQ(prepare("/", {"cpu"}), "the cpu controller is not available in " + fixture.mount());
    fixture.add("/", "cpu cpuset", "cpuset");
    EXPECT_EQ(prepare("/", {"cpu"}), kFine);
    EXPECT_EQ(fixture.enabled_in(""), "+cpuet");  // "+cpu" over "cpuset"
}

TEST_F(PrepareParent, RefusesACgroupWithProcessesOfItsOwn) {
    fixture.add("/a", "memory", "", "4711\n");
    EXPECT_EQ(
        prepare("/a", {"memory"}),
        "the memory controller cannot be enabled in cgroup /a, which has processes of its own; "
        "name another with --cgroup-parent: Device or resource busy");
    EXPECT_TRUE(fixture.host().prepare_parent("/a", {"memory"}, made).error().is(EBUSY));
    EXPECT_EQ(fixture.enabled_in("/a"), "");
}

TEST_F(PrepareParent, LetsProcessesBeWhereNothingIsToBeEnabled) {
    fixture.add("/a", "memory", "memory", "4711\n");
    EXPECT_EQ(prepare("/a", {"memory"}), kFine);
}

TEST_F(PrepareParent, MakesTheDirectoriesOnTheWay) {
    // The kernel would fill them; here the next read fails, after the directory was made.
    EXPECT_EQ(prepare("/a/b", {"memory"}),
              "read " + fixture.mount() + "/a/cgroup.controllers: No such file or directory");
    EXPECT_TRUE(fixture.has("/a"));
    EXPECT_EQ(made_paths(), Names{"/a"});
}

TEST_F(PrepareParent, RemovesOnlyWhatItMade) {
    fixture.add("/kept", "", "");
    (void)prepare("/kept/a", {"memory"});
    EXPECT_TRUE(fixture.has("/kept/a"));
    EXPECT_EQ(made_paths(), Names{"/kept/a"});
    fixture.host().remove_made(made);
    EXPECT_FALSE(fixture.has("/kept/a"));
    EXPECT_TRUE(fixture.has("/kept"));
}

TEST_F(PrepareParent, RemovesTheInnermostFirstAndLeavesWhatIsUsed) {
    fixture.files.make_directory("mount/a/b");
    fixture.files.make_directory("mount/c/used");
    for (const char* path : {"/a", "/a/b", "/c"})
        made.made.push_back({path, {}});
    fixture.host().remove_made(made);
    EXPECT_FALSE(fixture.has("/a"));
    EXPECT_TRUE(fixture.has("/c/used"));
}

// ---- why a controller is missing
// ------------------------------------------------------------------

TEST_F(PrepareParent, SaysThatAControllerIsBoundToV1) {
    fixture.add("/", "hugetlb", "");
    fixture.files.write("cgroups",
                        "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
                        "cpuset\t3\t1\t1\n"
                        "memory\t4\t11\t1\n");
    EXPECT_EQ(prepare("/", {"memory"}),
              "the memory controller is bound to a cgroup v1 hierarchy, so " + fixture.mount() +
                  " does not have it");
    fixture.add("/a", "", "");
    EXPECT_HOLDS(prepare("/a", {"cpuset"}),
                 "the cpuset controller is bound to a cgroup v1 hierarchy");
}

// cgroups(7): what v2 calls io is blkio in v1, and in /proc/cgroups.
TEST_F(PrepareParent, SaysThatIoIsBoundToV1AsBlkio) {
    fixture.add("/", "hugetlb", "");
    fixture.files.write("cgroups",
                        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nblkio\t7\t1\t1\n");
    EXPECT_EQ(prepare("/", {"io"}), "the io controller is bound to a cgroup v1 hierarchy, so " +
                                        fixture.mount() + " does not have it");
}

TEST_F(PrepareParent, SaysThatAControllerIsDisabled) {
    fixture.add("/", "cpu", "");
    fixture.files.write("cgroups",
                        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n");
    EXPECT_EQ(prepare("/", {"memory"}),
              "the memory controller is disabled on the kernel's command line");
}

TEST_F(PrepareParent, SaysThatAControllerIsNotThere) {
    EXPECT_EQ(prepare("/", {"rdma"}), "the rdma controller is not available in " + fixture.mount());
    fixture.files.write("cgroups",
                        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nrdma\t0\t1\t1\n");
    EXPECT_EQ(prepare("/", {"rdma"}), "the rdma controller is not available in " + fixture.mount());
}

TEST_F(PrepareParent, SaysThatAControllerIsNotDelegated) {
    fixture.add("/a", "memory", "");
    // A file that can be read and not written: procfs refuses the write, to root too.
    std::filesystem::remove(fixture.mount() + "/a/cgroup.subtree_control");
    fixture.files.make_link("mount/a/cgroup.subtree_control", "/proc/version");
    EXPECT_HOLDS(prepare("/a", {"memory"}),
                 "the memory controller is not delegated: enable it in cgroup /a: ");
}

TEST_F(PrepareParent, NamesTheCgroupThatKeepsAControllerBack) {
    fixture.add("/", "memory", "memory");
    fixture.add("/a", "memory", "", "4711\n");
    fixture.add("/a/b", "", "");
    EXPECT_HOLDS(prepare("/a/b", {"memory"}),
                 "cannot be enabled in cgroup /a, which has processes");
}

// ---- needed_controllers -------------------------------------------------------------------------

TEST(NeededControllers, AreNoneForNoLimit) {
    EXPECT_EQ(needed_controllers({}), Names{});
    EXPECT_EQ(needed_controllers({.memory = UINT64_MAX,
                                  .memory_high = UINT64_MAX,
                                  .memory_swap = UINT64_MAX,
                                  .pids = UINT64_MAX}),
              Names{});
}

TEST(NeededControllers, AreThoseOfTheLimits) {
    EXPECT_EQ(needed_controllers({.memory = 1}), Names{"memory"});
    EXPECT_EQ(needed_controllers({.memory_high = 1}), Names{"memory"});
    EXPECT_EQ(needed_controllers({.memory_swap = 1}), Names{"memory"});
    EXPECT_EQ(needed_controllers({.cpu_quota = 1}), Names{"cpu"});
    EXPECT_EQ(needed_controllers({.cpu_period = 1}), Names{"cpu"});
    EXPECT_EQ(needed_controllers({.pids = 1}), Names{"pids"});
    EXPECT_EQ(needed_controllers({.cpuset_cpus = "0"}), Names{"cpuset"});
    EXPECT_EQ(needed_controllers({.io_max = {"8:0 rbps=1"}}), Names{"io"});
    EXPECT_EQ(needed_controllers({.oom_group = true}), Names{"memory"});
}

TEST(NeededControllers, AreThoseOfFilesByTheirPrefix) {
    EXPECT_EQ(needed_controllers({.files = {{"cpu.weight", "1"}, {"hugetlb.2MB.max", "0"}}}),
              (Names{"cpu", "hugetlb"}));
    EXPECT_EQ(needed_controllers({.files = {{"cgroup.max.depth", "1"}}}), Names{});
}

TEST(NeededControllers, AreEachThereOnce) {
    EXPECT_EQ(needed_controllers(
                  {.memory = 1,
                   .memory_high = 1,
                   .cpu_quota = 1,
                   .pids = 1,
                   .cpuset_cpus = "0",
                   .io_max = {"a", "b"},
                   .oom_group = true,
                   .files = {{"memory.min", "1"}, {"cpu.weight", "1"}, {"io.weight", "1"}}}),
              (Names{"memory", "cpu", "cpuset", "pids", "io"}));
}

}  // namespace
}  // namespace sigil::isolation
