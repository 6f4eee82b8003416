// The bars: how sigil's figures must stand to those of the floor and of its peers.

#pragma once

#include <string>
#include <vector>

namespace sigil::bench {

// "sigil at most 0.35 of crun", and what was seen.
struct Bar {
    std::string subject;
    std::string against;
    double value = 0;
    double limit = 0;
    bool met() const { return value <= limit; }
};

inline constexpr double kStartToCrun = 0.35;
inline constexpr double kStartToBubblewrap = 0.7;
inline constexpr double kStartToFloor = 1.2;
inline constexpr double kCallsToFloor = 1.5;
inline constexpr double kSupervisorKilobytes = 600;
inline constexpr double kInitKilobytes = 32;

}  // namespace sigil::bench
