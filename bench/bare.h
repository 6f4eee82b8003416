// System calls with nothing around them, for the programs here that have no C library: the floor
// and the guests. x86-64 only.

#pragma once

#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "bare.h knows the system call convention of x86-64 only"
#endif

namespace bare {

inline long as_register(long value) {
    return value;
}

template <typename T>
inline long as_register(T* pointer) {
    return reinterpret_cast<long>(pointer);
}

inline long as_register(decltype(nullptr)) {
    return 0;
}

inline long raw_call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                 : "rcx", "r11", "memory");
    return result;
}

// Makes the system call and returns what the kernel returned: a result, or -errno.
template <typename... Arguments>
inline long call(long number, Arguments... arguments) {
    return raw_call(number, as_register(arguments)...);
}

[[noreturn]] inline void exit(int code) {
    for (;;)
        call(SYS_exit_group, code);
}

inline unsigned long length(const char* text) {
    unsigned long size = 0;
    while (text[size] != '\0')
        ++size;
    return size;
}

inline bool equal(const char* left, const char* right) {
    while (*left != '\0' && *left == *right)
        ++left, ++right;
    return *left == *right;
}

}  // namespace bare

// Where a program without a C library begins: calls its `start(long* stack)`. The stack holds argc,
// argv, a null, envp (System V ABI for AMD64, figure 3.9).
#define SIGIL_BARE_START     \
    asm(".globl _start\n"    \
        "_start:\n\t"        \
        "xor %ebp, %ebp\n\t" \
        "mov %rsp, %rdi\n\t" \
        "and $-16, %rsp\n\t" \
        "call start\n");
