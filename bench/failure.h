// The benchmarks' one way to stop early: an exception that says why. What was set up is taken down
// on its way to main (or by atexit handlers: workspace.cc), so nothing keeps running.

#pragma once

#include <errno.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace sigil::bench {

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <typename... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    throw Failure(fmt::format(format, std::forward<Arguments>(arguments)...));
}

// Runs the benchmark; its exit code, or 1 with a message if it fails.
template <typename Run>
int run_guarded(Run run) {
    try {
        return run();
    } catch (const std::exception& failure) {
        std::fflush(stdout);
        fmt::print(stderr, "{}: {}\n", program_invocation_short_name, failure.what());
        return 1;
    }
}

}  // namespace sigil::bench
