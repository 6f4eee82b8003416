#include <algorithm>

#include "bars.h"
#include "failure.h"
#include "many/ladder.h"
#include "many/sections.h"

namespace sigil::bench {

namespace {

constexpr int kWarm = 8;
constexpr int kPauseMs = 10;

}  // namespace

Section measure_warm(const Setup& setup) {
    Section section = {"warm", {}, {}, {}, false};
    for (const Network network : {Network::kNone, Network::kHost}) {
        Table table = {
            std::string("warm_") + to_string(network),
            fmt::format("a start each {} ms, us, network {}", kPauseMs, to_string(network)),
            {{"start_p50", "to exec", 0},
             {"start_p99", "p99", 0},
             {"first_p50", "to its code", 0},
             {"first_p99", "p99", 0}},
            {}};
        for (const char* name : {"sigil", "sigil-no-init"}) {
            if (!setup.has(name, section))
                continue;
            // The two take turns.
            std::vector<Ladder> climbs[2];
            for (int round = 0; round < setup.options.rounds_or(3); ++round)
                for (size_t i = 0; i < 2; ++i)
                    climbs[i].push_back(climb(setup, name,
                                              {.live = {0},
                                               .probes = setup.options.pick(300, 30),
                                               .network = network,
                                               .warm = i == 0 ? 0 : kWarm,
                                               .pause_ms = kPauseMs}));
            const Ladder ladders[2] = {merge(climbs[0]), merge(climbs[1])};
            for (size_t i = 0; i < 2; ++i) {
                Row row = {i == 0 ? name : fmt::format("{} --warm {}", name, kWarm), {}};
                for (const Column& column : table.columns)
                    row.values.push_back(ladders[i].figure(0, column.key));
                table.rows.push_back(std::move(row));
                if (!ladders[i].gave_out.empty()) {
                    section.notes.push_back(
                        fmt::format("{} FAILED: {}", name, ladders[i].gave_out));
                    section.failed = true;
                }
            }
            section.add_ratio(fmt::format("{} --warm, network {}", name, to_string(network)),
                              "without", ladders[1].figure(0, "first_p50"),
                              ladders[0].figure(0, "first_p50"), kWarmToCold);
        }
        section.tables.push_back(std::move(table));
    }
    return section;
}

}  // namespace sigil::bench
