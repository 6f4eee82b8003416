// Signals as they arrive.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "probe.h"

namespace probe {
namespace {

// By raw system calls: libc hides the two real-time signals that it keeps for itself.
void block_all() {
    const uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
}

[[noreturn]] void print_until(const char* who, int last) {
    const uint64_t all = ~uint64_t{0};
    for (;;) {
        siginfo_t info;
        const long signal = syscall(SYS_rt_sigtimedwait, &all, &info, nullptr, sizeof all);
        if (signal <= 0)
            continue;
        printf("%s %ld %s %d\n", who, signal, info.si_code == SI_QUEUE ? "queued" : "sent",
               info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
        if (signal == last)
            _exit(0);
    }
}

int last_of(Arguments arguments) {
    return arguments.empty() ? 0 : signal_number(arguments[0]);
}

int signals(Arguments arguments) {
    block_all();
    puts("ready");
    print_until("signal", last_of(arguments));
}

// A child in the same process group; it prints "child" for "signal".
int family(Arguments arguments) {
    block_all();
    const pid_t child = fork();
    if (child == 0)
        print_until("child", 0);
    puts("ready");
    print_until("signal", last_of(arguments));
}

int ignore(Arguments arguments) {
    for (const char* name : arguments)
        signal(signal_number(name), SIG_IGN);
    puts("ready");
    wait_forever();
}

constexpr std::array kCommands = {
    Command{"signals", "[LAST]", "print each signal; end with LAST", 0, signals},
    Command{"family", "[LAST]", "the same, with a child that prints its own", 0, family},
    Command{"ignore", "SIGNAL...", "ignore these, print `ready`, wait", 0, ignore},
};

}  // namespace

std::span<const Command> signal_commands() {
    return kCommands;
}

}  // namespace probe
