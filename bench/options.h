// The benchmark's command line.

#pragma once

#include <string>

#include "contestants.h"

namespace sigil::bench {

struct Options : FieldOptions {
    int hot_runs = 200;
    int cold_runs = 40;
    std::string json;
    bool skip_counts = false;
};

// Prints the usage and exits on a mistake or --help.
Options parse_options(int argc, char** argv);

}  // namespace sigil::bench
