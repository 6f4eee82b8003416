#include "tables.h"

#include <cstddef>
#include <cstdio>

#include <fmt/format.h>

namespace sigil::bench {

namespace {

const char* verdict(const Bar& bar) {
    return bar.met() ? "ok" : "MISSED";
}

std::string ratio(double value) {
    return value > 0 ? fmt::format("{:.2f}", value) : "-";
}

}  // namespace

void print_machine(const Results& results) {
    const Machine& machine = results.machine;
    print_machine(machine);
    for (const Contestant& contestant : results.contestants) {
        if (!contestant.version.empty()) {
            fmt::print("  {}: {}\n", contestant.name, contestant.version);
        }
    }
    for (const Skipped& skipped : results.skipped) {
        fmt::print("  {}: skipped, {}\n", skipped.name, skipped.reason);
    }
    std::fflush(stdout);
}

void print_latency(const LatencySection& section) {
    const int runs = section.rows.front().milliseconds.runs;
    fmt::print("\nstart to exit, ms: network {}, {}, {} runs each\n", to_string(section.network),
               section.cold ? "cold" : "hot", runs);
    fmt::print("  {:<14} {:>8} {:>8} {:>8} {:>9}\n", "", "median", "p10", "p99", "x floor");
    for (const LatencyRow& row : section.rows) {
        const Summary& times = row.milliseconds;
        fmt::print("  {:<14} {:>8.3f} {:>8.3f} {:>8.3f} {:>9}\n", row.name, times.median, times.p10,
                   times.p99, ratio(row.to_floor));
    }
    for (size_t i = 0; i < section.bars.size(); ++i) {
        const Bar& bar = section.bars[i];
        fmt::print("  {:<14} {:>5.2f} x {:<6} (of p10: {:.2f}), bar {:.2f}: {}\n", bar.subject,
                   bar.value, bar.against, section.p10_bars[i].value, bar.limit, verdict(bar));
    }
    std::fflush(stdout);
}

void print_counts(const CountSection& section) {
    fmt::print("\nsystem calls of a whole run, all processes and threads\n");
    if (!section.skipped.empty())
        fmt::print("  skipped: {}\n", section.skipped);
    if (!section.rows.empty()) {
        fmt::print("  {:<14} {:<6} {:>7} {:>13} {:>9}\n", "", "net", "median", "range", "x floor");
    }
    for (const CountRow& row : section.rows) {
        fmt::print("  {:<14} {:<6} {:>7} {:>13} {:>9}\n", row.name, to_string(row.network),
                   row.median, fmt::format("{}-{}", row.least, row.most), ratio(row.to_floor));
    }
    for (const Bar& bar : section.bars) {
        fmt::print("  {:<20} {:.2f} x {}, bar {:.2f}: {}\n", bar.subject, bar.value, bar.against,
                   bar.limit, verdict(bar));
    }
    std::fflush(stdout);
}

void print_memory(const MemorySection& section) {
    fmt::print("\nresident while a container sleeps, PSS in KB\n");
    fmt::print("  {:<14} {:>10} {:>7} {:>16}   {}\n", "", "supervisor", "PID 1", "all but guest",
               "processes");
    for (const MemoryRow& row : section.rows) {
        std::string processes;
        for (const ProcessMemory& process : row.processes) {
            processes += fmt::format("{} {} {}, ", process.role, process.name, process.pss_kb);
        }
        if (!processes.empty())
            processes.resize(processes.size() - 2);
        fmt::print("  {:<14} {:>10} {:>7} {:>16}   {}\n", row.name, row.supervisor_kb,
                   row.init_kb < 0 ? "-" : fmt::format("{}", row.init_kb), row.around_kb,
                   processes);
    }
    for (const Bar& bar : section.bars) {
        fmt::print("  {}, {}: {:.0f}, bar {:.0f}: {}\n", bar.subject, bar.against, bar.value,
                   bar.limit, verdict(bar));
    }
    std::fflush(stdout);
}

void print_leftovers(const std::vector<LeftoverRow>& rows) {
    fmt::print("\nbefore and after\n");
    fmt::print("  {:<14} {:>6} {:>10} {:>10} {:>12} {:>8} {:>8}   {}\n", "", "runs", "mounts",
               "cgroups", "processes", "fds", "orphans", "left");
    const auto pair = [](size_t before, size_t after) {
        return fmt::format("{}/{}", before, after);
    };
    for (const LeftoverRow& row : rows) {
        const Snapshot& before = row.before;
        const Snapshot& after = row.after;
        fmt::print("  {:<14} {:>6} {:>10} {:>10} {:>12} {:>8} {:>8}   {}\n", row.name, row.runs,
                   pair(before.mounts.size(), after.mounts.size()),
                   pair(before.cgroups.size(), after.cgroups.size()),
                   pair(before.processes.size(), after.processes.size()),
                   pair(before.descriptors.size(), after.descriptors.size()),
                   row.orphans < 0 ? "-" : fmt::format("{}", row.orphans),
                   row.left.empty() ? "nothing" : "");
        for (const std::string& left : row.left)
            fmt::print("      {}\n", left);
    }
    std::fflush(stdout);
}

}  // namespace sigil::bench
