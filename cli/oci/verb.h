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

// --format of what shows a table unless told otherwise.
inline Result<void> set_format(std::string& format, Text value) {
    if (value != "table" && value != "json")
        return failure("'{}' is neither table nor json", printable(value));
    format = value;
    return {};
}

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
