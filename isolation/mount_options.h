// Mount options by name, as mount(8) and the OCI runtime spec (config.md, "Mounts") have them.
#pragma once

#include <stdint.h>

#include <span>
#include <string>

#include "core/error.h"

namespace sigil::isolation {

struct MountFlags {
    uint64_t mount_flags = 0;     // MS_*, for a new filesystem
    uint64_t attributes_set = 0;  // MOUNT_ATTR_*, for this mount
    uint64_t attributes_clear = 0;
    uint64_t recursive_set = 0;  // and for every mount below it
    uint64_t recursive_clear = 0;
    uint64_t propagation = 0;  // MS_PRIVATE and the like; 0: not said
    bool recursive_propagation = false;
    bool recursive_bind = false;
    std::string data;  // the filesystem's own options, "a=b,c"
};

// `is_bind`: a bind has no filesystem of its own, so a word that is not in the table is an error;
// elsewhere it is left to the filesystem.
Result<MountFlags> parse_mount_options(std::span<const std::string> options, bool is_bind);

}  // namespace sigil::isolation
