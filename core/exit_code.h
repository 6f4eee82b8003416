// What sigil exits with when it fails before, or instead of, the container (as env(1) and
// timeout(1) do). Alone, so that the child half of a launch needs nothing of libc for it.
#pragma once

namespace sigil {

inline constexpr int kExitRuntimeFailure = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

}  // namespace sigil
