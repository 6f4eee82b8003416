// The figures as tables on standard output, each as soon as it is there.

#pragma once

#include "results.h"

namespace sigil::bench {

void print_machine(const Results& results);
void print_latency(const LatencySection& section);
void print_counts(const CountSection& section);
void print_memory(const MemorySection& section);
void print_leftovers(const std::vector<LeftoverRow>& rows);

}  // namespace sigil::bench
