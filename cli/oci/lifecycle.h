// What a container goes through, for the verbs that are several steps of it at once.
#pragma once

#include "cli/oci/container.h"
#include "core/error.h"
#include "core/spec.h"

namespace sigil::cli::oci {

// Has a created one's command run, with the hooks that belong to it. `waits`: whether it waits for
// that; else it runs already, and the hooks are all there is to do. A failure leaves the rest to
// the caller, who has to kill the container. `interruption`: of interruption.h; ends the hooks.
Result<void> start_created(const ContainerDirectory& directory, const ContainerState& state,
                           const Spec& spec, bool waits, int interruption = -1);

// Kills everything in it, and waits until its processes are gone.
void kill_all(Container& container);

// The poststop hooks of one that has ended. Their failures are logged: they must not keep it from
// being removed (config.md, "Poststop").
void run_poststop(const ContainerState& state, const Spec& spec);

// Stops the scope that systemd runs it in, if it has one: kills what is in it, too.
Result<void> stop_unit(const ContainerState& state);

// Of a stopped one: removes the cgroup, runs the poststop hooks, whose failures are logged, and
// removes what is written down. What is gone already is no failure.
Result<void> remove_stopped(Container& container);

}  // namespace sigil::cli::oci
