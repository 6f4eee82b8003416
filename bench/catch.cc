// The guest of the signal benchmark: `catch FILE` maps FILE (catch.h), installs a handler for
// SIGUSR1 that writes when it was called, and sleeps. SIGTERM ends it with 0, as PID 1 too.

#include "catch.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <time.h>

#include "bare.h"

namespace {

using sigil::bench::Caught;
using sigil::bench::kCaughtPage;

Caught* caught;

// As the kernel takes it (arch/x86/include/uapi/asm/signal.h): not the C library's.
struct Action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
};

constexpr unsigned long kSaRestorer = 0x04000000;
constexpr int kSigUsr1 = 10;
constexpr int kSigTerm = 15;

void on_signal(int signal) {
    timespec time;
    bare::call(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    if (signal == kSigTerm)
        bare::exit(0);
    caught->at_ns = time.tv_sec * 1'000'000'000L + time.tv_nsec;
    __atomic_add_fetch(&caught->count, 1, __ATOMIC_RELEASE);
    bare::call(SYS_futex, &caught->count, FUTEX_WAKE, 1);
}

extern "C" void restore();
asm(".globl restore\n"
    "restore:\n\t"
    "mov $15, %eax\n\t"  // rt_sigreturn
    "syscall\n\t");

void handle(int signal) {
    const Action action = {on_signal, kSaRestorer, restore, 0};
    if (bare::call(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask) < 0)
        bare::exit(5);
}

}  // namespace

extern "C" [[noreturn]] __attribute__((used)) void start(long* stack) {
    char** arguments = reinterpret_cast<char**>(stack + 1);
    if (stack[0] != 2)
        bare::exit(2);
    const long file = bare::call(SYS_open, arguments[1], O_RDWR);
    if (file < 0)
        bare::exit(3);
    const long page =
        bare::raw_call6(SYS_mmap, 0, kCaughtPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page < 0)
        bare::exit(4);
    caught = reinterpret_cast<Caught*>(page);
    handle(kSigUsr1);
    handle(kSigTerm);
    __atomic_add_fetch(&caught->ready, 1, __ATOMIC_RELEASE);
    bare::call(SYS_futex, &caught->ready, FUTEX_WAKE, 1);
    for (;;)
        bare::call(SYS_pause);
}

SIGIL_BARE_START
