// OCI hooks: programs of the host that run at points of a container's life (runtime-spec config.md,
// "POSIX-platform Hooks"), with its state on their stdin.
#pragma once

#include <span>
#include <string_view>

#include "core/error.h"
#include "core/oci.h"
#include "core/process.h"

namespace sigil::isolation {

// Runs them one after the other, each until it has ended. `within`: the container's process, in
// whose namespaces and whose root they run, as its children would; null: in ours. An error names
// the first that failed, could not be run or took longer than its timeout (which kills it), and
// tells what it wrote last. `interruption`: of interruption.h; a hook under way is then killed.
Result<void> run_hooks(std::span<const Hook> hooks, std::string_view state,
                       const Process* within = nullptr, int interruption = -1);

}  // namespace sigil::isolation
