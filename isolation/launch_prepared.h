// What a launch holds open from its plan to its end: shared by the files of class Launch.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/fd.h"
#include "core/seccomp_program.h"
#include "core/sys.h"
#include "isolation/launch.h"
#include "isolation/launch_plan.h"
#include "isolation/namespaces.h"
#include "isolation/parked.h"
#include "isolation/root_tree.h"
#include "isolation/rootless.h"
#include "isolation/staged.h"
#include "isolation/systemd_cgroup.h"

namespace sigil::isolation {

inline Time time_of(uint64_t nanoseconds) {
    return Time(static_cast<int64_t>(nanoseconds));
}

struct Launch::Prepared {
    RootTrees trees;
    // Of a container with a user namespace of its own.
    std::optional<IdMaps> users;
    Fd user_namespace;
    std::vector<Fd> streams;
    // The child sends the master of its terminal on it, before its execve and without an answer:
    // its descriptors are not ours (no CLONE_FILES), and we are parked until that execve.
    std::optional<sys::SocketPair> terminal;
    Fd network;
    LaunchPlan plan;
    // Of a bundle.
    std::vector<JoinedNamespace> joined;
    std::shared_ptr<const SeccompProgram> filter;  // null: none
    std::optional<SystemdScope> scope;
    std::optional<StagedChild> child;       // it goes through the stage
    std::optional<ParkedContainer> parked;  // it is there already
};

}  // namespace sigil::isolation
