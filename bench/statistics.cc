#include "statistics.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace sigil::bench {

namespace {

// Interpolates between the two nearest ranks.
double quantile(const std::vector<double>& sorted, double fraction) {
    const double rank = fraction * static_cast<double>(sorted.size() - 1);
    const size_t below = static_cast<size_t>(rank);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Summary summarize(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    Summary summary;
    summary.runs = static_cast<int>(samples.size());
    summary.median = quantile(samples, 0.5);
    summary.p10 = quantile(samples, 0.1);
    summary.p90 = quantile(samples, 0.9);
    summary.p99 = quantile(samples, 0.99);
    summary.least = samples.front();
    summary.most = samples.back();
    summary.mean =
        std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
    return summary;
}

}  // namespace sigil::bench
