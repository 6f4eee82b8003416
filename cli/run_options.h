// The options of `sigil run`, and what they make of a command line.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "cli/options.h"
#include "core/spec.h"

namespace sigil::cli {

struct RunRequest {
    Spec spec;
    std::optional<std::string> report;  // --report
    bool wants_help = false;
};

std::span<const Option<RunRequest>> run_options();
// Options, then the command; the defaults filled in.
Result<RunRequest> parse_run(std::span<const char* const> arguments);

}  // namespace sigil::cli
