// What stays resident while a container runs: the processes around a guest that sleeps.

#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "bars.h"
#include "contestants.h"

namespace sigil::bench {

struct ProcessMemory {
    std::string role;  // supervisor, pid 1, guest, helper
    std::string name;
    long pss_kb = 0;  // proportional set size: a shared page counts for its share
    long rss_kb = 0;
};

struct MemoryRow {
    std::string name;
    std::vector<ProcessMemory> processes;
    long supervisor_kb = 0;
    long init_kb = -1;   // PID 1 of the container, unless that is the guest itself
    long around_kb = 0;  // everything but the guest
};

struct MemorySection {
    std::vector<MemoryRow> rows;
    std::vector<Bar> bars;  // in KB
};

MemorySection measure_memory(Field& field, const Runner& runner);

}  // namespace sigil::bench
