// Order statistics of a series of times.

#pragma once

#include <vector>

namespace sigil::bench {

struct Summary {
    int runs = 0;
    double median = 0;
    double p10 = 0;
    double p90 = 0;
    double p99 = 0;
    double least = 0;
    double most = 0;
    double mean = 0;
};

// The samples may come in any order; there is at least one.
Summary summarize(std::vector<double> samples);

}  // namespace sigil::bench
