// The user's own mounts in the plan: kinds, order, destinations.
#include <sys/mount.h>
#include <sys/stat.h>

#include <ostream>

#include <gtest/gtest.h>

#include "isolation/plan_text.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;

Mount bind_to(const std::string& target) {
    return {.type = "bind",
            .source = "/src",
            .target = target,
            .options = {"rbind"},
            .origin = "--bind /src:" + target};
}

Result<LaunchPlan> plan_of(std::vector<Mount> mounts) {
    Spec spec;
    spec.hostname = "web";
    spec.mounts = std::move(mounts);
    OpenedSources sources = {.root_tree = 7};
    for (size_t index = 0; index < spec.mounts.size(); ++index)
        sources.binds.push_back({.tree = static_cast<int>(100 + index)});
    LaunchPlan plan;
    auto done = plan_mounts(spec, spec.hostname, sources, plan);
    if (!done)
        return tl::unexpected(std::move(done).error());
    return plan;
}

// The steps of the user's mounts alone.
Lines lines_for(const std::vector<Mount>& mounts) {
    auto plan = plan_of(mounts);
    EXPECT_TRUE(plan) << message_of(plan);
    if (!plan)
        return {};
    Lines lines = lines_of(plan->setup);
    lines.erase(lines.begin(),
                lines.begin() + static_cast<ptrdiff_t>(lines_of(plan_of({})->setup).size()));
    return lines;
}

TEST(UserMounts, ComeInTheirOwnOrderAfterTheStandardOnes) {
    EXPECT_EQ(lines_for({bind_to("/b"),
                         {.type = "tmpfs", .target = "/a", .origin = "--tmpfs /a"},
                         bind_to("/a/c")}),
              (Lines{"attach_tree /b", "mount_at /a <tmpfs>", "attach_tree /a/c"}));
}

TEST(UserMounts, AttachTheTreeOpenedForThem) {
    auto plan = plan_of({bind_to("/a"), {.type = "tmpfs", .target = "/t"}, bind_to("/b")});
    ASSERT_TRUE(plan);
    std::vector<int> trees;
    for (const Step& step : plan->setup)
        if (step.kind == StepKind::attach_tree)
            trees.push_back(step.fd);
    EXPECT_EQ(trees, (std::vector<int>{100, 102}));
}

TEST(UserMounts, SayWhetherTheTreeIsADirectory) {
    Spec spec;
    spec.hostname = "web";
    spec.mounts = {bind_to("/dir"), bind_to("/file")};
    OpenedSources sources = {.root_tree = 7};
    sources.binds = {{.tree = 5, .is_directory = true}, {.tree = 6, .is_directory = false}};
    LaunchPlan plan;
    ASSERT_TRUE(plan_mounts(spec, spec.hostname, sources, plan));
    EXPECT_EQ(plan.setup[plan.setup.size() - 2].mode, uint32_t{S_IFDIR});
    EXPECT_EQ(plan.setup.back().mode, uint32_t{S_IFREG});
}

TEST(UserMounts, CarryTheirOptionsAndOrigin) {
    auto plan = plan_of({{.type = "tmpfs",
                          .source = "tmpfs",
                          .target = "/t",
                          .options = {"nosuid", "size=64", "ro", "mode=1777"},
                          .origin = "--tmpfs /t:64"}});
    ASSERT_TRUE(plan);
    const Step& step = plan->setup.back();
    EXPECT_EQ(step.flags, uint64_t{MS_NOSUID | MS_RDONLY});
    EXPECT_STREQ(step.data, "size=64,mode=1777");
    EXPECT_STREQ(step.origin, "--tmpfs /t:64");
}

TEST(UserMounts, WithoutDataHaveNone) {
    auto plan = plan_of({{.type = "tmpfs", .target = "/t", .options = {"nosuid"}}});
    EXPECT_EQ(plan->setup.back().data, nullptr);
}

// --mount type=ext4,source=/dev/sdb1,target=/data: the help says "any filesystem".
TEST(UserMounts, OfADeviceNameTheDevice) {
    auto plan = plan_of({{.type = "ext4", .source = "/dev/sdb1", .target = "/data"}});
    ASSERT_TRUE(plan);
    const Step& step = plan->setup.back();
    std::string texts;
    for (const char* text : {step.source, step.device_name, step.data, step.path})
        if (text)
            texts += std::string(text) + "\n";
    EXPECT_HOLDS(texts, "/dev/sdb1");
    EXPECT_HOLDS(texts, "ext4");
}

TEST(UserMounts, AWrongOptionNamesWhereItCameFrom) {
    EXPECT_EQ(message_of(plan_of(
                  {{.type = "tmpfs", .target = "/t", .options = {"rro"}, .origin = "--mount X"}})),
              "--mount X: option 'rro' is for binds: a new filesystem has nothing below it");
}

// ---- destinations -------------------------------------------------------------------------------

struct Target {
    const char* given;
    const char* clean;
};

void PrintTo(const Target& target, std::ostream* out) {
    *out << target.given;
}

class CleanTarget : public ::testing::TestWithParam<Target> {};

TEST_P(CleanTarget, IsWhatThePathMeans) {
    EXPECT_EQ(lines_for({bind_to(GetParam().given)}),
              Lines{std::string("attach_tree ") + GetParam().clean});
}

INSTANTIATE_TEST_SUITE_P(
    Paths, CleanTarget,
    ::testing::Values(Target{"/a", "/a"}, Target{"/a/", "/a"}, Target{"//a///b//", "/a/b"},
                      Target{"/a/./b/.", "/a/b"}, Target{"/a/b/../c", "/a/c"},
                      Target{"/../a", "/a"}, Target{"/a/../../../b", "/b"},
                      Target{"/a/..b/c..", "/a/..b/c.."}, Target{"/...", "/..."},
                      Target{"/a b", "/a b"}, Target{"/dev/extra", "/dev/extra"},
                      Target{"/sys/fs/bpf", "/sys/fs/bpf"}, Target{"/process", "/process"},
                      Target{"/developer", "/developer"}, Target{"/system", "/system"},
                      Target{"/proc/../data", "/data"}));

class RefusedTarget : public ::testing::TestWithParam<Target> {};

TEST_P(RefusedTarget, SaysWhy) {
    const std::string given = GetParam().given;
    EXPECT_EQ(message_of(plan_of({bind_to(given)})),
              "--bind /src:" + given + ": " + GetParam().clean);
}

constexpr const char* kOwn =
    "/proc, /sys and /dev are the container's own; mount below /sys or /dev";
constexpr const char* kItself = "the destination is the root itself";

INSTANTIATE_TEST_SUITE_P(
    Paths, RefusedTarget,
    ::testing::Values(Target{"/", kItself}, Target{"//", kItself}, Target{"/..", kItself},
                      Target{"/a/..", kItself}, Target{"/.", kItself}, Target{"/proc", kOwn},
                      Target{"/proc/", kOwn}, Target{"/proc/sys", kOwn},
                      Target{"/a/../proc/1", kOwn}, Target{"/../proc", kOwn},
                      Target{"//proc", kOwn}, Target{"/./proc", kOwn}, Target{"/sys", kOwn},
                      Target{"/sys/.", kOwn}, Target{"/dev", kOwn}, Target{"/dev/", kOwn},
                      Target{"/dev/shm/..", kOwn},
                      Target{"", "the destination '' is not an absolute path"},
                      Target{"a/b", "the destination 'a/b' is not an absolute path"},
                      Target{"../a", "the destination '../a' is not an absolute path"}));

TEST(UserMounts, RefuseADestinationThatNoPathMayBeAsLongAs) {
    EXPECT_TRUE(plan_of({bind_to("/" + std::string(3999, 'a'))}));
    EXPECT_HOLDS(message_of(plan_of({bind_to("/" + std::string(4000, 'a'))})),
                 "the destination is longer than 4000 bytes");
}

TEST(UserMounts, RefuseBadDestinationsOfFilesystemsToo) {
    EXPECT_EQ(
        message_of(plan_of({{.type = "tmpfs", .target = "/proc/x", .origin = "--tmpfs /proc/x"}})),
        std::string("--tmpfs /proc/x: ") + kOwn);
}

}  // namespace
}  // namespace sigil::isolation
