// clone3(2) onto a stack of the child's own: libc has no wrapper that takes CLONE_INTO_CGROUP and
// shares memory.
#pragma once

#include <asm/unistd.h>
#include <linux/sched.h>

namespace sigil::isolation {

// Runs body(argument), which must not return, in the child. Returns the child's pid, or -errno.
// Registers that the system call keeps carry `body` and `argument` over (syscall(2), x86-64).
[[gnu::always_inline]] inline long clone_onto_stack(clone_args* arguments, void (*body)(void*),
                                                    void* argument) {
    long result;
    asm volatile(
        "syscall\n\t"
        "testq %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "movq %[argument], %%rdi\n\t"
        "callq *%[body]\n\t"
        "hlt\n"
        "1:"
        : "=a"(result)
        : "a"(__NR_clone3), "D"(arguments),
          "S"(sizeof *arguments), [body] "r"(body), [argument] "r"(argument)
        : "rcx", "r11", "memory");
    return result;
}

}  // namespace sigil::isolation
