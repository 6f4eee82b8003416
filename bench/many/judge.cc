// What the ladders say about latency, exits, quiet and memory.

#include <algorithm>

#include "failure.h"
#include "many/conmon.h"
#include "many/sections.h"

namespace sigil::bench {

namespace {

const Ladder* find_ladder(const std::vector<Ladder>& ladders, const std::string& name) {
    for (const Ladder& ladder : ladders) {
        if (ladder.name == name)
            return &ladder;
    }
    return nullptr;
}

// A row for each contestant and rung, of the figures that the columns are named after.
Table tabulate(const std::string& key, const std::string& title, std::vector<Column> columns,
               const std::vector<Ladder>& ladders) {
    Table table = {key, title, std::move(columns), {}};
    for (const Ladder& ladder : ladders) {
        for (const Rung& rung : ladder.rungs) {
            Row row = {fmt::format("{}, {} live", ladder.name, rung.live), {}};
            for (const Column& column : table.columns)
                row.values.push_back(rung.figure(column.key));
            if (std::any_of(row.values.begin(), row.values.end(),
                            [](double value) { return !std::isnan(value); }))
                table.rows.push_back(row);
        }
    }
    return table;
}

}  // namespace

Section open_section(const Setup& setup, const std::string& name,
                     const std::vector<Ladder>& ladders) {
    Section section = {name, {}, {}, {}, false};
    for (const char* contestant : {"floor", "sigil", "sigil-no-init"})
        (void)setup.has(contestant, section);
    for (const Ladder& ladder : ladders) {
        if (ladder.gave_out.empty())
            continue;
        section.notes.push_back(fmt::format("{} FAILED: {}", ladder.name, ladder.gave_out));
        section.failed = true;
    }
    return section;
}

Table tabulate_starts(const std::string& key, const std::string& title,
                      const std::vector<Ladder>& ladders) {
    return tabulate(key, title,
                    {{"start_p50", "to exec", 0},
                     {"start_p99", "p99", 0},
                     {"first_p50", "to its code", 0},
                     {"first_p99", "p99", 0}},
                    ladders);
}

Section judge_latency(const Setup& setup, const std::vector<Ladder>& ladders) {
    Section section = open_section(setup, "latency", ladders);
    section.tables.push_back(
        tabulate_starts("latency", "a start beside those that live, us, network host", ladders));
    for (const Ladder& ladder : ladders) {
        for (const Rung& rung : ladder.rungs) {
            if (is_sigil(ladder.name) && rung.live > 1) {
                section.add_ratio(fmt::format("{}: a start with {} live", ladder.name, rung.live),
                                  "with none", rung.figure("start_p50"),
                                  ladder.figure(0, "start_p50"), kLatencyGrowth);
            }
        }
    }
    return section;
}

Section judge_exit(const Setup& setup, const std::vector<Ladder>& ladders) {
    Section section = open_section(setup, "exit", ladders);
    section.tables.push_back(
        tabulate("exit", "from a guest's last instruction, us: its end seen; all cleaned and told",
                 {{"notice_p50", "seen", 0},
                  {"notice_p99", "p99", 0},
                  {"event_p50", "told", 0},
                  {"event_p99", "p99", 0}},
                 ladders));
    // With an init there are two ends, the guest's and then PID 1's: not what the floor does.
    const Ladder* own = find_ladder(ladders, "sigil-no-init");
    const Ladder* floor = find_ladder(ladders, "floor");
    if (own == nullptr || floor == nullptr || own->rungs.empty())
        return section;
    for (int live : {1, own->rungs.back().live}) {
        for (const char* figure : {"notice_p50", "notice_p99", "event_p50", "event_p99"}) {
            section.add_ratio(fmt::format("sigil-no-init, {} live: {}", live, figure), "floor",
                              own->figure(live, figure), floor->figure(live, figure), kExitToFloor);
        }
    }
    return section;
}

Section judge_idle(const Setup& setup, const std::vector<Ladder>& ladders) {
    Section section = open_section(setup, "idle", ladders);
    const int seconds = setup.options.pick(10, 2);
    section.tables.push_back(tabulate("idle", fmt::format("in {} s of quiet", seconds),
                                      {{"idle_cpu_us", "CPU, us", 0},
                                       {"idle_switches", "switches", 0},
                                       {"idle_init_switches", "of 50 PID 1s", 0}},
                                      ladders));
    for (const Ladder& ladder : ladders) {
        for (const Rung& rung : ladder.rungs) {
            if (std::isnan(rung.figure("idle_switches")))
                continue;
            const std::string subject =
                fmt::format("{} with {} that sleep", ladder.name, rung.live);
            section.bars.push_back(
                {subject + ": CPU time, us", "", rung.figure("idle_cpu_us"), kIdle});
            section.bars.push_back(
                {subject + ": context switches", "", rung.figure("idle_switches"), kIdle});
        }
    }
    return section;
}

namespace {

void add_peers_memory(const Setup& setup, Section& section, Table& table) {
    const int count = setup.options.pick(100, 10);
    for (const char* name : {"bwrap", "crun"}) {
        if (!setup.has(name, section))
            continue;
        const Ladder ladder = climb(setup, name, {{count}, 0, -1, 0});
        const double sum = ladder.figure(count, "supervisor_kb");
        table.rows.push_back({fmt::format("{}, {} live", name, count),
                              {sum, sum / count, kNotMeasured, sum / count}});
    }
    if (!setup.options.wants("conmon"))
        return;
    try {
        const double each = measure_conmon_kb(setup, count);
        table.rows.push_back(
            {fmt::format("conmon, {} live", count), {each * count, each, kNotMeasured, each}});
    } catch (const Failure& failure) {
        section.notes.push_back(fmt::format("conmon skipped: {}", failure.what()));
    }
}

}  // namespace

Section judge_memory(const Setup& setup, const std::vector<Ladder>& ladders) {
    Section section = open_section(setup, "memory", ladders);
    Table table = {"memory",
                   "PSS in KB: the supervisor, or all of them; what a container adds",
                   {{"supervisor_kb", "supervisor", 0},
                    {"supervisor_each_kb", "for each", 2},
                    {"init_kb", "PID 1", 1},
                    {"each_kb", "all for each", 2}},
                   {}};
    for (const Ladder& ladder : ladders) {
        for (const Rung& rung : ladder.rungs) {
            const double supervisor = rung.figure("supervisor_kb");
            const double each = rung.live > 0 ? supervisor / rung.live : kNotMeasured;
            table.rows.push_back(
                {fmt::format("{}, {} live", ladder.name, rung.live),
                 {supervisor, each, rung.figure("init_kb"), rung.figure("each_kb")}});
        }
        if (!is_sigil(ladder.name) || ladder.rungs.empty())
            continue;
        const Rung& last = ladder.rungs.back();
        section.bars.push_back(
            {fmt::format("{}, {} live: KB for each above 1 MB", ladder.name, last.live), "",
             std::max(0.0, (last.figure("supervisor_kb") - kKilobytesForAll) / last.live),
             kKilobytesEach});
        if (!std::isnan(last.figure("init_kb")))
            section.bars.push_back({fmt::format("{}: PID 1, KB", ladder.name), "",
                                    last.figure("init_kb"), kInitOfManyKilobytes});
    }
    add_peers_memory(setup, section, table);
    section.tables.push_back(table);
    return section;
}

}  // namespace sigil::bench
