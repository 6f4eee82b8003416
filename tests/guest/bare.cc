// sigil-bare CODE: exits with the code, by one system call and without libc. For tests in which
// most system calls fail, or in which nothing but the start of a container may take time.
#include <asm/unistd.h>

extern "C" [[noreturn]] void bare_main(const long* stack) {
    auto* const* arguments = reinterpret_cast<const char* const*>(stack + 1);
    long code = 0;
    if (stack[0] > 1)
        for (const char* digit = arguments[1]; *digit; ++digit)
            code = code * 10 + (*digit - '0');
    for (;;)
        asm volatile("syscall" : : "a"(__NR_exit_group), "D"(code) : "rcx", "r11", "memory");
}

asm(R"(
    .globl _start
_start:
    movq %rsp, %rdi
    andq $-16, %rsp
    call bare_main
)");
