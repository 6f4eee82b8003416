// What verbs have in common: options, "--help", the container's id.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "cli/oci/verbs.h"
#include "cli/options.h"
#include "core/parse.h"

namespace sigil::cli::oci {

using Text = std::string_view;

// A row for an option without a value, to set a member.
#define SIGIL_FLAG(Request, option, letter, text, member)                                \
    Option<Request> {                                                                    \
        nullptr, option, letter, nullptr, text, [](Request& r, Text v) -> Result<void> { \
            r.member = v != "false";                                                     \
            return {};                                                                   \
        }                                                                                \
    }

// A row for an option whose value is kept as it is.
#define SIGIL_TEXT(Request, option, letter, argument, text, member)                       \
    Option<Request> {                                                                     \
        nullptr, option, letter, argument, text, [](Request& r, Text v) -> Result<void> { \
            r.member = v;                                                                 \
            return {};                                                                    \
        }                                                                                 \
    }

}  // namespace sigil::cli::oci
