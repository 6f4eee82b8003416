#include "json.h"

#include "json_writer.h"

namespace sigil::bench {

namespace {

void put_machine(Writer& json, const Results& results) {
    put(json, "date", results.machine.date);
    put(json, "kernel", results.machine.kernel);
    put(json, "cpu", results.machine.cpu);
    put(json, "cpus", results.machine.cpus);
    put_rows(json, "contestants", results.contestants, [&](const Contestant& contestant) {
        put(json, "name", contestant.name);
        put(json, "version", contestant.version);
    });
    put_rows(json, "skipped", results.skipped, [&](const Skipped& skipped) {
        put(json, "name", skipped.name);
        put(json, "reason", skipped.reason);
    });
}

void put_latency(Writer& json, const Results& results) {
    put_rows(json, "latency", results.latency, [&](const LatencySection& section) {
        put(json, "network", to_string(section.network));
        put(json, "mode", section.cold ? "cold" : "hot");
        put_rows(json, "rows", section.rows, [&](const LatencyRow& row) {
            put(json, "name", row.name);
            put(json, "runs", row.milliseconds.runs);
            put(json, "median_ms", row.milliseconds.median);
            put(json, "p10_ms", row.milliseconds.p10);
            put(json, "p90_ms", row.milliseconds.p90);
            put(json, "p99_ms", row.milliseconds.p99);
            put(json, "min_ms", row.milliseconds.least);
            put(json, "max_ms", row.milliseconds.most);
            put(json, "mean_ms", row.milliseconds.mean);
            if (row.to_floor > 0)
                put(json, "to_floor", row.to_floor);
        });
        put_bars(json, "bars", section.bars);
        put_bars(json, "bars_of_p10", section.p10_bars);
    });
}

void put_counts(Writer& json, const CountSection& section) {
    json.Key("system_calls");
    json.StartObject();
    if (!section.skipped.empty())
        put(json, "skipped", section.skipped);
    put(json, "counted_by", section.strace);
    put_rows(json, "rows", section.rows, [&](const CountRow& row) {
        put(json, "name", row.name);
        put(json, "network", to_string(row.network));
        put(json, "median", row.median);
        put(json, "min", row.least);
        put(json, "max", row.most);
        if (row.to_floor > 0)
            put(json, "to_floor", row.to_floor);
    });
    put_bars(json, "bars", section.bars);
    json.EndObject();
}

void put_memory(Writer& json, const MemorySection& section) {
    json.Key("memory");
    json.StartObject();
    put_rows(json, "rows", section.rows, [&](const MemoryRow& row) {
        put(json, "name", row.name);
        put(json, "supervisor_pss_kb", row.supervisor_kb);
        if (row.init_kb >= 0)
            put(json, "init_pss_kb", row.init_kb);
        put(json, "all_but_guest_pss_kb", row.around_kb);
        put_rows(json, "processes", row.processes, [&](const ProcessMemory& process) {
            put(json, "role", process.role);
            put(json, "name", process.name);
            put(json, "pss_kb", process.pss_kb);
            put(json, "rss_kb", process.rss_kb);
        });
    });
    put_bars(json, "bars", section.bars);
    json.EndObject();
}

void put_snapshot(Writer& json, const char* key, const Snapshot& snapshot) {
    json.Key(key);
    json.StartObject();
    put(json, "mounts", static_cast<long>(snapshot.mounts.size()));
    put(json, "cgroups", static_cast<long>(snapshot.cgroups.size()));
    put(json, "processes", static_cast<long>(snapshot.processes.size()));
    put(json, "descriptors", static_cast<long>(snapshot.descriptors.size()));
    json.EndObject();
}

void put_leftovers(Writer& json, const Results& results) {
    put_rows(json, "leftovers", results.leftovers, [&](const LeftoverRow& row) {
        put(json, "name", row.name);
        put(json, "runs", row.runs);
        if (row.orphans >= 0)
            put(json, "orphans", row.orphans);
        put_snapshot(json, "before", row.before);
        put_snapshot(json, "after", row.after);
        json.Key("left");
        json.StartArray();
        for (const std::string& left : row.left)
            json.String(left.c_str());
        json.EndArray();
    });
}

}  // namespace

void write_json(const Results& results, const std::string& path) {
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    json.SetMaxDecimalPlaces(4);
    json.StartObject();
    put_machine(json, results);
    put_latency(json, results);
    if (results.counts)
        put_counts(json, *results.counts);
    if (results.memory)
        put_memory(json, *results.memory);
    put_leftovers(json, results);
    json.EndObject();
    save(buffer, path);
}

}  // namespace sigil::bench
