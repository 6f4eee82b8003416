// What the sweep removes, on plain directories that stand for cgroups.
#include "isolation/sweep.h"

#include <gtest/gtest.h>

#include "core/sys.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::TempDir;
using Kind = RunRecord::Kind;
using Lines = std::vector<std::string>;

class AbandonedCgroups : public ::testing::Test {
  protected:
    AbandonedCgroups() { files.make_directory("mount"); }

    [[nodiscard]] std::string at(const std::string& name) const {
        return files.at("mount/" + name);
    }
    void make(const std::string& name) const { files.make_directory("mount/" + name); }
    [[nodiscard]] bool has(const std::string& name) const { return files.has("mount/" + name); }
    [[nodiscard]] std::unique_ptr<RunRecord> record(const std::string& name) const {
        return std::make_unique<RunRecord>(files.at("root"), name);
    }
    // As a killed supervisor leaves it.
    void leave(const std::string& name, const std::vector<std::pair<Kind, std::string>>& entries) {
        auto dead = record(name);
        for (const auto& [kind, path] : entries)
            ASSERT_TRUE(dead->add(kind, path));
    }
    Swept run(bool dry_run = false) {
        return sweep({.root = files.at("root"),
                      .dry_run = dry_run,
                      .patience = std::chrono::milliseconds(20),
                      .filesystem = *sys::filesystem_type(files.path().c_str())});
    }
    [[nodiscard]] std::string run_line(const std::string& name) const {
        return "record " + files.at("root/runs/" + name);
    }

    TempDir files;
};

std::string failures_of(const Swept& swept) {
    std::string text;
    for (const Error& error : swept.failures)
        text += error.message() + "\n";
    return text;
}

TEST_F(AbandonedCgroups, SaysNothingWhereNothingIs) {
    EXPECT_EQ(run().removed, Lines{});
    EXPECT_EQ(failures_of(run()), "");
    EXPECT_FALSE(files.has("root"));
}

TEST_F(AbandonedCgroups, RemovesWhatTheDeadLeftDeepestFirst) {
    make("new/deep/sigil-web/a/b");
    leave("web", {{Kind::parent, at("new")},
                  {Kind::parent, at("new/deep")},
                  {Kind::cgroup, at("new/deep/sigil-web")}});
    const Swept swept = run();
    EXPECT_EQ(failures_of(swept), "");
    EXPECT_EQ(swept.removed,
              (Lines{"cgroup " + at("new/deep/sigil-web"), "cgroup " + at("new/deep"),
                     "cgroup " + at("new"), run_line("web")}));
    EXPECT_FALSE(has("new"));
    EXPECT_FALSE(files.has("root/runs/web"));
    EXPECT_EQ(run().removed, Lines{});
}

TEST_F(AbandonedCgroups, ForgetsWhatWasNeverMade) {
    leave("web", {{Kind::cgroup, at("sigil-web")}, {Kind::parent, at("no/such")}});
    EXPECT_EQ(run().removed, Lines{run_line("web")});
}

TEST_F(AbandonedCgroups, RemovesARunWithoutEntries) {
    files.make_directory("root/runs/young");
    EXPECT_EQ(run().removed, Lines{run_line("young")});
}

TEST_F(AbandonedCgroups, LeavesTheLivingAlone) {
    make("sigil-web");
    auto alive = record("web");
    ASSERT_TRUE(alive->add(Kind::cgroup, at("sigil-web")));
    EXPECT_EQ(run().removed, Lines{});
    EXPECT_TRUE(has("sigil-web"));
    EXPECT_TRUE(files.has("root/runs/web/cgroup.0"));
}

// The dead one's name was taken by another.
TEST_F(AbandonedCgroups, LeavesWhatALivingOneHasTakenOver) {
    make("sigil-web");
    leave("web", {{Kind::cgroup, at("sigil-web")}});
    auto alive = record("web");
    ASSERT_TRUE(alive->add(Kind::cgroup, at("sigil-web")));
    EXPECT_EQ(run().removed, Lines{run_line("web")});
    EXPECT_TRUE(has("sigil-web"));
}

TEST_F(AbandonedCgroups, KeepsAParentForTheLivingBelowAndRemovesItLater) {
    make("sigil/sigil-b");
    leave("a", {{Kind::parent, at("sigil")}, {Kind::cgroup, at("sigil/sigil-a")}});
    {
        auto alive = record("b");
        ASSERT_TRUE(alive->add(Kind::cgroup, at("sigil/sigil-b")));
        EXPECT_EQ(run().removed, Lines{});
        EXPECT_TRUE(has("sigil/sigil-b"));
    }
    EXPECT_EQ(run().removed, (Lines{"cgroup " + at("sigil/sigil-b"), "cgroup " + at("sigil"),
                                    run_line("a"), run_line("b")}));
    EXPECT_FALSE(has("sigil"));
}

TEST_F(AbandonedCgroups, LeavesAParentWithSomebodyElsesInIt) {
    make("sigil/theirs");
    leave("a", {{Kind::parent, at("sigil")}});
    EXPECT_EQ(run().removed, Lines{run_line("a")});
    EXPECT_TRUE(has("sigil/theirs"));
}

TEST_F(AbandonedCgroups, RemovesAPathOfSeveralDeadOnce) {
    make("sigil-web");
    leave("web", {{Kind::cgroup, at("sigil-web")}});
    leave("web2", {{Kind::cgroup, at("sigil-web")}});
    EXPECT_EQ(run().removed,
              (Lines{"cgroup " + at("sigil-web"), run_line("web"), run_line("web2")}));
}

TEST_F(AbandonedCgroups, DryRunSaysTheSameAndRemovesNothing) {
    make("sigil-web/a");
    leave("web", {{Kind::cgroup, at("sigil-web")}});
    files.make_directory("root/runs/young");
    const Lines said = run(true).removed;
    EXPECT_TRUE(has("sigil-web/a"));
    EXPECT_TRUE(files.has("root/runs/web/cgroup.0"));
    EXPECT_TRUE(files.has("root/runs/young"));
    EXPECT_EQ(run().removed, said);
}

TEST_F(AbandonedCgroups, TellsWhatCannotBeRemovedAndGoesOn) {
    make("sigil-a");
    make("sigil-b");
    files.write("mount/sigil-a/file", "keeps it from being removed");
    leave("a", {{Kind::cgroup, at("sigil-a")}, {Kind::parent, files.at("mount")}});
    leave("b", {{Kind::cgroup, at("sigil-b")}});
    const Swept swept = run();
    EXPECT_HOLDS(failures_of(swept), "cgroup " + at("sigil-a"));
    EXPECT_EQ(swept.failures.size(), 1U);
    EXPECT_EQ(swept.removed, (Lines{"cgroup " + at("sigil-b"), run_line("b")}));
    EXPECT_TRUE(files.has("root/runs/a/cgroup.0"));
    EXPECT_TRUE(files.has("root/runs/a/parent.1"));  // for when sigil-a is gone
}

TEST_F(AbandonedCgroups, TouchesNothingButCgroupsOfSigils) {
    make("other");
    make("real/sigil-web");
    files.make_link("mount/link", at("real"));
    files.make_link("mount/sigil-link", at("real"));
    leave("web", {{Kind::cgroup, at("other")},
                  {Kind::cgroup, at("link/sigil-web")},
                  {Kind::cgroup, at("sigil-link")},
                  {Kind::cgroup, "/proc/sigil-x"},
                  {Kind::cgroup, "/proc/self/sigil-x"},
                  {Kind::cgroup, "/"},
                  {Kind::parent, "/proc/tty"}});
    const Swept swept = run();
    EXPECT_EQ(swept.removed, Lines{});
    EXPECT_EQ(swept.failures.size(), 6U) << failures_of(swept);
    EXPECT_HOLDS(failures_of(swept), "sigil makes no cgroup of this name");
    EXPECT_HOLDS(failures_of(swept), "it is not in a cgroup v2 hierarchy");
    EXPECT_TRUE(has("other"));
    EXPECT_TRUE(has("real/sigil-web"));
}

TEST_F(AbandonedCgroups, TellsGarbageAndKeepsItsRecord) {
    make("sigil-web");
    leave("web", {{Kind::cgroup, at("sigil-web")}});
    files.write("root/runs/web/note", "");
    files.write("root/runs/file", "");
    const Swept swept = run();
    EXPECT_EQ(swept.removed, Lines{"cgroup " + at("sigil-web")});
    EXPECT_HOLDS(failures_of(swept), "runs/web/note: no supervisor makes a file of this name");
    EXPECT_HOLDS(failures_of(swept), "runs/file: it is not a directory");
    EXPECT_TRUE(files.has("root/runs/web/note"));
}

TEST_F(AbandonedCgroups, AStartLooksAtOthersOnlyIfThereAreAny) {
    leave("dead", {{Kind::cgroup, "/sys/fs/cgroup/sigil-never-made"}});
    RunRecord own(files.at("root"), "own");
    sweep_some(own);  // it has nothing written down: it isn't asked
    EXPECT_TRUE(files.has("root/runs/dead"));
    ASSERT_TRUE(own.add(Kind::cgroup, "/sys/fs/cgroup/sigil-own"));
    sweep_some(own);
    EXPECT_FALSE(files.has("root/runs/dead"));
    EXPECT_TRUE(files.has("root/runs/own/cgroup.0"));
    sweep_some(own);
}

}  // namespace
}  // namespace sigil::isolation
