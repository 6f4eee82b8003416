// The system calls of x86 by name, in each of the three ways that a process may make them. A table
// of our own: it knows calls that are newer than the headers and libraries of the machine that
// builds.
#pragma once

#include <stdint.h>

#include <span>
#include <string_view>

namespace sigil::isolation {

struct SyscallNumbers {
    std::string_view name;
    int16_t x86_64;  // -1: there is none
    int16_t i386;
    int16_t x32;  // without __X32_SYSCALL_BIT
};

// Null: no kernel that this table knows has it on x86.
const SyscallNumbers* find_syscall(std::string_view name);

std::span<const SyscallNumbers> all_syscalls();

}  // namespace sigil::isolation
