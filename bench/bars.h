// The bars: how sigil's figures must stand to those of the floor and of its peers.

#pragma once

#include <string>
#include <vector>

namespace sigil::bench {

// "sigil at most 0.35 of crun", or at least, and what was seen.
struct Bar {
    std::string subject;
    std::string against;
    double value = 0;
    double limit = 0;
    bool at_least = false;
    bool met() const { return at_least ? value >= limit : value <= limit; }
};

inline constexpr double kStartToCrun = 0.35;
inline constexpr double kStartToBubblewrap = 0.7;
inline constexpr double kStartToFloor = 1.2;
inline constexpr double kCallsToFloor = 1.5;
inline constexpr double kSupervisorKilobytes = 600;
inline constexpr double kInitKilobytes = 32;

// As an OCI runtime.
inline constexpr double kOciToCrun = 0.4;
inline constexpr double kOciToRunc = 0.12;
inline constexpr double kExecToCrun = 0.4;

// A signal's way inside, to that through an init with as many hops; and how long after the last
// container's start the process manager knows, in microseconds.
inline constexpr double kSignalToInit = 1.1;
inline constexpr double kReadyUs = 1000;

// Output through a terminal, to script(1)'s: at least.
inline constexpr double kPtyToScript = 0.9;

// Many containers of one process.
inline constexpr double kWarmToCold = 0.6;
inline constexpr double kRateToFloor = 1.3;  // at least, as the next two
inline constexpr double kRateToCrun = 8;
inline constexpr double kRateToBubblewrap = 3;
inline constexpr double kUpToFloor = 1.0;
inline constexpr double kGoneMs = 200;
inline constexpr double kLatencyGrowth = 1.2;
inline constexpr double kKilobytesEach = 1.5;  // above kKilobytesForAll
inline constexpr double kKilobytesForAll = 1024;
inline constexpr double kInitOfManyKilobytes = 24;
inline constexpr double kExitToFloor = 1.3;
inline constexpr double kIdle = 0;
inline constexpr double kLinesGrowth = 1.1;

}  // namespace sigil::bench
