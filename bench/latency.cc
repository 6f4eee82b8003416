#include "latency.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <random>

namespace sigil::bench {

namespace {

constexpr int kColdPauseMs = 100;
constexpr int kWarmUps = 3;
constexpr char kGuest[] = "/true";

const LatencyRow* find_row(const LatencySection& section, const std::string& name) {
    for (const LatencyRow& row : section.rows) {
        if (row.name == name)
            return &row;
    }
    return nullptr;
}

void add_bars(LatencySection& section, const std::string& subject) {
    const LatencyRow* own = find_row(section, subject);
    if (own == nullptr)
        return;
    const auto compare = [&](const std::string& against, double limit) {
        const LatencyRow* other = find_row(section, against);
        if (other == nullptr)
            return;
        const Summary& left = own->milliseconds;
        const Summary& right = other->milliseconds;
        section.bars.push_back({subject, against, left.median / right.median, limit});
        section.p10_bars.push_back({subject, against, left.p10 / right.p10, limit});
    };
    compare("crun", kStartToCrun);
    compare("bwrap", kStartToBubblewrap);
    compare("floor", kStartToFloor);
}

LatencySection summarize_all(const std::vector<Contestant>& contestants,
                             const std::vector<std::vector<double>>& samples) {
    LatencySection section;
    for (size_t i = 0; i < contestants.size(); ++i) {
        section.rows.push_back({contestants[i].name, summarize(samples[i]), 0});
    }
    if (const LatencyRow* floor = find_row(section, "floor"); floor != nullptr) {
        const double median = floor->milliseconds.median;
        for (LatencyRow& row : section.rows)
            row.to_floor = row.milliseconds.median / median;
    }
    add_bars(section, "sigil");
    add_bars(section, "sigil-no-init");
    return section;
}

}  // namespace

LatencySection measure_latency(Field& field, const Runner& runner, Network network, bool cold,
                               int rounds) {
    const std::vector<Contestant>& contestants = field.contestants();
    std::vector<std::vector<double>> samples(contestants.size());
    std::vector<size_t> order(contestants.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937 random(1);  // the same orders in every run of the benchmark

    for (int round = -kWarmUps; round < rounds; ++round) {
        std::shuffle(order.begin(), order.end(), random);
        for (size_t i : order) {
            const Command command = field.command(contestants[i], network, {kGuest});
            if (cold && round >= 0)
                sleep_ms(kColdPauseMs);
            const double time = runner.time(contestants[i].name, command);
            if (round >= 0)
                samples[i].push_back(time);
            reap_orphans();
        }
    }
    LatencySection section = summarize_all(contestants, samples);
    section.network = network;
    section.cold = cold;
    return section;
}

}  // namespace sigil::bench
