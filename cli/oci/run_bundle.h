// `sigil run --bundle`: create, start, wait and delete in one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/error.h"

namespace sigil::cli::oci {

// Its options, for the help of `run`.
std::vector<OptionShape> run_bundle_shapes();
// Nothing: these arguments are not those of a bundle (there is no --bundle among the options).
std::optional<Result<int>> run_bundle(Arguments arguments);

}  // namespace sigil::cli::oci
