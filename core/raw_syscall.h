// System calls without libc: no errno, no cancellation point, no lock, nothing allocated. The child
// half of a launch shares its parent's memory (CLONE_VM) and the init has no libc at all, so both
// may use nothing else. Returns what the kernel returns: -errno on failure (syscall(2), x86-64).
#pragma once

#include <type_traits>

namespace sigil::raw {

template <typename T>
[[gnu::always_inline]] inline long word(T value) {
    if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>)
        return reinterpret_cast<long>(static_cast<const volatile void*>(value));
    else
        return static_cast<long>(value);
}

[[gnu::always_inline]] inline long enter(long number, long a, long b, long c, long d, long e,
                                         long f) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

template <typename A = int, typename B = int, typename C = int, typename D = int, typename E = int,
          typename F = int>
[[gnu::always_inline]] inline long call(long number, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0,
                                        F f = 0) {
    return enter(number, word(a), word(b), word(c), word(d), word(e), word(f));
}

}  // namespace sigil::raw
