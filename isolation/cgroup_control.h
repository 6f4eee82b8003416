// What is done to a container's cgroup while it lives, by whoever has it open: stop all of it, let
// it go on, list it. `directory` is open to the cgroup.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

#include "core/error.h"

namespace sigil::isolation {

// Stops every process in it and below, and comes back when all have stopped. If one has not by
// `deadline` (of CLOCK_MONOTONIC), all go on and the error is(ETIMEDOUT).
Result<void> freeze_cgroup(int directory, std::chrono::nanoseconds deadline);
// Lets them go on; is(ETIMEDOUT): a cgroup above it is frozen too.
Result<void> thaw_cgroup(int directory, std::chrono::nanoseconds deadline);
// Whether all have stopped.
Result<bool> is_cgroup_frozen(int directory);

// The pids of all processes in it and below, in ascending order; those that our PID namespace
// doesn't show are left out.
Result<std::vector<pid_t>> cgroup_processes(int directory);

}  // namespace sigil::isolation
