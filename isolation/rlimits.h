// Resource limits by name (getrlimit(2)).
#pragma once

#include <string_view>

#include "core/error.h"
#include "core/spec.h"

namespace sigil::isolation {

// "nofile=1024:4096", "core=0", "stack=unlimited".
Result<Rlimit> parse_rlimit(std::string_view text);

}  // namespace sigil::isolation
