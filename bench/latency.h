// From the spawn of the program to its exit: the whole of what a user waits for.

#pragma once

#include <string>
#include <vector>

#include "bars.h"
#include "contestants.h"
#include "statistics.h"

namespace sigil::bench {

struct LatencyRow {
    std::string name;
    Summary milliseconds;
    double to_floor = 0;  // ratio of medians; 0 without a floor
};

struct LatencySection {
    Network network = Network::kNone;
    bool cold = false;
    std::vector<LatencyRow> rows;
    std::vector<Bar> bars;      // ratios of medians
    std::vector<Bar> p10_bars;  // the same of p10, for a busy machine
};

// Each round runs every contestant once, in an order shuffled anew: nobody always comes after the
// same one, whose network namespace the kernel may still be taking down. Cold: 100 ms of quiet
// before each start, in which caches cool and the kernel's grace periods end.
LatencySection measure_latency(Field& field, const Runner& runner, Network network, bool cold,
                               int rounds);

}  // namespace sigil::bench
