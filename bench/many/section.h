// What a section of the benchmark found out: tables of figures, bars, and what was left out. One
// shape for all of them, so that each is printed and written as JSON by the same code.

#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "bars.h"
#include "machine.h"

namespace sigil::bench {

inline constexpr double kNotMeasured = NAN;

struct Column {
    std::string key;     // in the JSON file
    std::string header;  // in the table
    int digits = 0;      // after the point
};

struct Row {
    std::string name;
    std::vector<double> values;  // one for each column
};

struct Table {
    std::string key;
    std::string title;
    std::vector<Column> columns;
    std::vector<Row> rows;

    // The value in that row and column, or kNotMeasured.
    double at(const std::string& row, const std::string& column) const;
};

struct Section {
    std::string name;
    std::vector<Table> tables;
    std::vector<Bar> bars;
    std::vector<std::string> notes;  // who is missing, and why
    bool failed = false;             // something that had to be measured wasn't

    // The bar, if both figures are there: value / base against the limit.
    void add_ratio(const std::string& subject, const std::string& against, double value,
                   double base, double limit, bool at_least = false);
};

double median_of(std::vector<double> values);

void print_section(const Section& section);
void write_sections(const std::vector<Section>& sections, const Machine& machine,
                    const std::string& path);

}  // namespace sigil::bench
