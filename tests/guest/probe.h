// sigil-probe: runs inside containers and prints what is true there, or does one small thing that a
// test needs. Static, so that any root filesystem can hold it. Output is lines of `key value`.
#pragma once

#include <span>

namespace probe {

using Arguments = std::span<char* const>;

struct Command {
    const char* name;
    const char* arguments;  // for the usage text
    const char* purpose;
    size_t least;  // how many arguments it needs
    int (*run)(Arguments arguments);
};

// One table for each file; probe.cc joins them.
std::span<const Command> fact_commands();
std::span<const Command> process_commands();
std::span<const Command> signal_commands();
std::span<const Command> file_commands();
std::span<const Command> notify_commands();
std::span<const Command> network_commands();

// "ok", or "error ENAME" for the current errno: the exit code is 0 or 1.
int tell(bool succeeded);
// A decimal number, or the end of the program.
long number(const char* text);
// The number of a signal given as "TERM" or "15".
int signal_number(const char* text);
// Ends never, without using the processor.
[[noreturn]] void wait_forever();

}  // namespace probe
