// clone3(2) and clone(2) onto a stack of the child's own: libc has no wrapper that takes
// CLONE_INTO_CGROUP and shares memory.
#pragma once

#include <asm/unistd.h>
#include <linux/sched.h>

namespace sigil::isolation {

// Registers that the system call keeps carry `body` and `argument` over (syscall(2), x86-64).
[[gnu::always_inline]] inline long clone_call(long number, unsigned long first,
                                              unsigned long second, void (*body)(void*),
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
        : "a"(number), "D"(first), "S"(second), [body] "r"(body), [argument] "r"(argument)
        : "rcx", "r11", "memory");
    return result;
}

// Runs body(argument), which must not return, in the child. Returns the child's pid, or -errno.
[[gnu::always_inline]] inline long clone_onto_stack(clone_args* arguments, void (*body)(void*),
                                                    void* argument) {
    return clone_call(__NR_clone3, reinterpret_cast<unsigned long>(arguments), sizeof *arguments,
                      body, argument);
}

// The same by the older call, which a container's filter lets through. `flags`: with the signal
// that tells of the child's exit; none that takes an argument of its own. `end`: of the stack.
[[gnu::always_inline]] inline long clone_onto_stack(unsigned long flags, void* end,
                                                    void (*body)(void*), void* argument) {
    return clone_call(__NR_clone, flags, reinterpret_cast<unsigned long>(end), body, argument);
}

}  // namespace sigil::isolation
