// Resource limits by name (getrlimit(2)).
#pragma once

#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/spec.h"

namespace sigil {

// RLIMIT_* of "nofile"; nothing: setrlimit(2) knows none of that name.
std::optional<int> find_rlimit(std::string_view name);

// "nofile=1024:4096", "core=0", "stack=unlimited".
Result<Rlimit> parse_rlimit(std::string_view text);

}  // namespace sigil
