#include "many/section.h"

#include <algorithm>
#include <cstdio>

#include "json_writer.h"
#include "statistics.h"

namespace sigil::bench {

namespace {

void print_table(const Table& table) {
    if (table.rows.empty())
        return;
    size_t width = 16;
    for (const Row& row : table.rows)
        width = std::max(width, row.name.size());
    fmt::print("\n{}\n  {:<{}}", table.title, "", width);
    for (const Column& column : table.columns)
        fmt::print(" {:>12}", column.header);
    fmt::print("\n");
    for (const Row& row : table.rows) {
        fmt::print("  {:<{}}", row.name, width);
        for (size_t i = 0; i < row.values.size(); ++i) {
            if (std::isnan(row.values[i]))
                fmt::print(" {:>12}", "-");
            else
                fmt::print(" {:>12.{}f}", row.values[i], table.columns[i].digits);
        }
        fmt::print("\n");
    }
}

void put_table(Writer& json, const Table& table) {
    put_rows(json, table.key.c_str(), table.rows, [&](const Row& row) {
        put(json, "name", row.name);
        for (size_t i = 0; i < row.values.size(); ++i) {
            if (!std::isnan(row.values[i]))
                put(json, table.columns[i].key.c_str(), row.values[i]);
        }
    });
}

}  // namespace

double Table::at(const std::string& row, const std::string& column) const {
    for (const Row& one : rows) {
        if (one.name != row)
            continue;
        for (size_t i = 0; i < columns.size(); ++i) {
            if (columns[i].key == column)
                return one.values[i];
        }
    }
    return kNotMeasured;
}

void Section::add_ratio(const std::string& subject, const std::string& against, double value,
                        double base, double limit, bool at_least) {
    if (!std::isnan(value) && !std::isnan(base) && base != 0)
        bars.push_back({subject, against, value / base, limit, at_least});
}

double median_of(std::vector<double> values) {
    return values.empty() ? kNotMeasured : summarize(std::move(values)).median;
}

void print_section(const Section& section) {
    for (const Table& table : section.tables)
        print_table(table);
    for (const Bar& bar : section.bars) {
        fmt::print("  {}: {:.2f}{}{}, bar {} {:.2f}: {}\n", bar.subject, bar.value,
                   bar.against.empty() ? "" : " x ", bar.against,
                   bar.at_least ? ">=" : "<=", bar.limit, bar.met() ? "ok" : "MISSED");
    }
    for (const std::string& note : section.notes)
        fmt::print("  {}: {}\n", section.name, note);
    std::fflush(stdout);
}

void write_sections(const std::vector<Section>& sections, const Machine& machine,
                    const std::string& path) {
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    json.SetMaxDecimalPlaces(4);
    json.StartObject();
    put(json, "date", machine.date);
    put(json, "kernel", machine.kernel);
    put(json, "cpu", machine.cpu);
    put(json, "cpus", machine.cpus);
    for (const Section& section : sections) {
        json.Key(section.name.c_str());
        json.StartObject();
        for (const Table& table : section.tables)
            put_table(json, table);
        put_bars(json, "bars", section.bars);
        json.Key("notes");
        json.StartArray();
        for (const std::string& note : section.notes)
            json.String(note.c_str());
        json.EndArray();
        put(json, "failed", section.failed);
        json.EndObject();
    }
    json.EndObject();
    save(buffer, path);
}

}  // namespace sigil::bench
