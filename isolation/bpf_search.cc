#include "isolation/bpf_search.h"

#include <linux/seccomp.h>
#include <stddef.h>

namespace sigil::isolation {
namespace {

using Code = std::vector<sock_filter>;

constexpr size_t kLongestJump = UINT8_MAX;  // of a conditional one

size_t size_of(const Condition& condition) {
    switch (condition.comparison) {
        case Comparison::equal:
        case Comparison::not_equal:
            return 4;
        case Comparison::masked_equal:
            return 6;
        default:
            return 5;
    }
}

size_t size_of(const Case& one) {
    size_t size = 1;  // the return
    for (const Condition& condition : one.conditions)
        size += size_of(condition);
    return size;
}

// One condition's code: falls through where it holds, else jumps over the `rest` of its case.
class ConditionCode {
  public:
    ConditionCode(const Condition& condition, size_t rest, Code& code)
        : condition_(condition), end_(code.size() + size_of(condition)), rest_(rest), code_(code) {}

    void append() {
        const uint64_t value = condition_.value;
        switch (condition_.comparison) {
            case Comparison::equal:
                return append_words(value, kHolds, kFails);
            case Comparison::not_equal:
                return append_words(value, kFails, kHolds);
            case Comparison::masked_equal:
                return append_masked(value, condition_.value_two & value);
            case Comparison::greater:
                return append_order(BPF_JGT, kHolds, kFails);
            case Comparison::greater_or_equal:
                return append_order(BPF_JGE, kHolds, kFails);
            case Comparison::less:
                return append_order(BPF_JGE, kFails, kHolds);
            case Comparison::less_or_equal:
                return append_order(BPF_JGT, kFails, kHolds);
        }
    }

  private:
    enum To : uint8_t { kNext, kHolds, kFails };

    static uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
    static uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }

    void load(bool high_word) {
        const size_t at = offsetof(seccomp_data, args) + 8 * condition_.argument;
        code_.push_back(
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(high_word ? at + 4 : at)));
    }

    void jump(uint16_t comparison, uint32_t word, To if_so, To if_not) {
        const size_t next = code_.size() + 1;
        auto offset = [&](To to) {
            const size_t target = to == kNext ? next : to == kHolds ? end_ : end_ + rest_;
            return static_cast<uint8_t>(target - next);
        };
        code_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), word,
                                 offset(if_so), offset(if_not)));
    }

    void append_words(uint64_t value, To equal, To unequal) {
        load(true);
        jump(BPF_JEQ, high(value), kNext, unequal);
        load(false);
        jump(BPF_JEQ, low(value), equal, unequal);
    }

    void append_masked(uint64_t mask, uint64_t value) {
        for (bool high_word : {true, false}) {
            load(high_word);
            code_.push_back(
                BPF_STMT(BPF_ALU | BPF_AND | BPF_K, high_word ? high(mask) : low(mask)));
            jump(BPF_JEQ, high_word ? high(value) : low(value), high_word ? kNext : kHolds, kFails);
        }
    }

    // `above`: where a larger argument leads, `below`: a smaller one. The lower words decide by
    // `comparison` where the upper ones are the same.
    void append_order(uint16_t comparison, To above, To below) {
        load(true);
        jump(BPF_JGT, high(condition_.value), above, kNext);
        jump(BPF_JEQ, high(condition_.value), kNext, below);
        load(false);
        jump(comparison, low(condition_.value), above, below);
    }

    const Condition& condition_;
    size_t end_;
    size_t rest_;
    Code& code_;
};

void append_return(uint32_t action, Code& code) {
    code.push_back(BPF_STMT(BPF_RET | BPF_K, action));
}

void append_case(const Case& one, Code& code) {
    size_t rest = size_of(one);
    for (const Condition& condition : one.conditions) {
        rest -= size_of(condition);
        ConditionCode(condition, rest, code).append();
    }
    append_return(one.action, code);
}

void append_range(const Range& range, Code& code) {
    if (range.cases)
        for (const Case& one : *range.cases)
            append_case(one, code);
    append_return(range.action, code);
}

}  // namespace

void append_search(std::span<const Range> ranges, Code& code) {
    if (ranges.size() == 1)
        return append_range(ranges.front(), code);
    const size_t middle = ranges.size() / 2;
    const size_t branch = code.size();
    const auto first = ranges[middle].first;
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 0));
    append_search(ranges.first(middle), code);
    const size_t distance = code.size() - branch - 1;
    if (distance <= kLongestJump) {
        code[branch].jt = static_cast<uint8_t>(distance);
    } else {
        code[branch].jf = 1;
        code.insert(code.begin() + static_cast<ptrdiff_t>(branch) + 1,
                    BPF_STMT(BPF_JMP | BPF_JA, static_cast<uint32_t>(distance)));
    }
    append_search(ranges.subspan(middle), code);
}

}  // namespace sigil::isolation
