// Which users containers with --userns auto get, and what is written about them.
#include "isolation/user_ranges.h"

#include <algorithm>
#include <array>
#include <optional>

#include "isolation/container_note.h"
#include "isolation/id_map.h"
#include "isolation/rootless.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;

TEST(SubordinateRanges, AreThoseOfTheUser) {
    const std::array<std::string, 2> names = {"alice", "1000"};
    const char* text =
        "bob:1:2\n"
        "alice:100000:65536\n"
        "1000:300000:10\n"
        "alicex:5:5\n";
    EXPECT_EQ(subordinate_ranges(text, names),
              (std::vector<IdRange>{{100000, 65536}, {300000, 10}}));
}

TEST(SubordinateRanges, PassOverWhatIsNone) {
    const std::array<std::string, 1> names = {"a"};
    for (const char* text : {"", "\n\n", "a", "a:1", "a:1:", "a:x:1", "a:1:0", "a:-1:5",
                             "a:4294967295:1", "a:4294967290:100", "a:1:99999999999"})
        EXPECT_TRUE(subordinate_ranges(text, names).empty()) << text;
    EXPECT_EQ(subordinate_ranges("a:4294967294:1", names), (std::vector<IdRange>{{4294967294, 1}}));
}

TEST(SubordinateRanges, FollowOneAnotherInside) {
    const std::array<IdRange, 2> ranges = {IdRange{100, 10}, IdRange{500, 5}};
    EXPECT_EQ(mappings_of(ranges, 1), (std::vector<IdMapping>{{1, 100, 10}, {11, 500, 5}}));
    const std::array<IdRange, 2> long_ones = {IdRange{1, UINT32_MAX - 1}, IdRange{7, 5}};
    EXPECT_EQ(mappings_of(long_ones, 1), (std::vector<IdMapping>{{1, 1, UINT32_MAX - 1}}));
}

TEST(IdMaps, AreReadAsTheKernelShowsThem) {
    const std::vector<IdMapping> maps =
        parse_id_map("         0       1000          1\n         1     100000      65536\n");
    EXPECT_EQ(maps, (std::vector<IdMapping>{{0, 1000, 1}, {1, 100000, 65536}}));
    EXPECT_TRUE(isolation::maps(maps, 0));
    EXPECT_TRUE(isolation::maps(maps, 65536));
    EXPECT_FALSE(isolation::maps(maps, 65537));
    EXPECT_TRUE(parse_id_map("nonsense\n1 2\n").empty());
}

TEST(UserRanges, AreCutInPairs) {
    const SubordinateIds ids = {{{100000, 3 * kIdsOfAContainer - 1}, {900000, 5}},
                                {{500000, kIdsOfAContainer}, {800000, kIdsOfAContainer}}};
    EXPECT_EQ(cut(ids),
              (std::vector<FirstIds>{{100000, 500000}, {100000 + kIdsOfAContainer, 800000}}));
    EXPECT_TRUE(cut({{{1, kIdsOfAContainer - 1}}, {{1, kIdsOfAContainer}}}).empty());
}

TEST(UserRanges, AreTakenByOneAtATime) {
    const TempDir files;
    UserRanges one(files.at("root"));
    UserRanges other(files.at("root"));
    std::vector<UserRanges::Taken> taken;
    std::vector<uint32_t> uids;
    for (int turn = 0; turn < 20; ++turn)
        for (UserRanges* ranges : {&one, &other}) {
            auto range = ranges->take();
            ASSERT_TRUE(range) << message_of(range);
            uids.push_back(range->first().uid);
            taken.push_back(std::move(*range));
        }
    std::ranges::sort(uids);
    EXPECT_EQ(std::ranges::adjacent_find(uids), uids.end());
    EXPECT_GT(uids.front(), 65535U);
}

TEST(UserRanges, AreGivenBack) {
    const TempDir files;
    UserRanges ranges(files.at("root"));
    const FirstIds first = ranges.take()->first();
    auto again = ranges.take();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->first(), first);
    EXPECT_NE(ranges.take()->first(), first);
    *again = UserRanges::Taken();
    EXPECT_EQ(ranges.take()->first(), first);
}

TEST(UserRanges, GoWithTheirOwnerAndLeaveWhatIsAnothersByThen) {
    const TempDir files;
    auto ranges = std::make_unique<UserRanges>(files.at("root"));
    const auto taken = ranges->take();
    ASSERT_TRUE(taken) << message_of(taken);
    const std::string file = fmt::format("root/users/{}", taken->first().uid);
    ASSERT_TRUE(std::filesystem::exists(files.at(file)));
    ranges->release();
    EXPECT_FALSE(std::filesystem::exists(files.at(file)));
    files.write(file, "another's");
    ranges.reset();
    EXPECT_TRUE(std::filesystem::exists(files.at(file)));

    auto unreleased = std::make_unique<UserRanges>(files.at("other"));
    ASSERT_TRUE(unreleased->take());
    unreleased.reset();
    EXPECT_TRUE(std::filesystem::is_empty(files.at("other/users")));
}

TEST(UserRanges, LeaveNoFileOnceTheyAreReleased) {
    const TempDir files;
    UserRanges ranges(files.at("root"));
    const auto taken = ranges.take();
    ASSERT_TRUE(taken);
    const std::string file = "root/users/" + std::to_string(taken->first().uid);
    EXPECT_TRUE(files.has(file));
    ranges.release();
    EXPECT_FALSE(files.has(file));
}

TEST(UserRanges, AreFreedOfWhatWasKilled) {
    const TempDir files;
    files.write("root/users/1879048192", "");
    UserRanges ranges(files.at("root"));
    const auto taken = ranges.take();
    ASSERT_TRUE(taken);
    const std::string first = std::to_string(taken->first().uid);
    EXPECT_TRUE(files.has("root/users/" + first));
    EXPECT_TRUE(first == "1879048192" || !files.has("root/users/1879048192"));
    UserRanges other(files.at("root"));  // finds one that is locked
    ASSERT_TRUE(other.take());
    EXPECT_TRUE(files.has("root/users/" + first));
}

// ---- what exec has to know ----------------------------------------------------------------------

TEST(ContainerNote, IsReadAsItWasWritten) {
    for (const ContainerNote& note :
         {ContainerNote{}, ContainerNote{.capabilities = 0, .is_filtered = false},
          ContainerNote{.capabilities = ~uint64_t{0}, .is_filtered = true},
          ContainerNote{.name = "web-7"},
          ContainerNote{.capabilities = 1, .is_filtered = false, .name = "a_b.c"}}) {
        const auto read = parse_note(as_text(note));
        ASSERT_TRUE(read) << message_of(read);
        EXPECT_EQ(*read, note);
    }
}

TEST(ContainerNote, PassesOverWhatItDoesNotKnow) {
    EXPECT_EQ(*parse_note(""), ContainerNote{});
    EXPECT_EQ(*parse_note("later=1 capabilities=3"), ContainerNote{.capabilities = 3});
    for (const char* text :
         {"capabilities=", "capabilities=x", "capabilities=1x", "capabilities=11111111111111111"})
        EXPECT_FALSE(parse_note(text)) << text;
}

}  // namespace
}  // namespace sigil::isolation
