// The page that the guest `stamp` and the benchmark share: what a container itself says about when
// it began and ended, by CLOCK_MONOTONIC.

#pragma once

#include <stdint.h>

namespace sigil::bench {

struct Stamp {
    int64_t began_ns;  // the guest's first instruction
    int64_t ended_ns;  // just before its exit
};

inline constexpr long kStampPage = 4096;
inline constexpr long kStampsInPage = kStampPage / static_cast<long>(sizeof(Stamp));

}  // namespace sigil::bench
