// Which cgroups systemd leaves to us: it marks those of its units, and of them those with Delegate=
// ("Control Group APIs and Delegation"; systemd.resource-control(5)). What it does not delegate is
// its own, and no container's cgroup may be made there.
#pragma once

#include <optional>
#include <string>

#include "core/error.h"
#include "isolation/cgroup_host.h"

namespace sigil::isolation {

struct Delegation {
    // A unit's that is not delegated, nor beneath one that is.
    bool is_foreign = false;
    // The nearest cgroup, from `path` on up, that is delegated.
    std::optional<std::string> root;
};

Delegation find_delegation(const CgroupHost& host, const std::string& path);

// Moves this process out of `path` into its sub-cgroup "supervisor", so that the others beneath it
// can have controllers. It stays there; whoever made `path` removes it.
Result<void> move_aside(const CgroupHost& host, const std::string& path);

}  // namespace sigil::isolation
