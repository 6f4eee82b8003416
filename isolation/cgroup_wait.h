// Waiting for what a cgroup's cgroup.events tells.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "core/error.h"

namespace sigil::isolation {

// Asks `is_done` with the content of cgroup.events of the cgroup that `directory` is open to, again
// whenever it may have changed, until `deadline` (of CLOCK_MONOTONIC). False: the deadline came
// first.
Result<bool> wait_for_events(int directory, std::chrono::nanoseconds deadline,
                             const std::function<Result<bool>(std::string_view events)>& is_done);

}  // namespace sigil::isolation
