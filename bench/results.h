// Everything that the benchmark found out, for the tables and for the JSON file.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contestants.h"
#include "counts.h"
#include "latency.h"
#include "leftovers.h"
#include "machine.h"
#include "memory.h"

namespace sigil::bench {

struct Results {
    Machine machine;
    std::vector<Contestant> contestants;
    std::vector<Skipped> skipped;
    std::vector<LatencySection> latency;
    std::optional<CountSection> counts;
    std::optional<MemorySection> memory;
    std::vector<LeftoverRow> leftovers;
};

}  // namespace sigil::bench
