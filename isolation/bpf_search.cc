#include "isolation/bpf_search.h"

#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>

namespace sigil::isolation {
namespace {

// A place in the program, as the number of instructions from there to its end: what is known of a
// program that is written from its end.
using Label = size_t;

constexpr size_t kLongestJump = UINT8_MAX;  // of a conditional one
constexpr uint32_t kCalls = 512;            // no architecture has more without a bit of its own

// Writes from the end to the start: jumps go forwards alone, so that where one leads is there
// already, and outcomes that are the same are shared.
class Writer {
  public:
    explicit Writer(std::span<const Range> ranges) : ranges_(ranges), weights_{0} {
        for (size_t index = 0; index < ranges.size(); ++index)
            weights_.push_back(weights_.back() + weight_of(index));
    }

    std::vector<sock_filter> write() && {
        const Label start = search(0, ranges_.size());
        if (start != reversed_.size())
            go_to(start);
        std::ranges::reverse(reversed_);
        return std::move(reversed_);
    }

  private:
    struct Outcome {
        uint32_t action;
        const std::vector<Case>* cases;
        Label label;
    };

    // The kernel runs a filter once for each number when it is installed, to learn which ones are
    // always allowed (seccomp_cache_prepare() in kernel/seccomp.c): what many numbers lead to is
    // to be found in few steps.
    [[nodiscard]] size_t weight_of(size_t index) const {
        auto first = [this](size_t of) {
            return of < ranges_.size() ? std::min(ranges_[of].first, kCalls) : kCalls;
        };
        return 1 + size_t{16} * (first(index + 1) - first(index));
    }

    // Where of [begin, end) both sides weigh about the same; neither is empty.
    [[nodiscard]] size_t middle_of(size_t begin, size_t end) const {
        const size_t half = (weights_[begin] + weights_[end]) / 2;
        const auto past = std::ranges::upper_bound(weights_, half) - weights_.begin();
        auto middle = static_cast<size_t>(past);
        if (middle - 1 > begin && half - weights_[middle - 1] < weights_[middle] - half)
            --middle;
        return std::clamp(middle, begin + 1, end - 1);
    }

    Label search(size_t begin, size_t end) {
        if (end - begin == 1)
            return range(ranges_[begin]);
        const size_t middle = middle_of(begin, end);
        const Label upper = search(middle, end);
        const Label lower = search(begin, middle);
        return jump(BPF_JGE, ranges_[middle].first, upper, lower);
    }

    Label push(sock_filter instruction) {
        reversed_.push_back(instruction);
        return reversed_.size();
    }

    Label go_to(Label to) {
        return push(BPF_STMT(BPF_JMP | BPF_JA, static_cast<uint32_t>(reversed_.size() - to)));
    }

    // The next conditional jump may lead there, and what may stand for its other way, an
    // instruction, may come between.
    [[nodiscard]] bool is_near(Label to) const { return reversed_.size() + 1 - to <= kLongestJump; }

    // `to`, or what stands for it where a conditional jump could not lead so far.
    Label near(Label to) {
        if (is_near(to))
            return to;
        const sock_filter there = reversed_[to - 1];
        return BPF_CLASS(there.code) == BPF_RET ? give(there.k) : go_to(to);
    }

    Label jump(uint16_t comparison, uint32_t word, Label if_so, Label if_not) {
        if_so = near(if_so);
        if_not = near(if_not);
        const size_t next = reversed_.size();
        return push(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), word,
                             static_cast<uint8_t>(next - if_so),
                             static_cast<uint8_t>(next - if_not)));
    }

    Label give(uint32_t action) {
        for (Outcome& known : outcomes_)
            if (!known.cases && known.action == action) {
                if (!is_near(known.label))
                    known.label = push(BPF_STMT(BPF_RET | BPF_K, action));
                return known.label;
            }
        const Label label = push(BPF_STMT(BPF_RET | BPF_K, action));
        outcomes_.push_back({action, nullptr, label});
        return label;
    }

    Label range(const Range& range) {
        if (!range.cases)
            return give(range.action);
        for (const Outcome& known : outcomes_)
            if (known.cases && known.action == range.action && *known.cases == *range.cases)
                return known.label;
        Label label = give(range.action);
        for (auto one = range.cases->rbegin(); one != range.cases->rend(); ++one)
            label = guarded(*one, label);
        outcomes_.push_back({range.action, range.cases, label});
        return label;
    }

    Label guarded(const Case& one, Label otherwise) {
        Label label = give(one.action);
        for (auto next = one.conditions.rbegin(); next != one.conditions.rend(); ++next)
            label = condition(*next, label, otherwise);
        return label;
    }

    Label condition(const Condition& condition, Label holds, Label fails) {
        const uint64_t value = condition.value;
        switch (condition.comparison) {
            case Comparison::equal:
                return words(condition, value, holds, fails);
            case Comparison::not_equal:
                return words(condition, value, fails, holds);
            case Comparison::masked_equal:
                return masked(condition, holds, fails);
            case Comparison::greater:
                return order(BPF_JGT, condition, holds, fails);
            case Comparison::greater_or_equal:
                return order(BPF_JGE, condition, holds, fails);
            case Comparison::less:
                return order(BPF_JGE, condition, fails, holds);
            case Comparison::less_or_equal:
                return order(BPF_JGT, condition, fails, holds);
        }
        return fails;
    }

    static uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
    static uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }

    // Before what was written last.
    Label load(const Condition& condition, bool high_word) {
        const size_t at = offsetof(seccomp_data, args) + size_t{8} * condition.argument;
        return push(
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(high_word ? at + 4 : at)));
    }

    Label words(const Condition& condition, uint64_t value, Label equal, Label unequal) {
        jump(BPF_JEQ, low(value), equal, unequal);
        const Label lower = load(condition, false);
        jump(BPF_JEQ, high(value), lower, unequal);
        return load(condition, true);
    }

    // A half that the mask leaves nothing of always holds.
    Label masked(const Condition& condition, Label holds, Label fails) {
        const uint64_t mask = condition.value;
        const uint64_t value = condition.value_two & mask;
        Label label = holds;
        for (bool high_word : {false, true}) {
            const uint32_t bits = high_word ? high(mask) : low(mask);
            if (bits == 0)
                continue;
            jump(BPF_JEQ, high_word ? high(value) : low(value), label, fails);
            push(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
            label = load(condition, high_word);
        }
        return label;
    }

    // `above`: where a larger argument leads, `below`: a smaller one. The lower words decide by
    // `comparison` where the upper ones are the same.
    Label order(uint16_t comparison, const Condition& condition, Label above, Label below) {
        jump(comparison, low(condition.value), above, below);
        const Label lower = load(condition, false);
        const Label same = jump(BPF_JEQ, high(condition.value), lower, below);
        jump(BPF_JGT, high(condition.value), above, same);
        return load(condition, true);
    }

    std::span<const Range> ranges_;
    std::vector<size_t> weights_;  // of all ranges before each
    std::vector<sock_filter> reversed_;
    std::vector<Outcome> outcomes_;
};

}  // namespace

void append_search(std::span<const Range> ranges, std::vector<sock_filter>& code) {
    const auto written = Writer(ranges).write();
    code.insert(code.end(), written.begin(), written.end());
}

}  // namespace sigil::isolation
