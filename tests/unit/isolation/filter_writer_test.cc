// Whatever the ranges are, the filter gives each number what its range says.
#include "isolation/filter_writer.h"

#include <stddef.h>

#include <algorithm>
#include <deque>
#include <random>

#include "isolation/bpf_interpreter.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kFirstBeyond = 700;  // no range begins there or later
constexpr uint64_t kTold = 40;          // the first argument that the cases ask for

struct Table {
    std::vector<Range> ranges;
    std::deque<std::vector<Case>> cases;
};

uint32_t action_number(uint32_t number) {
    return SECCOMP_RET_ERRNO | number;
}

// Many single numbers among wide ranges, few outcomes or many, some of which look at an argument.
Table random_table(std::mt19937& random) {
    auto below = [&random](uint32_t limit) {
        return std::uniform_int_distribution<uint32_t>(0, limit - 1)(random);
    };
    const uint32_t outcomes = 1 + below(5);
    const uint32_t widest = 1 + below(40);
    Table table;
    for (uint32_t first = 0; first < kFirstBeyond; first += below(3) == 0 ? 1 + below(widest) : 1) {
        Range range = {first, action_number(below(outcomes))};
        if (below(20) == 0)
            range.cases = &table.cases.emplace_back(
                1, Case{{{0, Comparison::equal, kTold, 0}}, action_number(10 + below(2))});
        table.ranges.push_back(range);
    }
    return table;
}

uint32_t expected(const Table& table, uint32_t number, uint64_t argument) {
    auto range = std::ranges::upper_bound(table.ranges, number, {}, &Range::first) - 1;
    return range->cases && argument == kTold ? range->cases->front().action : range->action;
}

TEST(FilterWriter, GivesEachNumberWhatItsRangeSays) {
    for (uint32_t seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        const Table table = random_table(random);
        for (bool by_bits : {false, true}) {
            FilterWriter writer;
            writer.search(table.ranges, by_bits);
            const auto code = std::move(writer).finish();
            for (uint32_t number = 0; number < kFirstBeyond + 100; ++number)
                for (uint64_t argument : {uint64_t{0}, kTold})
                    ASSERT_EQ(run_filter(code, call_of(number, {argument})).action,
                              expected(table, number, argument))
                        << "seed " << seed << ", number " << number << ", by bits " << by_bits;
        }
    }
}

// Single numbers that are refused among others that are not: one test for each.
TEST(FilterWriter, AsksForSingleNumbersOnce) {
    std::vector<Range> ranges = {{0, SECCOMP_RET_ALLOW}};
    constexpr uint32_t kSingle = 8;
    for (uint32_t index = 0; index < kSingle; ++index) {
        ranges.push_back({10 + 50 * index, SECCOMP_RET_ERRNO});
        ranges.push_back({11 + 50 * index, SECCOMP_RET_ALLOW});
    }
    FilterWriter writer;
    writer.search(ranges, false);
    constexpr size_t kLoadAndReturns = 3;
    EXPECT_LE(std::move(writer).finish().size(), kLoadAndReturns + kSingle + kSingle / 2);
}

// 32 numbers of two outcomes by turns: a mask.
TEST(FilterWriter, LooksAtBitsWhereItMay) {
    std::vector<Range> ranges;
    for (uint32_t number = 0; number <= 32; ++number)
        ranges.push_back({number, number % 2 ? uint32_t{SECCOMP_RET_ALLOW} : SECCOMP_RET_ERRNO});
    size_t sizes[2] = {};
    for (bool by_bits : {false, true}) {
        FilterWriter writer;
        writer.search(ranges, by_bits);
        sizes[by_bits] = std::move(writer).finish().size();
    }
    EXPECT_LT(sizes[true], 16U);
    EXPECT_GT(sizes[false], 18U);
}

}  // namespace
}  // namespace sigil::isolation
