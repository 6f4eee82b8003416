// What the launch and the init agree on.
#pragma once

namespace sigil::isolation {

inline constexpr int kCommandPid = 2;    // the first process that PID 1 starts
inline constexpr int kInitStatusFd = 0;  // an eventfd: the command's wait status, plus one

}  // namespace sigil::isolation
