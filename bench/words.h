// Reading the words of a command line.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sigil::bench {

// The value of --NAME; a failure unless it is a number from 0 on.
int parse_number(const char* name, std::string_view text);

// "a,b" as two words.
std::vector<std::string> split(const std::string& text);

}  // namespace sigil::bench
