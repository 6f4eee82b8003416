// Removes what killed supervisors left: the cgroups that they had written down (core/run_record.h),
// and then the record itself. Nothing of a living one is touched.
//
// A path alone doesn't tell whose a cgroup is: a new container may have taken the name of a dead
// one. So the sweeper, holding the lock of ROOT/runs,
//     1. reads what the dead have written down, and which directory (inode) is at each path;
//     2. reads what all others have written down, which each did before its mkdir;
//     3. removes, once for each path, the directory of 1 if it is still there and not in 2.
// Who takes a path after 2 either finds it free, and then its directory is not that of 1; or finds
// it taken, and waits for the sweeper's lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/run_record.h"
#include "core/runs.h"

namespace sigil::isolation {

struct SweepRequest {
    std::string root = kDefaultRoot;
    bool dry_run = false;               // says what it would remove
    Runs::Wait wait = Runs::Wait::yes;  // for another sweeper
    size_t most = SIZE_MAX;             // look at no more run directories than this
    std::chrono::nanoseconds patience = std::chrono::seconds(10);  // with processes that don't end
    long filesystem = 0x63677270;  // CGROUP2_SUPER_MAGIC; tests have others
};

struct Swept {
    std::vector<std::string> removed;  // "cgroup /sys/fs/cgroup/sigil-web", "record /run/..."
    std::vector<Error> failures;
};

Swept sweep(const SweepRequest& request);

// What a start does for those before it: looks at a few run directories, if there is any but its
// own, and waits for nothing. Silent: `sigil sweep` tells.
void sweep_some(const RunRecord& own);

}  // namespace sigil::isolation
