// Runs a filter as the kernel would (seccomp(2), "classic BPF"), counting what it executes.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include <array>
#include <span>

#include <gtest/gtest.h>

namespace sigil::isolation {

struct Verdict {
    uint32_t action = 0;
    size_t executed = 0;
};

inline seccomp_data call_of(int64_t number, std::array<uint64_t, 6> arguments = {},
                            uint32_t architecture = AUDIT_ARCH_X86_64) {
    seccomp_data data = {};
    data.nr = static_cast<int>(number);
    data.arch = architecture;
    for (size_t index = 0; index < arguments.size(); ++index)
        data.args[index] = arguments[index];
    return data;
}

// Fails the test where the program is one that the kernel would not take.
inline Verdict run_filter(std::span<const sock_filter> code, const seccomp_data& data) {
    Verdict verdict;
    uint32_t accumulator = 0;
    uint32_t index = 0;
    for (size_t at = 0; at < code.size();) {
        const sock_filter& instruction = code[at++];
        ++verdict.executed;
        const uint32_t k = instruction.k;
        auto jump = [&](bool is_so) { at += is_so ? instruction.jt : instruction.jf; };
        switch (instruction.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (k % 4 != 0 || k + 4 > sizeof data) {
                    ADD_FAILURE() << "loads from " << k;
                    return verdict;
                }
                memcpy(&accumulator, reinterpret_cast<const char*>(&data) + k, 4);
                break;
            case BPF_LD | BPF_IMM:
                accumulator = k;
                break;
            case BPF_MISC | BPF_TAX:
                index = accumulator;
                break;
            case BPF_ALU | BPF_LSH | BPF_X:
                accumulator <<= index;
                break;
            case BPF_JMP | BPF_JSET | BPF_X:
                jump((accumulator & index) != 0);
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                accumulator &= k;
                break;
            case BPF_JMP | BPF_JA:
                at += k;
                break;
            case BPF_JMP | BPF_JEQ | BPF_K:
                jump(accumulator == k);
                break;
            case BPF_JMP | BPF_JGT | BPF_K:
                jump(accumulator > k);
                break;
            case BPF_JMP | BPF_JGE | BPF_K:
                jump(accumulator >= k);
                break;
            case BPF_RET | BPF_K:
                verdict.action = k;
                return verdict;
            default:
                ADD_FAILURE() << "instruction " << instruction.code << " at " << at - 1;
                return verdict;
        }
    }
    ADD_FAILURE() << "runs off its end";
    return verdict;
}

}  // namespace sigil::isolation
