// The benchmark's one way to stop early: say why and exit with 1. What was set up is taken down by
// atexit handlers (workspace.cc).

#pragma once

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

namespace sigil::bench {

template <typename... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    std::fflush(stdout);
    fmt::print(stderr, "sigil-bench-start: {}\n",
               fmt::format(format, std::forward<Arguments>(arguments)...));
    std::exit(1);
}

}  // namespace sigil::bench
