// How a filter finds what is to be done with a system call: what becomes of each range of numbers,
// and by which tests they are told from each other.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace sigil::isolation {

enum class Comparison : uint8_t {
    equal,
    not_equal,
    less,
    less_or_equal,
    greater,
    greater_or_equal,
    masked_equal,  // (argument & value) == (value_two & value)
};

// Of all 64 bits of an argument.
struct Condition {
    uint32_t argument;  // 0 to 5
    Comparison comparison;
    uint64_t value;
    uint64_t value_two;

    bool operator==(const Condition&) const = default;
};

// What happens when all the conditions, each of another argument, hold.
struct Case {
    std::vector<Condition> conditions;
    uint32_t action;  // SECCOMP_RET_*, with its data

    bool operator==(const Case&) const = default;
};

// From this number on, up to the next range's.
struct Range {
    uint32_t first;
    uint32_t action;                           // where no case matches
    const std::vector<Case>* cases = nullptr;  // tried in order
};

// A binary search by `>=`, at whose leaves a few single numbers among others of one outcome are
// asked for by `==`, which takes one instruction where a search takes two. Where bits may be looked
// at, a leaf of two outcomes within 32 numbers is a mask. Weighs the instructions against the steps
// that numbers take through them.
class SearchPlan {
  public:
    enum class How : uint8_t { unknown, halves, numbers, mask };

    struct Step {
        How how = How::unknown;
        uint32_t middle = 0;  // of halves: the first of the upper one
        size_t cost = 0;
    };

    static constexpr uint32_t kBits = 32;  // of a mask

    // `ranges`: in order, the first from 0 on.
    SearchPlan(std::span<const Range> ranges, bool by_bits);

    // Of [0, size()): those given, cut where a mask ends if there may be masks.
    [[nodiscard]] const Range& at(size_t index) const { return ranges_[index]; }
    [[nodiscard]] size_t size() const { return ranges_.size(); }
    [[nodiscard]] bool are_same(size_t one, size_t other) const;

    // What the ranges of [begin, end), at least two, are told from each other by first.
    [[nodiscard]] Step step(size_t begin, size_t end);

    // Of those that are asked for number by number, one that the others lead to.
    [[nodiscard]] size_t main_of(size_t begin, size_t end) const;

    // Of a mask: the two whose outcomes it tells from each other; `end` where there are none.
    [[nodiscard]] std::pair<size_t, size_t> two_of(size_t begin, size_t end) const;

  private:
    static constexpr size_t kImpossible = std::numeric_limits<size_t>::max();

    static size_t place_of(size_t begin, size_t end);
    [[nodiscard]] bool is_one_number(size_t index) const;
    [[nodiscard]] uint32_t next_block() const;
    [[nodiscard]] size_t numbers_in(size_t index) const;
    [[nodiscard]] size_t middle_of(size_t begin, size_t end) const;
    void weigh(size_t begin, size_t end);
    [[nodiscard]] Step cheapest(size_t begin, size_t end) const;
    [[nodiscard]] size_t of_numbers(size_t begin, size_t end, size_t test) const;
    [[nodiscard]] size_t of_mask(size_t begin, size_t end, size_t test) const;
    [[nodiscard]] size_t of_each(size_t begin, size_t end, size_t test, size_t one,
                                 size_t other) const;
    [[nodiscard]] size_t plain_unlike(size_t known, size_t begin, size_t end) const;

    bool has_masks_;
    std::vector<Range> ranges_;
    std::vector<size_t> weights_ = {0};  // of all ranges before each
    std::vector<Step> steps_;            // of each row, at place_of() it
};

}  // namespace sigil::isolation
