// sigil of an ordinary user, and users of any sigil that isn't the machine's root: the user
// namespace that it is in.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/oci.h"

namespace sigil::isolation {

// The users that there are in a user namespace.
struct IdMaps {
    std::vector<IdMapping> uids;
    std::vector<IdMapping> gids;
    bool may_set_groups = true;  // setgroups(2): not where a user has mapped but themselves
};

// uid_map or gid_map as the kernel shows it (user_namespaces(7)).
std::vector<IdMapping> parse_id_map(std::string_view text);

// Those of the namespace that this process is in; nothing: it is the machine's own, or one that
// nobody can tell from it.
Result<std::optional<IdMaps>> own_users();

// Root of a user namespace of its own, and of mounts of its own, from now on: what an ordinary user
// needs to start containers. Root there is the user outside; the rest of the users are those of
// /etc/subuid and /etc/subgid, through newuidmap(1) and newgidmap(1), or none. Only in a process
// with one thread.
Result<void> become_root_of_own_namespace();

}  // namespace sigil::isolation
