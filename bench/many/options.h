// The command line of sigil-bench-many.

#pragma once

#include <string>
#include <vector>

#include "contestants.h"

namespace sigil::bench {

struct ManyOptions : FieldOptions {
    std::string floor_many;
    std::vector<std::string> sections;  // empty: all but the plot
    std::string json;
    std::string plot;
    bool quick = false;
    int rounds = 0;  // 0: what each section finds enough
    int most_live = 10'000;

    bool wants_section(const std::string& name) const;
    int rounds_or(int usual) const { return rounds > 0 ? rounds : quick ? 1 : usual; }
    int pick(int usual, int small) const { return quick ? small : usual; }
};

// Prints the usage and exits on a mistake or --help.
ManyOptions parse_many_options(int argc, char** argv);

}  // namespace sigil::bench
