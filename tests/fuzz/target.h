// One thing that reads what others wrote. libFuzzer gives it inputs (preset "fuzz"), or replay.cc
// does, from the corpus: without any fuzzer, in every build.
#pragma once

#include <string_view>

namespace sigil::fuzz {

// Must not crash, whatever the input.
void run(std::string_view input);

}  // namespace sigil::fuzz
