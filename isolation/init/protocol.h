// What the launch, the init and the supervisor agree on.
#pragma once

namespace sigil::isolation {

inline constexpr int kCommandPid = 2;  // the first process that PID 1 starts

// The init's name (/proc/PID/comm) once a signal has killed the command: an exit code above 128
// then is 128 plus that signal, and else the command's own.
inline constexpr char kSignaledName[] = "sigil-signaled";

}  // namespace sigil::isolation
