// The programs carried inside sigil's own binary and executed from a sealed memfd: no file to
// install or to find missing, and nothing that a container could overwrite.
#pragma once

#include <span>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

// init/: PID 1 of a container of `sigil run`.
std::span<const char> init_image();
// Each a descriptor to execveat(2); one serves any number of containers.
Result<Fd> open_init_image();
// stage/: the child half of a launch whose parent goes on.
Result<Fd> open_stage_image();

// A sealed memfd with these bytes.
Result<Fd> sealed_file(const char* name, std::span<const char> bytes, bool is_executable);

}  // namespace sigil::isolation
