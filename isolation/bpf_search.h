// Classic BPF that finds what is to be done with a system call: the code generator behind
// isolation/seccomp. Ranges of numbers, found by a binary search in which those that hold more
// numbers are found sooner; conditions on arguments, tried in turn; outcomes shared.
#pragma once

#include <linux/filter.h>
#include <stdint.h>

#include <span>
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

// Appends code that expects the system call's number in the accumulator, and always returns.
// `ranges`: in order, the first from 0 on.
void append_search(std::span<const Range> ranges, std::vector<sock_filter>& code);

}  // namespace sigil::isolation
