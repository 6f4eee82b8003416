// How many containers this machine lets one sigil have at a time.
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "cli/run_options.h"

namespace sigil::cli {

// What bounds the number of containers.
struct Bound {
    std::string name;         // "open files"
    std::string value;        // "20,000"
    uint64_t containers = 0;  // that it lets live at a time, at least 1
};

// Raises our own limit of open files to the hard one. Returns what it was.
rlimit raise_file_limit();

struct Capacity {
    uint64_t containers = 0;
    std::string because;      // what gives out first: "open files: 20,000"
    uint64_t soft_files = 0;  // RLIMIT_NOFILE as it was
    uint64_t hard_files = 0;

    // Raises sigil's own limit of open files to the hard one first.
    static Capacity of_this_machine(const RunRequest& request);
    [[nodiscard]] std::string describe() const;
    // What it is the least of; changes nothing.
    static std::vector<Bound> bounds(const RunRequest& request);
    // Containers get the limit of open files that sigil was started with.
    void keep_soft_limit(Spec& spec) const;
};

// Threads to launch from.
unsigned default_launchers();

}  // namespace sigil::cli
