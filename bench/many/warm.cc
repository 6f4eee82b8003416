#include <algorithm>

#include "bars.h"
#include "failure.h"
#include "many/sections.h"

namespace sigil::bench {

namespace {

constexpr int kWarm = 8;
constexpr int kPauseMs = 10;

// Without containers made ahead, and with: the two take turns.
std::vector<Ladder> climb_both(const Setup& setup, const std::string& name, Network network) {
    LadderPlan plan = {.live = {0},
                       .probes = setup.options.pick(300, 30),
                       .network = network,
                       .pause_ms = kPauseMs};
    std::vector<Ladder> without, with;
    for (int round = 0; round < setup.options.rounds_or(3); ++round) {
        plan.warm = 0;
        without.push_back(climb(setup, name, plan));
        plan.warm = kWarm;
        with.push_back(climb(setup, name, plan));
    }
    std::vector<Ladder> both = {merge(without), merge(with)};
    both[1].name += fmt::format(" --warm {}", kWarm);
    return both;
}

}  // namespace

Section measure_warm(const Setup& setup) {
    std::vector<Ladder> all;
    std::vector<Table> tables;
    for (const Network network : {Network::kNone, Network::kHost}) {
        std::vector<Ladder> ladders;
        for (const char* name : {"sigil", "sigil-no-init"}) {
            if (Section ignored; setup.has(name, ignored))
                std::ranges::copy(climb_both(setup, name, network), std::back_inserter(ladders));
        }
        tables.push_back(tabulate_starts(
            std::string("warm_") + to_string(network),
            fmt::format("a start each {} ms, us, network {}", kPauseMs, to_string(network)),
            ladders));
        for (Ladder& ladder : ladders)
            ladder.name += std::string(", network ") + to_string(network);
        std::ranges::move(ladders, std::back_inserter(all));
    }
    Section section = open_section(setup, "warm", all);
    section.tables = std::move(tables);
    for (size_t index = 0; index + 1 < all.size(); index += 2)
        section.add_ratio(all[index + 1].name, "without", all[index + 1].figure(0, "first_p50"),
                          all[index].figure(0, "first_p50"), kWarmToCold);
    return section;
}

}  // namespace sigil::bench
