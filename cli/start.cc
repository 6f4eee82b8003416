// The start of the static binary, in place of the C library's (SIGIL_FAST_START).
//
// Before main, a static glibc asks the processor about itself: some forty CPUID instructions, to
// choose among its string functions and to tune their thresholds. In a virtual machine each of them
// traps to the hypervisor: 0.45 ms in all, a quarter of a whole container start. sigil copies a few
// kilobytes in its life: the baseline functions (SSE2) serve it as well. So this file does what
// glibc 2.36's csu/libc-start.c does in a static program, step by step and in its order, without
// init_cpu_features(). With no feature known, every IFUNC resolver takes the baseline.
//
// It replaces the archive member libc-start.o as a whole: all that other members want of that one
// is defined here, so the linker never takes it. The functions called are glibc's internal ones, so
// CMake takes this file only for the glibc that it was written against; tests/start runs a program
// that is started by it.
//
// What differs from glibc: pthread_exit(3) in the main thread is not supported (sigil doesn't), and
// the tunables glibc.cpu.* have no effect. AT_SECURE is honoured as ever: in _dl_aux_init,
// __tunables_init, __libc_init_first (unsafe variables) and __libc_check_standard_fds.
#include <features.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>

#if !defined(__x86_64__) || __GLIBC__ != 2 || __GLIBC_MINOR__ != 36
#error "written against glibc 2.36 for x86-64"
#endif

using Main = int(int, char**, char**);
using Start = void(int, char**, char**);

extern "C" {

// ---- what memcpy(3) and memset(3) read of libc-start.o ------------------------------------------

// The defaults of glibc's cacheinfo.h. Beyond the non-temporal threshold, copies bypass the cache.
[[gnu::visibility("hidden")]] long __x86_data_cache_size_half = 32L * 1024 / 2;
[[gnu::visibility("hidden")]] long __x86_data_cache_size = 32L * 1024;
[[gnu::visibility("hidden")]] long __x86_shared_cache_size_half = 1024L * 1024 / 2;
[[gnu::visibility("hidden")]] long __x86_shared_cache_size = 1024L * 1024;
[[gnu::visibility("hidden")]] long __x86_shared_non_temporal_threshold = 0xc0000;
[[gnu::visibility("hidden")]] long __x86_rep_movsb_threshold = 2048;
[[gnu::visibility("hidden")]] long __x86_rep_stosb_threshold = 2048;
[[gnu::visibility("hidden")]] long __x86_rep_movsb_stop_threshold = 0xc0000;
[[gnu::visibility("hidden")]] int __x86_string_control = 0;

// ---- glibc's own, from the archive --------------------------------------------------------------

extern char** __environ;
extern void* __libc_stack_end;
extern int __libc_enable_secure;
extern void* _dl_random;  // AT_RANDOM: 16 bytes
extern size_t _dl_minsigstacksize;

void _dl_aux_init(ElfW(auxv_t) *);
void __tunables_init(char**);
void _dl_relocate_static_pie();
void __libc_setup_tls();
void __libc_early_init(bool);
void __libc_init_first(int, char**, char**);
void __libc_check_standard_fds();
int __cxa_atexit(void (*)(void*), void*, void*);

// From the linker and crti.o.
extern const ElfW(Rela) __rela_iplt_start[];
extern const ElfW(Rela) __rela_iplt_end[];
extern Start* const __preinit_array_start[];
extern Start* const __preinit_array_end[];
extern Start* const __init_array_start[];
extern Start* const __init_array_end[];
extern void (*const __fini_array_start[])();
extern void (*const __fini_array_end[])();
void _init();
void _fini();
}

namespace {

// Without AT_MINSIGSTKSZ (Linux before 5.14), glibc would ask the processor; this covers AMX.
constexpr size_t kSignalFrame = 16UL * 1024;

// Relocations whose value a function tells: the string functions' implementations.
[[gnu::always_inline]] inline void apply_irelative() {
    for (const ElfW(Rela)* entry = __rela_iplt_start; entry < __rela_iplt_end; ++entry) {
        if (ELF64_R_TYPE(entry->r_info) != R_X86_64_IRELATIVE)
            __builtin_trap();
        using Resolver = ElfW(Addr)();
        const auto value = reinterpret_cast<Resolver*>(entry->r_addend)();
        *reinterpret_cast<ElfW(Addr)*>(entry->r_offset) = value;
    }
}

// The thread control block's stack guard and pointer guard, at the offsets that the ABI and glibc's
// PTR_MANGLE fix. The guard's lowest byte is zero: a string cannot run over it.
[[gnu::always_inline]] inline void set_guards() {
    const auto* random = static_cast<const uint64_t*>(_dl_random);
    const uint64_t stack_guard = random[0] & ~uint64_t{0xff};
    const uint64_t pointer_guard = random[1];
    asm volatile("movq %0, %%fs:0x28" : : "r"(stack_guard));
    asm volatile("movq %0, %%fs:0x30" : : "r"(pointer_guard));
}

void call_fini(void*) {
    for (auto end = __fini_array_end; end != __fini_array_start;)
        (*--end)();
    _fini();
}

}  // namespace

// Called by crt1.o's _start. Compiled without a stack protector: the guard is set in here.
extern "C" [[noreturn]] int __libc_start_main(Main* main, int argc, char** argv, void (*)(),
                                              void (*)(), void (*run_time_linker_fini)(),
                                              void* stack_end) {
    char** envp = argv + argc + 1;
    __environ = envp;
    __libc_stack_end = stack_end;
    while (*envp++ != nullptr) {
    }
    _dl_aux_init(reinterpret_cast<ElfW(auxv_t)*>(envp));
    __tunables_init(__environ);
    // Here glibc calls init_cpu_features() and sets the variables above.
    if (_dl_minsigstacksize == 0)
        _dl_minsigstacksize = kSignalFrame;
    _dl_relocate_static_pie();
    apply_irelative();
    __libc_setup_tls();
    set_guards();
    if (run_time_linker_fini)
        __cxa_atexit(reinterpret_cast<void (*)(void*)>(run_time_linker_fini), nullptr, nullptr);
    __libc_early_init(true);
    __libc_init_first(argc, argv, __environ);
    __cxa_atexit(call_fini, nullptr, nullptr);
    if (__libc_enable_secure)
        __libc_check_standard_fds();
    for (auto hook = __preinit_array_start; hook != __preinit_array_end; ++hook)
        (*hook)(argc, argv, __environ);
    _init();
    for (auto hook = __init_array_start; hook != __init_array_end; ++hook)
        (*hook)(argc, argv, __environ);
    ::exit(main(argc, argv, __environ));
}
