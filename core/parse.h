// Numbers, sizes, times and names as people write them. Each failure says what was wrong with the
// text; the caller adds which option or property it came from.
#pragma once

#include <stdint.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sigil {

// A decimal number without sign, at most `limit`.
Result<uint64_t> parse_number(std::string_view text, uint64_t limit = UINT64_MAX);
// Numbers and ranges of them, as the kernel's lists of processors and nodes: "0-3,7" is 0, 1, 2, 3,
// 7; each at most `limit`. Empty: none.
Result<std::vector<unsigned>> parse_number_list(std::string_view text, unsigned limit);
// Bytes: "512", "64K", "1.5M", "2G", "1T"; powers of 1024, an optional "B" or "iB" after the
// letter.
Result<uint64_t> parse_size(std::string_view text);
// "250ms", "10s", "1.5m", "2h"; without a unit, seconds.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
// "TERM", "SIGTERM", "15", "RTMIN+3".
Result<int> parse_signal(std::string_view text);
// A container's name: 1 to 64 of letters, digits, "_", ".", "-", starting with a letter or digit.
Result<void> check_name(std::string_view text);

// What `rest` begins with, up to the separator, which is taken with it; all where there is none.
std::string_view take_part(std::string_view& rest, char separator);
// What spaces, tabs and newlines separate.
std::vector<std::string_view> words_of(std::string_view text);

// As files of cgroup v2 have it: "max" for UINT64_MAX.
std::string number_or_max(uint64_t value);
// "64M", "1.5G": the shortest form of a size, for messages.
std::string format_size(uint64_t bytes);

// `text` with control characters and broken UTF-8 as \xNN, so that it may go to a terminal.
std::string printable(std::string_view text);

}  // namespace sigil
