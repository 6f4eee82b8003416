// What is there after the runs that wasn't there before: nothing, if all goes well.

#pragma once

#include <set>
#include <string>
#include <vector>

#include "contestants.h"

namespace sigil::bench {

struct Snapshot {
    std::set<std::string> mounts;       // of this process's namespace
    std::set<std::string> cgroups;      // directories of the unified hierarchy
    std::set<std::string> processes;    // children of this one: orphans that still run
    std::set<std::string> descriptors;  // of this process
};

struct LeftoverRow {
    std::string name;
    int runs = 0;
    int orphans = 0;  // left to be reaped by others, and dead by now; -1: not counted
    Snapshot before;
    Snapshot after;
    std::vector<std::string> left;  // "cgroup /web", "mount /x", ...
};

Snapshot take_snapshot();

// Waits up to two seconds for what the kernel takes down behind the exit, then compares. Cgroups
// that others on the machine make meanwhile count too: the names tell.
// Orphans that died meanwhile are reaped and counted: bwrap's outer process, for one, ends before
// its PID 1 does and never waits for it.
LeftoverRow compare_with_now(const std::string& name, int runs, const Snapshot& before);

// Some runs of every contestant, with a count around each one's.
std::vector<LeftoverRow> look_for_leftovers(Field& field, const Runner& runner);

}  // namespace sigil::bench
