// describe(): every step has words for an error, and the user's own where there are some.
#include "isolation/step.h"

#include <set>

#include <gtest/gtest.h>

#include "isolation/launch_plan.h"

namespace sigil::isolation {
namespace {

constexpr int kLastKind = static_cast<int>(StepKind::exec_init);
constexpr Ids kIds = {.uid = 1000, .gid = 100, .groups = nullptr, .group_count = 0};

Step step_of(int kind) {
    return {.kind = static_cast<StepKind>(kind),
            .path = "the-path",
            .source = "the-source",
            .ids = &kIds};
}

TEST(Describe, HasWordsForEveryKind) {
    for (int kind = 0; kind <= kLastKind; ++kind) {
        const std::string text = describe(step_of(kind));
        EXPECT_NE(text, "") << kind;
        EXPECT_NE(text, "unknown step") << kind;
        EXPECT_FALSE(text.ends_with('.')) << text;
        EXPECT_FALSE(text.front() >= 'A' && text.front() <= 'Z') << text;
    }
}

TEST(Describe, NeedsNoTextsInTheStep) {
    for (int kind = 0; kind <= kLastKind; ++kind) {
        const Step bare = {.kind = static_cast<StepKind>(kind), .ids = &kIds};
        (void)describe(bare);
    }
}

TEST(Describe, TellsKindsApart) {
    std::set<std::string> texts;
    for (int kind = 0; kind <= kLastKind; ++kind)
        texts.insert(describe(step_of(kind)));
    // mount_here, mount_at and new_filesystem, mask_file, mask_directory and mask_path, and six
    // more that do for a bundle what others do for `run`: the same words for the same thing.
    constexpr int kSame = 2 + 1 + 2 + 6;
    EXPECT_GE(texts.size(), static_cast<size_t>(kLastKind + 1 - kSame));
}

TEST(Describe, NamesWhatTheStepIsAbout) {
    EXPECT_EQ(describe({.kind = StepKind::new_mount, .path = "proc", .source = "proc"}),
              "mount proc on /proc");
    EXPECT_EQ(describe({.kind = StepKind::mount_at, .path = "/data", .source = "tmpfs"}),
              "mount tmpfs on /data");
    EXPECT_EQ(describe({.kind = StepKind::attach_tree, .path = "/src"}), "bind on /src");
    EXPECT_EQ(describe({.kind = StepKind::make_device, .path = "null"}), "make device /dev/null");
    EXPECT_EQ(describe({.kind = StepKind::set_ids, .ids = &kIds}), "become user 1000:100");
    EXPECT_EQ(describe({.kind = StepKind::exec_command, .source = "/bin/true"}), "/bin/true");
}

TEST(Describe, PutsTheOptionBehindItFirst) {
    EXPECT_EQ(describe({.kind = StepKind::attach_tree, .path = "/b", .origin = "--bind /a:/b"}),
              "--bind /a:/b: bind on /b");
    EXPECT_EQ(describe({.kind = StepKind::set_rlimit, .origin = "--ulimit nofile=1"}),
              "--ulimit nofile=1: set the limit");
}

}  // namespace
}  // namespace sigil::isolation
