// How a cgroup goes away, with all that is in it.
#pragma once

#include <chrono>

#include "core/error.h"

namespace sigil::isolation {

// Removes the directories below a cgroup, deepest first, as far as they are empty.
void remove_cgroups_below(int directory);

// Removes the cgroup `name` of `parent`, which `directory` is open to: what runs in it is killed,
// and waited for until `deadline` (of CLOCK_MONOTONIC). EBUSY: it has not ended by then.
Result<void> end_cgroup(int parent, const char* name, int directory,
                        std::chrono::nanoseconds deadline);

}  // namespace sigil::isolation
