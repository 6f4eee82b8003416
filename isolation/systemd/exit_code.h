// What sigil-systemd-cgroup exits with, beside 0 and kExitRuntimeFailure.
#pragma once

namespace sigil::isolation {

inline constexpr int kExitUnitExists = 17;  // a unit of that name is there, and not ours

}  // namespace sigil::isolation
