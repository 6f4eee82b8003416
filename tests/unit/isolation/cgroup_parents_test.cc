// Where containers' cgroups go, worked out once for each kind of container.
#include "isolation/cgroup_parents.h"

#include <gtest/gtest.h>

#include "isolation/cgroup_fixture.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using Names = std::vector<std::string>;

Spec with_parent(const std::string& parent) {
    Spec spec;
    spec.cgroup_parent = parent;
    return spec;
}

// The kernel would fill a new directory; here the next read fails, after it was made.
void make(CgroupParents& parents, const Spec& spec = {}) {
    EXPECT_HOLDS(message_of(parents.parent_for(spec, {})), "cgroup.controllers: No such file");
}

TEST(CgroupParents, AreTheSupervisorsOwn) {
    const CgroupFixture fixture("/user/shell");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_EQ(*parents.parent_for({}, {}), "/user/shell");
}

TEST(CgroupParents, AreAGroupBelowThatOne) {
    const CgroupFixture fixture("/user");
    fixture.add("/user/sigil-web", "", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host, "sigil-web");
    EXPECT_EQ(*parents.parent_for({}, {}), "/user/sigil-web");
}

TEST(CgroupParents, AreTheOneThatIsAskedFor) {
    const CgroupFixture fixture("/user");
    for (const char* path : {"/a/b", "/user/relative", "/a/sigil-web", "/sigil-web"})
        fixture.add(path, "", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_EQ(*parents.parent_for(with_parent("/a//b/"), {}), "/a/b");
    EXPECT_EQ(*parents.parent_for(with_parent("relative"), {}), "/user/relative");
    CgroupParents grouped(&host, "sigil-web");
    EXPECT_EQ(*grouped.parent_for(with_parent("/a"), {}), "/a/sigil-web");
    EXPECT_EQ(*grouped.parent_for(with_parent("/"), {}), "/sigil-web");
}

TEST(CgroupParents, AreWorkedOutOnceForEachKind) {
    const CgroupFixture fixture;
    fixture.add("/sigil-web", "", "");
    fixture.add("/a/sigil-web", "", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host, "sigil-web");
    ASSERT_EQ(*parents.parent_for({}, {}), "/sigil-web");
    std::filesystem::remove_all(fixture.files.at("mount/sigil-web"));
    EXPECT_EQ(*parents.parent_for({}, {}), "/sigil-web");
    EXPECT_FALSE(fixture.has("/sigil-web")) << "the second of a kind touches nothing";
    EXPECT_EQ(*parents.parent_for(with_parent("/a"), {}), "/a/sigil-web");
}

TEST(CgroupParents, AreMadeAgainOnceForgotten) {
    const CgroupFixture fixture;
    fixture.add("/sigil-web", "", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host, "sigil-web");
    ASSERT_EQ(*parents.parent_for({}, {}), "/sigil-web");
    std::filesystem::remove_all(fixture.files.at("mount/sigil-web"));
    parents.forget_known();
    make(parents);
    EXPECT_TRUE(fixture.has("/sigil-web"));
}

TEST(CgroupParents, HaveTheControllersOfTheirKind) {
    const CgroupFixture fixture;
    fixture.add("/a", "memory pids", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_EQ(*parents.parent_for(with_parent("/a"), {"memory"}), "/a");
    EXPECT_EQ(fixture.enabled_in("/a"), "+memory");
    fixture.add("/a", "memory pids", "memory");
    EXPECT_EQ(*parents.parent_for(with_parent("/a"), {"memory"}), "/a");
    EXPECT_EQ(fixture.enabled_in("/a"), "memory") << "it is known";
    EXPECT_EQ(*parents.parent_for(with_parent("/a"), {"pids"}), "/a");
    EXPECT_EQ(fixture.enabled_in("/a"), "+pidsy") << "\"+pids\" over \"memory\"";
}

TEST(CgroupParents, AreElsewhereWhereTheOwnOneHasProcesses) {
    const CgroupFixture fixture("/user");
    fixture.add("/user", "memory", "", "4711\n");
    fixture.add("/sigil", "memory", "memory");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_EQ(*parents.parent_for({}, {"memory"}), "/sigil");
    EXPECT_EQ(*parents.parent_for({}, {}), "/user") << "no controller is needed";
}

TEST(CgroupParents, AnErrorIsNotRemembered) {
    const CgroupFixture fixture;
    fixture.add("/a", "memory", "", "4711\n");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host);
    EXPECT_HOLDS(message_of(parents.parent_for(with_parent("/a"), {"memory"})),
                 "--cgroup-parent /a: the memory controller cannot be enabled");
    fixture.add("/a", "memory", "memory");
    EXPECT_EQ(message_of(parents.parent_for(with_parent("/a"), {"memory"})), "(no error)");
}

TEST(CgroupParents, RemoveWhatTheyMadeAndNoMore) {
    const CgroupFixture fixture("/user");
    fixture.add("/user", "", "");
    const CgroupHost host = fixture.host();
    CgroupParents parents(&host, "sigil-web");
    fixture.add("/a", "", "");
    make(parents);
    make(parents, with_parent("/a"));
    fixture.add("/used", "", "");
    make(parents, with_parent("/used"));
    fixture.files.make_directory("mount/used/sigil-web/somebodys");
    parents.remove_made();
    EXPECT_FALSE(fixture.has("/user/sigil-web"));
    EXPECT_TRUE(fixture.has("/user"));
    EXPECT_TRUE(fixture.has("/a"));
    EXPECT_FALSE(fixture.has("/a/sigil-web"));
    EXPECT_TRUE(fixture.has("/used/sigil-web/somebodys"));
    parents.remove_made();
}

TEST(CgroupParents, WriteDownTheGroupAndForgetItAtTheEnd) {
    const CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    RunRecord record(fixture.files.at("root"), "web");
    ASSERT_TRUE(record.hold());
    CgroupParents parents(&host, "sigil-web", &record);
    EXPECT_EQ(parents.record_of_each(), nullptr) << "each is below the group";
    EXPECT_EQ(parents.record(), &record);
    make(parents);
    EXPECT_TRUE(fixture.files.has("root/runs/web/cgroup.0"));
    parents.remove_made();
    EXPECT_FALSE(fixture.files.has("root/runs/web"));
}

TEST(CgroupParents, WriteDownAGroupOnceWhoeverAsksForIt) {
    const CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    RunRecord record(fixture.files.at("root"), "web");
    ASSERT_TRUE(record.hold());
    CgroupParents parents(&host, "sigil-web", &record);
    make(parents);
    make(parents, with_parent("/"));
    size_t groups = 0;
    for (const auto& link : std::filesystem::directory_iterator(fixture.files.at("root/runs/web")))
        groups += link.path().filename().string().starts_with("cgroup.") ? 1 : 0;
    EXPECT_EQ(groups, 1U);
}

TEST(CgroupParents, AHeldRecordGoesWithThemThoughNothingIsInIt) {
    const CgroupFixture fixture;
    const CgroupHost host = fixture.host();
    RunRecord record(fixture.files.at("root"), "web");
    CgroupParents parents(&host, "sigil-web", &record);
    ASSERT_TRUE(record.hold());
    ASSERT_TRUE(record.hold()) << "again does nothing";
    EXPECT_TRUE(fixture.files.has("root/runs/web"));
    parents.remove_made();
    EXPECT_FALSE(fixture.files.has("root/runs/web"));
}

}  // namespace
}  // namespace sigil::isolation
