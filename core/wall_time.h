// The time of day, for people and for other programs; what sigil itself measures is monotonic.
#pragma once

#include <stdint.h>

#include <chrono>
#include <string>

namespace sigil {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

enum class SecondDigits : uint8_t { micro = 6, nano = 9 };

// RFC 3339 in UTC, rounded down: "2026-01-02T03:04:05.678901Z".
std::string rfc3339(WallTime time, SecondDigits digits);
// CLOCK_REALTIME.
std::string rfc3339_now(SecondDigits digits);

}  // namespace sigil
