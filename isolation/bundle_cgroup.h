// The cgroup of an OCI bundle with the cgroupfs driver: where it is, and whose (config-linux.md,
// "Control groups"). What it is like once it is there: isolation/cgroup.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/spec.h"
#include "isolation/cgroup_host.h"

namespace sigil::isolation {

// What linux.cgroupsPath means, as "/a/b": an absolute one from the mount's root on, a relative one
// below `parent` (as "/a"); an empty one is "/ID", as with runc and crun. ".." leads no further up
// than to the root; the root itself is an error.
Result<std::string> bundle_cgroup_path(const std::string& cgroups_path, const std::string& parent,
                                       const std::string& id);

// Makes the parent of the cgroup `path` and gives it `needed` controllers, and of all others what
// can be had, as runc does: they count what `events` tells. Appends what it made to `made`.
Result<void> prepare_bundle_parent(const CgroupHost& host, const std::string& path,
                                   const std::vector<std::string>& needed, MadeCgroups& made);

// Whom the container's cgroup is to belong to, so that it can manage cgroups of its own: the user
// of its process on the machine, if it has a user namespace with mappings and a cgroup namespace of
// its own, and mounts its cgroups writable at /sys/fs/cgroup. Nothing: it stays ours.
std::optional<uid_t> bundle_cgroup_owner(const Spec& spec);

// Gives the cgroup's directory and those of its files that may be delegated to `owner`
// (cgroup-v2.rst, "Delegation"; `list` names them, /sys/kernel/cgroup/delegate). `directory` is
// open to the cgroup.
Result<void> delegate_cgroup(int directory, uid_t owner,
                             const char* list = "/sys/kernel/cgroup/delegate");

}  // namespace sigil::isolation
