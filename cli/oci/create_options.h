// The options that create and run --bundle share.
#pragma once

#include <span>

#include "cli/oci/creation.h"
#include "cli/options.h"

namespace sigil::cli::oci {

std::span<const Option<CreateOptions>> create_options();

// That the descriptors of --preserve-fds are there. Before anything else is opened: what sigil has
// open itself is nobody else's.
Result<void> check_preserved(unsigned count);

}  // namespace sigil::cli::oci
