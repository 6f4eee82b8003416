// IDs inside a user namespace and outside of it (user_namespaces(7)).
#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "core/error.h"
#include "core/fd.h"
#include "core/oci.h"

namespace sigil::isolation {

// As uid_map and gid_map of /proc/PID take it: "inside outside count", a line each.
std::string id_map_text(std::span<const IdMapping> mappings);

// A user namespace that nobody is in, for its mappings alone: what an idmapped mount is made with
// (mount_setattr(2), MOUNT_ATTR_IDMAP). Lives as long as the descriptor and the mounts.
Result<Fd> make_user_namespace(std::span<const IdMapping> uids, std::span<const IdMapping> gids);

// Writes the maps of that process's namespace: directly where the kernel lets us, else through
// newuidmap(1) and newgidmap(1), which look into /etc/subuid and /etc/subgid. Once.
Result<void> write_id_maps(pid_t pid, std::span<const IdMapping> uids,
                           std::span<const IdMapping> gids);

// Whether there is such an ID inside.
bool maps(std::span<const IdMapping> mappings, uint32_t id);
// What it is outside; of one that maps() knows.
uint32_t outside(std::span<const IdMapping> mappings, uint32_t id);

// Whether this process is in another user namespace than the machine's own: its root is no root
// there.
bool is_in_user_namespace();

}  // namespace sigil::isolation
