// Everything that the benchmark found out, for the tables and for the JSON file.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contestants.h"
#include "counts.h"
#include "latency.h"
#include "leftovers.h"
#include "memory.h"

namespace sigil::bench {

struct Machine {
    std::string date;  // UTC, ISO 8601
    std::string kernel;
    std::string cpu;
    int cpus = 0;
};

Machine describe_machine();

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
