#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>
#include <random>
#include <unordered_set>

#include "failure.h"
#include "many/sections.h"
#include "statistics.h"

namespace sigil::bench {

namespace {

constexpr char kAtATime[] = "64";

// A contestant with so many threads or processes at a time; 0: its own default.
struct Entry {
    std::string name;
    Network network = Network::kHost;
    int width = 0;
    int count = 0;
    std::vector<double> rates = {};
};

std::string label(const Entry& entry) {
    return entry.width > 0 ? fmt::format("{} at {}", entry.name, entry.width)
                           : fmt::format("{} by default", entry.name);
}

double seconds_since(int64_t start) {
    return static_cast<double>(now_ns() - start) / 1e9;
}

// As `xargs -P` would: so many processes at any time, the next when one has ended.
double run_pool(const Setup& setup, const Entry& entry) {
    const Contestant& contestant = *setup.field.find(entry.name);
    std::unordered_set<pid_t> running;
    const int64_t start = now_ns();
    for (int begun = 0, ended = 0; ended < entry.count;) {
        if (begun < entry.count && static_cast<int>(running.size()) < entry.width) {
            const Command command = setup.field.command(contestant, entry.network, {"/true"});
            running.insert(setup.runner.spawn(command));
            ++begun;
            continue;
        }
        siginfo_t info = {};
        if (waitid(P_ALL, 0, &info, WEXITED) < 0)
            fail("waitid: {}", strerror(errno));
        if (running.erase(info.si_pid) == 0)
            continue;  // an orphan that the contestant left
        ++ended;
        if (info.si_code != CLD_EXITED || info.si_status != 0) {
            fail("{} ended with {}: {}", entry.name, info.si_status, setup.runner.take_errors());
        }
    }
    return entry.count / seconds_since(start);
}

Command many_words(const Setup& setup, const Entry& entry) {
    const std::string count = std::to_string(entry.count);
    if (entry.name == "floor") {
        return floor_words(
            setup, entry.network, entry.width,
            {"--count", count, "--at-a-time", kAtATime, setup.workspace.rootfs(), "/true"});
    }
    Command more = {"--count", count, "--name", "bench", "--jobs", kAtATime};
    if (entry.width > 0)
        more.insert(more.end(), {"--launchers", std::to_string(entry.width)});
    more.insert(more.end(), {"--", "/true"});
    return sigil_words(setup, entry.network, entry.name == "sigil", more);
}

// Whole runs, start of the program to its end, for everyone alike.
double run_once(const Setup& setup, const Entry& entry) {
    settle();
    reap_orphans();
    if (entry.name == "bwrap" || entry.name == "crun")
        return run_pool(setup, entry);
    return entry.count / (setup.runner.time(label(entry), many_words(setup, entry)) / 1e3);
}

int count_for(const Setup& setup, const std::string& name) {
    if (name == "bwrap")
        return setup.options.pick(600, 60);
    if (name == "crun")
        return setup.options.pick(300, 40);
    return setup.options.pick(3'000, 300);
}

// Tries every width twice and takes the best one along.
Entry find_best(const Setup& setup, const std::string& name, Network network, Table& table) {
    Entry best;
    double best_rate = 0;
    for (int width : {0, 1, 2, 4, 8}) {
        if (width == 0 && !is_sigil(name))
            continue;
        Entry entry = {name, network, width, std::max(count_for(setup, name) / 2, 20)};
        double rate = 0;
        for (int i = 0; i < setup.options.pick(2, 1); ++i)
            rate = std::max(rate, run_once(setup, entry));
        table.rows.push_back(
            {fmt::format("{}, network {}", label(entry), to_string(network)), {rate}});
        if (rate > best_rate) {
            best_rate = rate;
            best = entry;
        }
    }
    best.count = count_for(setup, name);
    return best;
}

void run_rounds(const Setup& setup, std::vector<Entry>& entries) {
    std::vector<Entry*> order;
    for (Entry& entry : entries)
        order.push_back(&entry);
    std::mt19937 random(1);
    for (int round = 0; round < setup.options.rounds_or(7); ++round) {
        std::shuffle(order.begin(), order.end(), random);
        for (Entry* entry : order)
            entry->rates.push_back(run_once(setup, *entry));
    }
}

Table summarize_rates(Network network, const std::vector<Entry>& entries) {
    Table table = {fmt::format("rate_{}", to_string(network)),
                   fmt::format("starts per second, network {}", to_string(network)),
                   {{"width", "threads", 0},
                    {"per_second", "median", 0},
                    {"p10", "p10", 0},
                    {"best", "best", 0},
                    {"to_floor", "x floor", 2}},
                   {}};
    double floor = kNotMeasured;
    for (const Entry& entry : entries) {
        if (entry.name == "floor")
            floor = median_of(entry.rates);
    }
    for (const Entry& entry : entries) {
        const Summary rates = summarize(entry.rates);
        table.rows.push_back(
            {entry.name,
             {double(entry.width), rates.median, rates.p10, rates.most, rates.median / floor}});
    }
    return table;
}

void add_rate_bars(Section& section, const Table& table, Network network) {
    for (const char* name : {"sigil", "sigil-no-init"}) {
        const std::string subject = fmt::format("{}, network {}", name, to_string(network));
        const double own = table.at(name, "per_second");
        for (auto [against, limit] : {std::pair{"floor", kRateToFloor},
                                      {"crun", kRateToCrun},
                                      {"bwrap", kRateToBubblewrap}}) {
            section.add_ratio(subject, against, own, table.at(against, "per_second"), limit, true);
        }
    }
}

}  // namespace

Section measure_rate(const Setup& setup) {
    Section section = {"rate", {}, {}, {}, false};
    std::vector<std::string> names;
    for (const char* name : {"floor", "sigil", "sigil-no-init", "bwrap", "crun"}) {
        if (setup.has(name, section))
            names.push_back(name);
    }
    Table widths = {"rate_by_width",
                    "starts per second by threads (floor, sigil) or processes at a time",
                    {{"per_second", "best of 2", 0}},
                    {}};
    std::vector<Table> tables;
    for (Network network : {Network::kHost, Network::kNone}) {
        std::vector<Entry> entries;
        for (const std::string& name : names)
            entries.push_back(find_best(setup, name, network, widths));
        if (entries.empty())
            return section;
        run_rounds(setup, entries);
        tables.push_back(summarize_rates(network, entries));
        add_rate_bars(section, tables.back(), network);
    }
    section.tables = {widths, tables[0], tables[1]};
    return section;
}

}  // namespace sigil::bench
