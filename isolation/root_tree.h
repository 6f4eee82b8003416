// The host's directories and files that a container gets to see, as detached mount trees: cloned
// from the host's, cut off from their propagation, and held by descriptor until they are attached.
#pragma once

#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"
#include "isolation/launch_plan.h"

namespace sigil::isolation {

struct RootTrees {
    Fd root;
    std::vector<Fd> binds;

    // Opens the root and the binds among the first `mounts` of the spec's mounts, and tells
    // `sources` of them. Paths are those of the calling thread's mount namespace. With a user
    // namespace (else -1) the root's files have the owners in it that they have on the disk.
    static Result<RootTrees> open(const Spec& spec, size_t mounts, int user_namespace,
                                  OpenedSources& sources);

    // The same of a bundle, all of its mounts. `cgroup`: the directory of the container's cgroup,
    // or -1: what a cgroup filesystem shows where there is no cgroup namespace.
    static Result<RootTrees> open_bundle(const Spec& spec, int cgroup, OpenedSources& sources);
};

}  // namespace sigil::isolation
