// What --seccomp makes of its word.
#pragma once

#include <string_view>

#include "core/error.h"
#include "core/spec.h"

namespace sigil::cli {

inline constexpr std::string_view kDefaultSeccomp = "default";
inline constexpr std::string_view kNoSeccomp = "unconfined";

// "default", "unconfined", or a file with a profile; empty: default, or unconfined where the
// container is privileged. Once the capabilities are known: both the
// default and a profile may depend on them.
Result<void> set_seccomp(Spec& spec, std::string_view word);

}  // namespace sigil::cli
