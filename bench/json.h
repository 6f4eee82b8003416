// The figures as a JSON file.

#pragma once

#include <string>

#include "results.h"

namespace sigil::bench {

void write_json(const Results& results, const std::string& path);

}  // namespace sigil::bench
