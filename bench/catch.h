// The page that the guest `catch` and the benchmark share: how many guests listen, how many signals
// arrived, and when the last one did, by CLOCK_MONOTONIC.

#pragma once

#include <stdint.h>

namespace sigil::bench {

struct Caught {
    uint32_t ready;  // counted up by each guest, once its handler is installed
    uint32_t count;  // counted up by each signal; a futex that the benchmark waits on
    int64_t at_ns;   // the handler's first instruction, of the last signal; written before `count`
};

inline constexpr long kCaughtPage = 4096;

}  // namespace sigil::bench
