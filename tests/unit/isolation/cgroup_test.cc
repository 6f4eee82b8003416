// One container's cgroup, on plain files: its counters, its end, and what create() asks of a host.
#include "isolation/cgroup.h"

#include <errno.h>

#include <gtest/gtest.h>

#include "isolation/cgroup_fixture.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;

// `files/` stands for the cgroup's directory; `parent/web` is what remove() removes.
class CgroupFiles : public ::testing::Test {
  protected:
    CgroupFiles() {
        files.make_directory("files");
        files.make_directory("parent/web");
    }
    Cgroup cgroup(const std::string& name = "web") {
        return {files.open("files"), files.open("parent"), name, "/sigil-web"};
    }
    void write(const std::string& name, const std::string& text) {
        files.write("files/" + name, text);
    }

    TempDir files;
};

// As one launch does: with parents of its own, which go when the cgroup has.
CgroupParents* parents_of(const CgroupHost* host) {
    static std::unique_ptr<CgroupParents> parents;
    parents = std::make_unique<CgroupParents>(host);
    return parents.get();
}
Result<std::optional<Cgroup>> create(const CgroupHost* host, const Spec& spec) {
    return Cgroup::create(host, *parents_of(host), spec, spec.name);
}

using MemoryEventsFile = CgroupFiles;
using CgroupEventsFile = CgroupFiles;
using CgroupNumber = CgroupFiles;
using CgroupWrite = CgroupFiles;
using CgroupApply = CgroupFiles;
using CgroupRemove = CgroupFiles;

TEST_F(MemoryEventsFile, IsReadLineByLine) {
    write("memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    Cgroup group = cgroup();
    ASSERT_TRUE(*group.open_memory_events());
    EXPECT_GE(group.memory_events_fd(), 0);
    const auto events = group.read_memory_events();
    ASSERT_TRUE(events);
    EXPECT_EQ(events->high, 2U);
    EXPECT_EQ(events->max, 3U);
    EXPECT_EQ(events->oom, 4U);
    EXPECT_EQ(events->oom_kill, 5U);
    EXPECT_EQ(events->oom_group_kill, 6U);
}

TEST_F(MemoryEventsFile, MayLackWhatAnOldKernelDoesNotCount) {
    write("memory.events", "oom 1\noom_kill 18446744073709551615");
    Cgroup group = cgroup();
    ASSERT_TRUE(*group.open_memory_events());
    const auto events = group.read_memory_events();
    EXPECT_EQ(events->oom, 1U);
    EXPECT_EQ(events->oom_kill, UINT64_MAX);
    EXPECT_EQ(events->oom_group_kill, 0U);
}

TEST_F(MemoryEventsFile, MayHoldWhatIsNotUnderstood) {
    write("memory.events", "sock_throttled 9\n\noom\noom_kill many\noom_group_kill 1 2\nmax 3\n");
    Cgroup group = cgroup();
    ASSERT_TRUE(*group.open_memory_events());
    const auto events = group.read_memory_events();
    EXPECT_EQ(events->max, 3U);
    EXPECT_EQ(events->oom | events->oom_kill | events->oom_group_kill, 0U);
}

TEST_F(MemoryEventsFile, IsReadFromItsStartEachTime) {
    write("memory.events", "oom_kill 1\n");
    Cgroup group = cgroup();
    ASSERT_TRUE(*group.open_memory_events());
    EXPECT_EQ(group.read_memory_events()->oom_kill, 1U);
    EXPECT_EQ(group.read_memory_events()->oom_kill, 1U);
    write("memory.events", "oom_kill 2\n");
    EXPECT_EQ(group.read_memory_events()->oom_kill, 2U);
}

TEST_F(MemoryEventsFile, IsNotThereWithoutTheController) {
    Cgroup group = cgroup();
    const auto opened = group.open_memory_events();
    ASSERT_TRUE(opened);
    EXPECT_FALSE(*opened);
    EXPECT_EQ(group.memory_events_fd(), -1);
    EXPECT_HOLDS(message_of(group.read_memory_events()), "read memory.events");
}

TEST_F(CgroupEventsFile, TellsWhetherAProcessIsLeft) {
    write("cgroup.events", "populated 1\nfrozen 0\n");
    Cgroup group = cgroup();
    EXPECT_TRUE(*group.is_populated());
    write("cgroup.events", "populated 0\nfrozen 1\n");
    EXPECT_FALSE(*group.is_populated());
    EXPECT_EQ(*group.open_cgroup_events(), *group.open_cgroup_events());
}

// Somebody else has removed it, as systemd does with a scope's: so it was empty.
TEST_F(CgroupEventsFile, IsOfAnEmptyCgroupWhereItIsGone) {
    Cgroup group = cgroup();
    EXPECT_EQ(message_of(group.open_cgroup_events()),
              "open cgroup.events of cgroup /sigil-web: No such file or directory");
    EXPECT_FALSE(*group.is_populated());
}

TEST_F(CgroupNumber, IsANumberOrMax) {
    write("memory.peak", "4096\n");
    write("memory.max", "max\n");
    write("pids.max", "0");
    const Cgroup group = cgroup();
    EXPECT_EQ(*group.read_number("memory.peak"), 4096U);
    EXPECT_EQ(*group.read_number("memory.max"), UINT64_MAX);
    EXPECT_EQ(*group.read_number("pids.max"), 0U);
}

TEST_F(CgroupNumber, IsAnErrorOtherwise) {
    write("cpu.max", "max 100000\n");
    write("empty", "");
    const Cgroup group = cgroup();
    EXPECT_FALSE(group.read_number("cpu.max"));
    EXPECT_FALSE(group.read_number("empty"));
    EXPECT_EQ(message_of(group.read_number("memory.peak")),
              "read memory.peak: No such file or directory");
}

TEST_F(CgroupWrite, KillsByAFile) {
    write("cgroup.kill", "");
    Cgroup group = cgroup();
    EXPECT_TRUE(group.kill());
    EXPECT_EQ(files.read("files/cgroup.kill"), "1");
}

TEST_F(CgroupWrite, TellsThatAKernelHasNoKill) {
    Cgroup group = cgroup();
    EXPECT_TRUE(group.kill().error().is(ENOENT));
    EXPECT_TRUE(group.write("memory.oom.group", "1").error().is(ENOENT));
}

// ---- apply --------------------------------------------------------------------------------------

TEST_F(CgroupApply, WritesQuotaAndPeriod) {
    struct Case {
        Resources resources;
        const char* expected;
    };
    const Case cases[] = {
        {{.cpu_quota = 150'000}, "150000 100000"},
        {{.cpu_quota = 5'000, .cpu_period = 10'000}, "5000 10000"},
        {{.cpu_period = 50'000}, "max 50000"},
        {{.cpu_quota = UINT64_MAX}, "max 100000"},
    };
    for (const Case& one : cases) {
        write("cpu.max", "");
        EXPECT_TRUE(cgroup().apply(one.resources)) << one.expected;
        EXPECT_EQ(files.read("files/cpu.max"), one.expected);
    }
}

TEST_F(CgroupApply, TakesMemoryOffTheSumWithSwap) {
    struct Case {
        Resources resources;
        const char* memory;
        const char* swap;
    };
    const Case cases[] = {
        {{.memory = 4096, .memory_swap = 12288}, "4096", "8192"},
        {{.memory = 4096, .memory_swap = 4096}, "4096", "0"},
        {{.memory = 4096, .memory_swap = UINT64_MAX}, "4096", "max"},
        {{.memory = UINT64_MAX, .memory_swap = 8192}, "max", "8192"},
        {{.memory = 4096}, "4096", "0"},
        {{.memory = 4096, .json_path = ""}, "4096", "before"},
    };
    for (const Case& one : cases) {
        write("memory.max", "");
        write("memory.swap.max", one.resources.json_path ? "before" : "");
        EXPECT_TRUE(cgroup().apply(one.resources));
        EXPECT_EQ(files.read("files/memory.max"), one.memory);
        EXPECT_EQ(files.read("files/memory.swap.max"), one.swap);
    }
}

TEST_F(CgroupApply, WritesTheOtherFileWhereTheFirstIsMissing) {
    const Resources resources = {.files = {{.name = "io.bfq.weight",
                                            .value = "500",
                                            .other_name = "io.weight",
                                            .other_value = "4950"}}};
    write("io.weight", "");
    EXPECT_TRUE(cgroup().apply(resources));
    EXPECT_EQ(files.read("files/io.weight"), "4950");
    write("io.weight", "");
    write("io.bfq.weight", "");
    EXPECT_TRUE(cgroup().apply(resources));
    EXPECT_EQ(files.read("files/io.bfq.weight"), "500");
    EXPECT_EQ(files.read("files/io.weight"), "");
}

TEST_F(CgroupApply, MindsAMissingFileUnlessItMayBeMissing) {
    EXPECT_TRUE(cgroup().apply(
        {.files = {{.name = "hugetlb.2MB.rsvd.max", .value = "0", .may_be_missing = true}}}));
    EXPECT_EQ(message_of(cgroup().apply({.files = {{.name = "io.bfq.weight",
                                                    .value = "500",
                                                    .origin = "linux.resources.blockIO.weight",
                                                    .other_name = "io.weight",
                                                    .other_value = "4950"}}})),
              "linux.resources.blockIO.weight: write 4950 to io.weight of cgroup /sigil-web: No "
              "such file or directory");
}

TEST_F(CgroupApply, NeedsNoFileForNoLimit) {
    EXPECT_TRUE(cgroup().apply({.memory = UINT64_MAX,
                                .memory_high = UINT64_MAX,
                                .memory_swap = UINT64_MAX,
                                .pids = UINT64_MAX}));
    write("pids.max", "5");
    EXPECT_TRUE(cgroup().apply({.pids = UINT64_MAX}));
    EXPECT_EQ(files.read("files/pids.max"), "max");
}

TEST_F(CgroupApply, NamesThePropertyOfABundle) {
    auto error_for = [this](Resources resources, const char* path) {
        resources.json_path = path;
        return message_of(cgroup().apply(resources));
    };
    const char* bundle = "linux.resources";
    EXPECT_HOLDS(error_for({.memory = 1}, bundle), "linux.resources.memory.limit: write 1 to mem");
    EXPECT_HOLDS(error_for({.memory_swap = 1}, bundle), "linux.resources.memory.swap: write 1 to ");
    EXPECT_HOLDS(error_for({.cpu_quota = 1}, bundle), "linux.resources.cpu.quota: write 1 100000");
    EXPECT_HOLDS(error_for({.cpu_period = 1}, bundle),
                 "linux.resources.cpu.period: write max 1 to");
    EXPECT_HOLDS(error_for({.cpuset_cpus = "0"}, bundle), "linux.resources.cpu.cpus: write 0 to ");
    EXPECT_HOLDS(error_for({.pids = 1}, bundle), "linux.resources.pids.limit: write 1 to pids.max");
    EXPECT_EQ(error_for({.pids = 1}, ""),
              "pids.limit: write 1 to pids.max of cgroup /sigil-web: No such file or directory");
}

// ---- remove -------------------------------------------------------------------------------------

TEST_F(CgroupRemove, RemovesItsNameInItsParent) {
    Cgroup group = cgroup();
    EXPECT_TRUE(group.remove());
    EXPECT_FALSE(files.has("parent/web"));
    EXPECT_EQ(group.directory(), -1);
}

TEST_F(CgroupRemove, IsDoneByTheEndOfItsLife) {
    { const Cgroup group = cgroup(); }
    EXPECT_FALSE(files.has("parent/web"));
}

TEST_F(CgroupRemove, IsDoneOnceWhenItWasMoved) {
    Cgroup group = cgroup();
    {
        const Cgroup moved = std::move(group);
        EXPECT_TRUE(files.has("parent/web"));
    }
    EXPECT_FALSE(files.has("parent/web"));
    files.make_directory("parent/web");  // another's
    { const Cgroup left = std::move(group); }
    EXPECT_TRUE(files.has("parent/web"));
}

TEST_F(CgroupRemove, DoesNotMindThatItIsGone) {
    Cgroup group = cgroup();
    std::filesystem::remove(files.at("parent/web"));
    EXPECT_TRUE(group.remove());
    EXPECT_EQ(group.directory(), -1);
}

// rmdir of "/" gives EBUSY always: it stands for a cgroup with a process in it.
TEST_F(CgroupRemove, RemovesWhatTheContainerMadeBelowIt) {
    write("a/b/file", "");
    files.make_directory("files/c/d/e");
    files.make_directory("files/f");
    files.make_directory("outside/kept");
    files.make_link("files/c/link", files.at("outside"));
    Cgroup group = cgroup("/");
    const auto removed = group.remove();
    ASSERT_FALSE(removed);
    EXPECT_TRUE(removed.error().is(EBUSY));
    EXPECT_FALSE(files.has("files/c/d"));
    EXPECT_FALSE(files.has("files/f"));
    EXPECT_TRUE(files.has("files/a/b"));     // it isn't empty
    EXPECT_TRUE(files.has("outside/kept"));  // behind a link
    EXPECT_GE(group.directory(), 0);         // and it can be tried again
}

// ---- create -------------------------------------------------------------------------------------

class CreateCgroup : public ::testing::Test {
  protected:
    Spec spec() const {
        Spec made;
        made.name = "web";
        return made;
    }
    std::string error_of(const Spec& wanted) {
        const CgroupHost host = fixture.host();
        return message_of(create(&host, wanted));
    }

    CgroupFixture fixture;
};

TEST_F(CreateCgroup, IsNothingWithoutAHostAndWithoutAWish) {
    auto made = create(nullptr, spec());
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->has_value());
}

TEST_F(CreateCgroup, IsAnErrorWithoutAHostForAnyWish) {
    const std::string expected = "no cgroup v2 is mounted on this machine, so no limit can be set";
    Spec limited = spec();
    limited.resources.pids = 5;
    EXPECT_EQ(message_of(create(nullptr, limited)), expected);
    Spec placed = spec();
    placed.cgroup_parent = "/a";
    EXPECT_EQ(message_of(create(nullptr, placed)), expected);
    Spec set = spec();
    set.resources.files = {{"cgroup.max.depth", "1"}};
    EXPECT_EQ(message_of(create(nullptr, set)), expected);
}

TEST_F(CreateCgroup, IsBelowTheSupervisorsOwn) {
    const CgroupFixture own("/user/shell");
    own.add("/user/shell", "memory", "", "4711\n");
    const CgroupHost host = own.host();
    {
        auto made = create(&host, spec());
        ASSERT_TRUE(made && *made) << message_of(made);
        EXPECT_EQ((*made)->path(), "/user/shell/sigil-web");
        EXPECT_TRUE(own.has("/user/shell/sigil-web"));
    }
    EXPECT_FALSE(own.has("/user/shell/sigil-web"));
}

TEST_F(CreateCgroup, IsWhereItWasAskedFor) {
    fixture.add("/a/b", "", "");
    Spec placed = spec();
    for (const char* parent : {"/a/b", "a/b", "/a/b/", "a/b//"}) {
        placed.cgroup_parent = parent;
        const CgroupHost host = fixture.host();
        auto made = create(&host, placed);
        ASSERT_TRUE(made && *made) << parent << ": " << message_of(made);
        EXPECT_TRUE(fixture.has("/a/b/sigil-web")) << parent;
    }
}

// "//x" without its first slash is absolute: it would be a directory of the host.
TEST_F(CreateCgroup, NeverLeavesTheHierarchyForASecondSlash) {
    const TempDir outside;
    Spec placed = spec();
    placed.cgroup_parent = "/" + outside.at("new");
    const CgroupHost host = fixture.host();
    (void)create(&host, placed);
    EXPECT_FALSE(outside.has("new"));
    EXPECT_FALSE(outside.has("new/sigil-web"));
    outside.make_directory("there");
    outside.write("there/cgroup.controllers", "");
    placed.cgroup_parent = "/" + outside.at("there");
    auto made = create(&host, placed);
    EXPECT_FALSE(outside.has("there/sigil-web"));
}

TEST_F(CreateCgroup, TakesTheFallbackWhereItsOwnHasProcesses) {
    const CgroupFixture own("/shell");
    own.add("/shell", "memory pids", "", "4711\n");
    own.add("/sigil", "memory pids", "memory pids");
    const CgroupHost host = own.host();
    Spec limited = spec();
    limited.resources.pids = 5;
    // A new directory of the fixture has no pids.max: the error tells where it was.
    EXPECT_EQ(
        message_of(create(&host, limited)),
        "--pids-limit: write 5 to pids.max of cgroup /sigil/sigil-web: No such file or directory");
}

TEST_F(CreateCgroup, TakesOverWhatAKilledSupervisorLeft) {
    fixture.files.make_directory("mount/sigil-web");
    const CgroupHost host = fixture.host();
    auto made = create(&host, spec());
    EXPECT_TRUE(made && *made) << message_of(made);
}

TEST_F(CreateCgroup, LeavesNothingWhenALimitIsRefused) {
    fixture.add("/", "memory cpu cpuset pids io", "memory cpu cpuset pids io");
    Spec limited = spec();
    limited.resources.memory = 64 << 20;
    EXPECT_EQ(
        error_of(limited),
        "--memory: write 67108864 to memory.max of cgroup /sigil-web: No such file or directory");
    EXPECT_FALSE(fixture.has("/sigil-web"));
}

TEST_F(CreateCgroup, NamesTheOptionOfTheLimit) {
    fixture.add("/", "memory cpu cpuset pids io", "memory cpu cpuset pids io");
    auto error_for = [&](const Resources& resources) {
        Spec limited = spec();
        limited.resources = resources;
        return error_of(limited);
    };
    EXPECT_HOLDS(error_for({.memory_high = 4096}), "--memory-high: write 4096 to memory.high of");
    EXPECT_HOLDS(error_for({.memory_swap = 4096}),
                 "--memory-swap: write 4096 to memory.swap.max of");
    EXPECT_HOLDS(error_for({.cpu_quota = 150'000}), "--cpus: write 150000 100000 to cpu.max of");
    EXPECT_HOLDS(error_for({.pids = 5}), "--pids-limit: write 5 to pids.max of");
    EXPECT_HOLDS(error_for({.cpuset_cpus = "0-1"}), "--cpuset-cpus: write 0-1 to cpuset.cpus of");
    EXPECT_HOLDS(error_for({.io_max = {"8:0 rbps=1"}}), "--io-max: write 8:0 rbps=1 to io.max of");
    EXPECT_HOLDS(error_for({.files = {{"cgroup.max.depth", "1"}}}),
                 "--cgroup-set: write 1 to cgroup.max.depth of");
}

TEST_F(CreateCgroup, RemovesTheParentsItMadeWhenItFails) {
    Spec placed = spec();
    placed.cgroup_parent = "/new";
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_EQ(message_of(Cgroup::create(&host, parents, placed, "web")),
              "--cgroup-parent /new: read " + fixture.mount() +
                  "/new/cgroup.controllers: No such file or directory");
    parents.remove_made();
    EXPECT_FALSE(fixture.has("/new"));
}

TEST_F(CreateCgroup, SaysWhyAControllerIsMissing) {
    fixture.files.write("cgroups",
                        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t1\t1\n");
    fixture.add("/", "hugetlb", "");
    Spec limited = spec();
    limited.resources.memory = 1 << 20;
    EXPECT_EQ(error_of(limited), "the memory controller is bound to a cgroup v1 hierarchy, so " +
                                     fixture.mount() + " does not have it");
}

}  // namespace
}  // namespace sigil::isolation
