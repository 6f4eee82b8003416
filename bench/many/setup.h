// What every section of sigil-bench-many works with.

#pragma once

#include <string>
#include <vector>

#include <rapidjson/document.h>

#include "contestants.h"
#include "many/options.h"
#include "many/section.h"

namespace sigil::bench {

struct Setup {
    const ManyOptions& options;
    const Workspace& workspace;
    const Runner& runner;
    Field& field;
    std::string missing_option;  // of `sigil run`: what this binary doesn't know yet

    // Whether the contestant takes part; if it should but can't, the section says why.
    bool has(const std::string& name, Section& section) const;
};

inline bool is_sigil(const std::string& name) {
    return name.starts_with("sigil");
}

// The first of the options that the benchmark needs and `sigil run --help` doesn't tell, or "".
std::string find_missing_option(const Runner& runner, const std::string& sigil);

// "sigil run" with what all of the benchmark's runs have: rootfs, network, init or not, silence.
Command sigil_words(const Setup& setup, Network network, bool init, const Command& more);

// "sigil-floor-many" with network and threads.
Command floor_words(const Setup& setup, Network network, int threads, const Command& more);

// Runs floor-many and returns what it printed.
rapidjson::Document run_floor(const Setup& setup, const Command& command);

// Waits until the kernel has taken down the network namespaces of what ran before: it does so in
// its own time, and the next contestant would pay for it.
void settle();

}  // namespace sigil::bench
