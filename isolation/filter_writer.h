// Classic BPF that finds what is to be done with a system call: the code generator behind
// isolation/seccomp. Ranges of numbers, told from each other as isolation/search_plan has it;
// conditions on arguments, tried in turn; outcomes shared. Each instruction costs every start some
// 0.4 us: the kernel translates a filter twice, into its own instructions and the processor's, when
// it is installed.
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#include <span>
#include <vector>

#include "isolation/search_plan.h"

namespace sigil::isolation {

// Writes a filter from its end to its start: jumps go forwards alone, so that where one leads is
// there already, and outcomes that are the same are shared.
class FilterWriter {
  public:
    // A place in the filter, as the number of instructions from there to its end: what is known of
    // a program that is written from its end.
    using Label = size_t;

    // Before what was written last, which follows.
    Label push(sock_filter instruction);

    // Where the accumulator holds `word`, `if_so`, else `if_not`.
    Label when_equal(uint32_t word, Label if_so, Label if_not);

    // A return of this action; the writer has each but once where jumps reach it.
    Label give(uint32_t action);

    // Of a word of seccomp_data.
    Label load(size_t offset);

    // Looks at the system call's number, and always returns. `ranges`: in order, the first from 0
    // on; their cases must live as long as the writer. `by_bits`: in half as many instructions,
    // some of which end what the kernel does when a filter is installed, to run it for each number
    // and learn which calls are always allowed (seccomp_is_const_allow() in kernel/seccomp.c): that
    // takes 10 us less, but each of the calls then runs the filter.
    Label search(std::span<const Range> ranges, bool by_bits);

    std::vector<sock_filter> finish() &&;

  private:
    struct Outcome {
        uint32_t action;
        const std::vector<Case>* cases;
        Label label;
    };

    Label emit(SearchPlan& plan, size_t begin, size_t end);
    Label mask(const SearchPlan& plan, size_t begin, size_t end);
    Label go_to(Label to);
    [[nodiscard]] bool is_near(Label to) const;
    Label near(Label to);
    Label jump(uint16_t comparison, uint32_t word, Label if_so, Label if_not);
    Label range(const Range& range);
    Label alternatives(std::span<const Case> cases, Label otherwise);
    Label guarded(const Case& one, Label otherwise);
    Label condition(const Condition& condition, Label holds, Label fails);
    Label load_argument(uint32_t argument, bool high_word);
    Label words(const Condition& condition, Label equal, Label unequal);
    Label masked(const Condition& condition, Label holds, Label fails);
    Label order(uint16_t comparison, const Condition& condition, Label above, Label below);

    std::vector<sock_filter> reversed_;
    std::vector<Outcome> outcomes_;
};

}  // namespace sigil::isolation
