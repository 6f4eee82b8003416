// The init program (init/), carried inside sigil's own binary and executed from a sealed memfd: no
// file to install or to find missing, and nothing that a container could overwrite.
#pragma once

#include <span>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

std::span<const char> init_image();
// A descriptor to execveat(2); one serves any number of containers.
Result<Fd> open_init_image();

}  // namespace sigil::isolation
