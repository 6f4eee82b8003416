// The benchmark's command line.

#pragma once

#include <string>
#include <vector>

namespace sigil::bench {

struct Options {
    int hot_runs = 200;
    int cold_runs = 40;
    std::string json;
    std::string sigil;
    std::string floor;
    std::vector<std::string> only;
    bool skip_counts = false;

    // Whether --only was not given or names it.
    bool wants(const std::string& name) const;
};

// Prints the usage and exits on a mistake or --help.
Options parse_options(int argc, char** argv);

}  // namespace sigil::bench
