#include <algorithm>
#include <array>
#include <map>

#include "failure.h"
#include "many/sections.h"
#include "many/session.h"

namespace sigil::bench {

namespace {

struct Up {
    std::vector<double> up_ms;     // from the start of the program until the last one executes
    std::vector<double> clean_ms;  // from the kill until the last trace is gone
};

void run_floor_up(const Setup& setup, Network network, int threads, int count, Up& up) {
    const int64_t start = now_ns();
    const rapidjson::Document found = run_floor(
        setup, floor_words(setup, network, threads,
                           {"--live", std::to_string(count), setup.workspace.rootfs(), "/true"}));
    up.up_ms.push_back(found["stages"][0]["up_at_us"].GetDouble() / 1e3 -
                       static_cast<double>(start) / 1e6);
    up.clean_ms.push_back(found["kill"]["ms"].GetDouble());
}

void run_sigil_up(const Setup& setup, Network network, bool init, int count, Up& up) {
    Session session(
        setup,
        sigil_words(setup, network, init, {"--count", std::to_string(count), "--name", "up"}),
        {"/pause"}, Session::Events::kOn);
    session.await("started", count);
    up.up_ms.push_back(session.latest_us("started") / 1e3 -
                       static_cast<double>(session.spawned_ns()) / 1e6);
    up.clean_ms.push_back(session.stop());
}

// The floor takes the number of threads that brings all up soonest.
int best_threads(const Setup& setup, Network network, int count) {
    std::map<double, int> by_time;
    for (int threads : {2, 4, 8}) {
        Up up;
        settle();
        run_floor_up(setup, network, threads, count, up);
        by_time[up.up_ms[0]] = threads;
    }
    return by_time.begin()->second;
}

void measure_network(const Setup& setup, Network network, const std::vector<std::string>& names,
                     Section& section) {
    const int count = setup.options.pick(1'000, 100);
    const bool has_floor = std::find(names.begin(), names.end(), "floor") != names.end();
    const int threads = has_floor ? best_threads(setup, network, count) : 0;
    std::map<std::string, Up> ups;
    for (int round = 0; round < setup.options.rounds_or(5); ++round) {
        for (const std::string& name : names) {
            settle();
            if (name == "floor")
                run_floor_up(setup, network, threads, count, ups[name]);
            else
                run_sigil_up(setup, network, name == "sigil", count, ups[name]);
        }
    }
    Table table = {
        fmt::format("up_{}", to_string(network)),
        fmt::format("{} containers that sleep, network {}, ms (floor: {} threads)", count,
                    to_string(network), threads),
        {{"up_ms", "all up", 1}, {"to_floor", "x floor", 2}, {"clean_ms", "all gone", 1}},
        {}};
    const double floor = median_of(ups["floor"].up_ms);
    for (const std::string& name : names) {
        const double up = median_of(ups[name].up_ms);
        const double clean = median_of(ups[name].clean_ms);
        table.rows.push_back({name, {up, up / floor, clean}});
        if (!is_sigil(name))
            continue;
        const std::string subject = fmt::format("{}, network {}", name, to_string(network));
        section.add_ratio(subject + ": all up", "floor", up, floor, kUpToFloor);
        section.bars.push_back({subject + ": all gone, ms", "", clean, kGoneMs});
    }
    section.tables.push_back(table);
}

}  // namespace

Section measure_up(const Setup& setup) {
    Section section = {"up", {}, {}, {}, false};
    std::vector<std::string> names;
    for (const char* name : {"floor", "sigil", "sigil-no-init"}) {
        if (setup.has(name, section))
            names.push_back(name);
    }
    for (Network network : {Network::kHost, Network::kNone})
        measure_network(setup, network, names, section);
    return section;
}

}  // namespace sigil::bench
