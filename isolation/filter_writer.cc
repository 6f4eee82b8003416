#include "isolation/filter_writer.h"

#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "isolation/search_plan.h"

namespace sigil::isolation {
namespace {

constexpr size_t kLongestJump = UINT8_MAX;  // of a conditional one

uint32_t high(uint64_t value) {
    return static_cast<uint32_t>(value >> 32);
}

uint32_t low(uint64_t value) {
    return static_cast<uint32_t>(value);
}

// Of how many cases from the first on the same 64 bits of an argument are asked for, all with the
// same action and upper half: they differ in the lower half alone.
size_t alike(std::span<const Case> cases) {
    auto is_like_first = [&cases](const Case& one) {
        const Case& first = cases.front();
        return one.action == first.action && one.conditions.size() == 1 &&
               one.conditions[0].comparison == Comparison::equal &&
               one.conditions[0].argument == first.conditions[0].argument &&
               high(one.conditions[0].value) == high(first.conditions[0].value);
    };
    if (cases.empty() || cases.front().conditions.empty())
        return 0;
    return static_cast<size_t>(std::ranges::find_if_not(cases, is_like_first) - cases.begin());
}

}  // namespace

using Label = FilterWriter::Label;

std::vector<sock_filter> FilterWriter::finish() && {
    std::ranges::reverse(reversed_);
    return std::move(reversed_);
}

Label FilterWriter::search(std::span<const Range> ranges, bool by_bits) {
    SearchPlan plan(ranges, by_bits);
    const Label start = emit(plan, 0, plan.size());
    if (start != reversed_.size())
        go_to(start);
    if (by_bits) {
        // X becomes the number's bit among 32.
        load(offsetof(seccomp_data, nr));
        push(BPF_STMT(BPF_MISC | BPF_TAX, 0));
        push(BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0));
        push(BPF_STMT(BPF_LD | BPF_IMM, 1));
        push(BPF_STMT(BPF_MISC | BPF_TAX, 0));
        push(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SearchPlan::kBits - 1));
    }
    return load(offsetof(seccomp_data, nr));
}

Label FilterWriter::emit(SearchPlan& plan, size_t begin, size_t end) {
    if (end - begin == 1)
        return range(plan.at(begin));
    const SearchPlan::Step step = plan.step(begin, end);
    if (step.how == SearchPlan::How::halves) {
        const Label upper = emit(plan, step.middle, end);
        const Label lower = emit(plan, begin, step.middle);
        return jump(BPF_JGE, plan.at(step.middle).first, upper, lower);
    }
    size_t main = plan.main_of(begin, end);
    size_t other = main;
    Label label = 0;
    if (step.how == SearchPlan::How::mask) {
        std::tie(main, other) = plan.two_of(begin, end);
        label = mask(plan, begin, end);
    } else {
        label = range(plan.at(main));
    }
    for (size_t index = end; index-- > begin;)
        if (!plan.are_same(index, main) && !plan.are_same(index, other))
            label = when_equal(plan.at(index).first, range(plan.at(index)), label);
    return label;
}

Label FilterWriter::mask(const SearchPlan& plan, size_t begin, size_t end) {
    const auto [one, other] = plan.two_of(begin, end);
    uint32_t bits = 0;
    for (size_t index = begin; index < end; ++index)
        if (plan.are_same(index, other))
            for (uint32_t number = plan.at(index).first; number < plan.at(index + 1).first;
                 ++number)
                bits |= 1U << number % SearchPlan::kBits;
    const Label if_set = near(range(plan.at(other)));
    const Label if_clear = near(range(plan.at(one)));
    const size_t next = reversed_.size();
    push(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_X, 0, static_cast<uint8_t>(next - if_set),
                  static_cast<uint8_t>(next - if_clear)));
    return push(BPF_STMT(BPF_LD | BPF_IMM, bits));
}

Label FilterWriter::push(sock_filter instruction) {
    reversed_.push_back(instruction);
    return reversed_.size();
}

Label FilterWriter::load(size_t offset) {
    return push(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
}

Label FilterWriter::go_to(Label to) {
    return push(BPF_STMT(BPF_JMP | BPF_JA, static_cast<uint32_t>(reversed_.size() - to)));
}

// The next conditional jump may lead there, and what may stand for its other way, an instruction,
// may come between.
bool FilterWriter::is_near(Label to) const {
    return reversed_.size() + 1 - to <= kLongestJump;
}

// `to`, or what stands for it where a conditional jump could not lead so far.
Label FilterWriter::near(Label to) {
    if (is_near(to))
        return to;
    const sock_filter there = reversed_[to - 1];
    return BPF_CLASS(there.code) == BPF_RET ? give(there.k) : go_to(to);
}

Label FilterWriter::jump(uint16_t comparison, uint32_t word, Label if_so, Label if_not) {
    if_so = near(if_so);
    if_not = near(if_not);
    const size_t next = reversed_.size();
    return push(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), word,
                         static_cast<uint8_t>(next - if_so), static_cast<uint8_t>(next - if_not)));
}

Label FilterWriter::when_equal(uint32_t word, Label if_so, Label if_not) {
    return jump(BPF_JEQ, word, if_so, if_not);
}

Label FilterWriter::give(uint32_t action) {
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

Label FilterWriter::range(const Range& range) {
    if (!range.cases)
        return give(range.action);
    for (const Outcome& known : outcomes_)
        if (known.cases && known.action == range.action && *known.cases == *range.cases)
            return known.label;
    const Label label = alternatives(*range.cases, give(range.action));
    outcomes_.push_back({range.action, range.cases, label});
    return label;
}

Label FilterWriter::alternatives(std::span<const Case> cases, Label otherwise) {
    if (cases.empty())
        return otherwise;
    const size_t count = alike(cases);
    if (count < 2)
        return guarded(cases.front(), alternatives(cases.subspan(1), otherwise));
    otherwise = alternatives(cases.subspan(count), otherwise);
    const Condition& first = cases.front().conditions[0];
    Label label = otherwise;
    for (size_t index = count; index-- > 0;)
        label = when_equal(low(cases[index].conditions[0].value), give(cases[index].action), label);
    load_argument(first.argument, false);
    when_equal(high(first.value), reversed_.size(), otherwise);
    return load_argument(first.argument, true);
}

Label FilterWriter::guarded(const Case& one, Label otherwise) {
    Label label = give(one.action);
    for (auto next = one.conditions.rbegin(); next != one.conditions.rend(); ++next)
        label = condition(*next, label, otherwise);
    return label;
}

Label FilterWriter::condition(const Condition& condition, Label holds, Label fails) {
    switch (condition.comparison) {
        case Comparison::equal:
            return words(condition, holds, fails);
        case Comparison::not_equal:
            return words(condition, fails, holds);
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

Label FilterWriter::load_argument(uint32_t argument, bool high_word) {
    const size_t at = offsetof(seccomp_data, args) + size_t{8} * argument;
    return load(high_word ? at + 4 : at);
}

Label FilterWriter::words(const Condition& condition, Label equal, Label unequal) {
    when_equal(low(condition.value), equal, unequal);
    const Label lower = load_argument(condition.argument, false);
    when_equal(high(condition.value), lower, unequal);
    return load_argument(condition.argument, true);
}

// A half that the mask leaves nothing of always holds.
Label FilterWriter::masked(const Condition& condition, Label holds, Label fails) {
    const uint64_t mask = condition.value;
    const uint64_t value = condition.value_two & mask;
    Label label = holds;
    for (bool high_word : {false, true}) {
        const uint32_t bits = high_word ? high(mask) : low(mask);
        if (bits == 0)
            continue;
        when_equal(high_word ? high(value) : low(value), label, fails);
        push(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
        label = load_argument(condition.argument, high_word);
    }
    return label;
}

// `above`: where a larger argument leads, `below`: a smaller one. The lower words decide by
// `comparison` where the upper ones are the same.
Label FilterWriter::order(uint16_t comparison, const Condition& condition, Label above,
                          Label below) {
    jump(comparison, low(condition.value), above, below);
    const Label lower = load_argument(condition.argument, false);
    const Label same = when_equal(high(condition.value), lower, below);
    jump(BPF_JGT, high(condition.value), above, same);
    return load_argument(condition.argument, true);
}

}  // namespace sigil::isolation
