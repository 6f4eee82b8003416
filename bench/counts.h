// How many system calls a whole run makes, in all its processes and threads, guest included.

#pragma once

#include <string>
#include <vector>

#include "bars.h"
#include "contestants.h"

namespace sigil::bench {

struct CountRow {
    std::string name;
    Network network = Network::kNone;
    int least = 0;
    int median = 0;
    int most = 0;
    double to_floor = 0;  // ratio of medians; 0 without a floor
};

struct CountSection {
    std::string skipped;  // why there is nothing, if there is nothing
    std::string strace;   // its version
    std::vector<CountRow> rows;
    std::vector<Bar> bars;
};

CountSection count_system_calls(Field& field, const Runner& runner, const Workspace& workspace);

}  // namespace sigil::bench
