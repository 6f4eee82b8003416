// What a supervisor writes down, and how others read it.
#include "core/run_record.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "core/runs.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using testing::TempDir;
using Kind = RunRecord::Kind;
using Names = std::vector<std::string>;

class Record : public ::testing::Test {
  protected:
    [[nodiscard]] std::string root() const { return files.at("root"); }
    [[nodiscard]] Names runs() const {
        Names names;
        std::error_code ignored;
        for (const auto& entry :
             std::filesystem::directory_iterator(files.at("root/runs"), ignored))
            names.push_back(entry.path().filename());
        std::ranges::sort(names);
        return names;
    }
    [[nodiscard]] std::string target(const std::string& link) const {
        return std::filesystem::read_symlink(files.at("root/runs/" + link));
    }
    Result<std::optional<Runs>> open(Runs::Wait wait = Runs::Wait::no) const {
        return Runs::open(root(), wait);
    }
    Runs::Run look(const std::string& name) const {
        auto opened = open();
        EXPECT_TRUE(opened && *opened);
        auto run = (*opened)->look(name);
        EXPECT_TRUE(run && *run) << message_of(run);
        return std::move(**run);
    }

    TempDir files;
};

TEST_F(Record, IsNothingBeforeTheFirstEntry) {
    const RunRecord record(root(), "web");
    EXPECT_FALSE(record.is_open());
    EXPECT_FALSE(files.has("root"));
}

TEST_F(Record, IsALinkForEachEntryInAPrivateDirectory) {
    RunRecord record(root(), "web");
    ASSERT_TRUE(record.add(Kind::parent, "/a"));
    ASSERT_TRUE(record.add(Kind::cgroup, "/a/b"));
    EXPECT_EQ(target("web/parent.0"), "/a");
    EXPECT_EQ(target("web/cgroup.1"), "/a/b");
    for (const char* path : {"root", "root/runs", "root/runs/web"}) {
        struct stat facts;
        ASSERT_EQ(::stat(files.at(path).c_str(), &facts), 0);
        EXPECT_EQ(facts.st_mode & 07777, 0700U) << path;
    }
}

TEST_F(Record, GoesWithItsLastEntryAndComesAgain) {
    RunRecord record(root(), "web");
    auto one = record.add(Kind::cgroup, "/a");
    auto two = record.add(Kind::cgroup, "/b");
    record.forget(*one);
    EXPECT_EQ(runs(), Names{"web"});
    EXPECT_FALSE(files.has("root/runs/web/cgroup.0"));
    record.forget({});
    EXPECT_TRUE(record.is_open());
    record.forget(*two);
    EXPECT_EQ(runs(), Names{});
    EXPECT_FALSE(record.is_open());
    ASSERT_TRUE(record.add(Kind::cgroup, "/c"));
    EXPECT_EQ(target("web/cgroup.2"), "/c");
}

TEST_F(Record, TakesAnotherNameWhereItsOwnIsTaken) {
    RunRecord first(root(), "web");
    RunRecord second(root(), "web");
    ASSERT_TRUE(first.add(Kind::cgroup, "/a"));
    ASSERT_TRUE(second.add(Kind::cgroup, "/b"));
    const Names both = runs();
    ASSERT_EQ(both.size(), 2U);
    EXPECT_EQ(both[0], "web");
    EXPECT_EQ(both[1], second.directory_name());
    EXPECT_TRUE(both[1].starts_with("web-")) << both[1];
    EXPECT_EQ(target(both[1] + "/cgroup.0"), "/b");
}

TEST_F(Record, AnErrorNamesTheOptionAndHasNoErrno) {
    files.write("root", "a file");
    RunRecord record(root(), "web");
    const auto added = record.add(Kind::cgroup, "/a");
    EXPECT_HOLDS(message_of(added), "--root " + root());
    EXPECT_HOLDS(message_of(added), "Not a directory");
    EXPECT_EQ(added.error().code(), 0);
    RunRecord nowhere(files.at("no/such"), "web");
    EXPECT_HOLDS(message_of(nowhere.add(Kind::cgroup, "/a")), "No such file or directory");
}

TEST_F(Record, AnEntryThatCannotBeMadeLeavesNoDirectory) {
    RunRecord record(root(), "web");
    EXPECT_FALSE(record.add(Kind::cgroup, "/" + std::string(5000, 'x')));
    EXPECT_EQ(runs(), Names{});
    ASSERT_TRUE(record.add(Kind::cgroup, "/a"));
    EXPECT_FALSE(record.add(Kind::cgroup, "/" + std::string(5000, 'x')));
    EXPECT_EQ(runs(), Names{"web"});
}

// ---- seen by others ---------------------------------------------------------------------------

TEST_F(Record, IsAliveAsLongAsItsOwner) {
    {
        RunRecord record(root(), "web");
        ASSERT_TRUE(record.add(Kind::cgroup, "/a"));
        EXPECT_TRUE(look("web").is_alive);
    }
    const Runs::Run dead = look("web");  // its descriptor is closed, as at its owner's death
    EXPECT_FALSE(dead.is_alive);
    ASSERT_EQ(dead.links.size(), 1U);
    EXPECT_EQ(dead.links[0].target, "/a");
    EXPECT_EQ(dead.links[0].kind, Kind::cgroup);
}

TEST_F(Record, SurvivesThatItsFreshDirectoryIsSwept) {
    std::atomic<bool> is_done = false;
    std::thread sweeper([&] {
        while (!is_done) {
            auto opened = open();
            if (!opened || !*opened)
                continue;
            const Names names = *(*opened)->names();
            for (const std::string& name : names)
                if (auto run = (*opened)->look(name);
                    run && *run && !(*run)->is_alive && (*run)->links.empty())
                    (void)(*opened)->remove(name);
        }
    });
    for (int round = 0; round < 3000; ++round) {
        RunRecord record(root(), "web");
        auto entry = record.add(Kind::cgroup, "/a");
        ASSERT_TRUE(entry) << message_of(entry);
        ASSERT_EQ(target(record.directory_name() + "/cgroup.0"), "/a");
        record.forget(*entry);
    }
    is_done = true;
    sweeper.join();
    EXPECT_EQ(runs(), Names{});
}

TEST_F(Record, ClaimsWhatIsBelowAPathToo) {
    RunRecord record(root(), "web");
    ASSERT_TRUE(record.add(Kind::cgroup, "/a/b"));
    auto opened = open();
    EXPECT_TRUE(*(*opened)->is_claimed("/a/b", ""));
    EXPECT_TRUE(*(*opened)->is_claimed("/a", ""));
    EXPECT_FALSE(*(*opened)->is_claimed("/a/b/c", ""));
    EXPECT_FALSE(*(*opened)->is_claimed("/a/bb", ""));
    EXPECT_FALSE(*(*opened)->is_claimed("/a/b", "web"));
}

TEST_F(Record, TheDeadClaimNothingAndAreReadAllTheSame) {
    {
        RunRecord record(root(), "web");
        ASSERT_TRUE(record.add(Kind::cgroup, "/a"));
    }
    auto opened = open();
    EXPECT_FALSE(*(*opened)->is_claimed("/a", ""));
    EXPECT_EQ(*(*opened)->written_down({}), Names{"/a"});
    EXPECT_EQ(*(*opened)->written_down({"web"}), Names{});
}

TEST(Runs, AreNotThereWithoutARoot) {
    const TempDir files;
    auto opened = Runs::open(files.at("nope"), Runs::Wait::yes);
    ASSERT_TRUE(opened);
    EXPECT_FALSE(opened->has_value());
}

TEST_F(Record, OneSweeperAtATime) {
    files.make_directory("root/runs");
    auto first = open();
    ASSERT_TRUE(first && *first);
    auto second = open();
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->has_value());
    first->reset();
    EXPECT_TRUE((*open()).has_value());
}

TEST_F(Record, OnlyADirectoryOfOursIsRead) {
    files.make_directory("root/runs");
    ::chmod(files.at("root/runs").c_str(), 0777);
    EXPECT_HOLDS(message_of(open()), "others may write to it");
    ::chmod(files.at("root/runs").c_str(), 0700);
    files.write("root/runs/file", "");
    files.make_link("root/runs/link", "/");
    files.make_directory("root/runs/open");
    ::chmod(files.at("root/runs/open").c_str(), 0777);
    ::mkfifo(files.at("root/runs/fifo").c_str(), 0600);
    auto opened = open();
    for (const char* name : {"file", "link", "fifo"})
        EXPECT_HOLDS(message_of((*opened)->look(name)), "it is not a directory");
    EXPECT_HOLDS(message_of((*opened)->look("open")), "others may write to it");
    EXPECT_FALSE(*(*opened)->look("gone"));
    if (::geteuid() != 0)
        GTEST_SKIP() << "the rest needs root";
    files.make_directory("root/runs/theirs");
    ASSERT_EQ(::chown(files.at("root/runs/theirs").c_str(), 1000, 1000), 0);
    EXPECT_HOLDS(message_of((*opened)->look("theirs")), "it belongs to user 1000");
}

TEST_F(Record, WhatNoSupervisorWritesIsGarbage) {
    files.make_directory("root/runs/web");
    ::chmod(files.at("root/runs/web").c_str(), 0700);
    files.make_link("root/runs/web/cgroup.7", "/good");
    files.make_link("root/runs/web/cgroup.x", "/a");
    files.make_link("root/runs/web/other", "/a");
    files.make_link("root/runs/web/cgroup.1", "relative");
    files.make_link("root/runs/web/cgroup.2", "/a/../b");
    files.make_link("root/runs/web/cgroup.3", "/a/..");
    files.write("root/runs/web/cgroup.4", "/a");
    const Runs::Run run = look("web");
    EXPECT_EQ(run.garbage.size(), 6U);
    ASSERT_EQ(run.links.size(), 1U);
    EXPECT_EQ(run.links[0].target, "/good");
}

TEST_F(Record, SomeOfManyAreFromAnywhereInTheListing) {
    Names seen;
    for (int index = 0; index < 300; ++index)
        files.make_directory("root/runs/run-" + std::to_string(index));
    for (int round = 0; round < 200; ++round) {
        const Names some = *(*open())->some_names(16);
        EXPECT_EQ(some.size(), 16U);
        seen.insert(seen.end(), some.begin(), some.end());
    }
    std::ranges::sort(seen);
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    EXPECT_GT(seen.size(), 60U);
    EXPECT_EQ((*open())->names()->size(), 300U);
}

TEST_F(Record, SomeOfAFewAreAll) {
    for (const char* name : {"a", "b", "c"})
        files.make_directory(std::string("root/runs/") + name);
    for (int round = 0; round < 20; ++round)
        EXPECT_EQ((*open())->some_names(16)->size(), 3U);
}

TEST_F(Record, IsNotWrittenWhereOthersMayWrite) {
    RunRecord record(root(), "web");
    files.make_directory("root");
    ASSERT_EQ(::chmod(root().c_str(), 0777), 0);
    EXPECT_EQ(message_of(record.add(Kind::cgroup, "/x")),
              "--root " + root() + ": others may write to it");
    EXPECT_TRUE(runs().empty());
}

TEST_F(Record, IsNotWrittenInAnothersDirectory) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "only root can make a directory another's";
    files.make_directory("root");
    ASSERT_EQ(::chown(root().c_str(), 12345, 12345), 0);
    RunRecord record(root(), "web");
    EXPECT_EQ(message_of(record.add(Kind::cgroup, "/x")),
              "--root " + root() + ": it belongs to another user");
    files.make_directory("other");
    ASSERT_EQ(::chown(files.at("other").c_str(), 0, 0), 0);
    files.make_link("link", files.at("other"));
    ASSERT_EQ(::lchown(files.at("link").c_str(), 12345, 12345), 0);
    RunRecord through(files.at("link"), "web");
    EXPECT_FALSE(through.add(Kind::cgroup, "/x"));
    EXPECT_TRUE(std::filesystem::is_empty(files.at("other")));
}

}  // namespace
}  // namespace sigil
