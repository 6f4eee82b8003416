// Mount options by name, as mount(8) and the OCI runtime spec (config.md, "Mounts") have them.
#pragma once

#include <stdint.h>

#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/spec.h"

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

// Words of a bundle's mounts that no filesystem and no system call has (config.md, "Mounts").
struct MountExtensions {
    bool copy_up = false;          // "tmpcopyup": the tmpfs begins with what the image has there
    bool id_mapped = false;        // "idmap", "ridmap", or mappings of its own
    bool id_mapped_below = false;  // "ridmap": mounts below it too
};

// Takes them out of `mount`'s options.
MountExtensions take_extensions(Mount& mount);

// Whether a bundle's mount is one: by its type or its options.
bool is_bind(const Mount& mount);

// The destination as it is meant: "/a//b/./c/../d" is "/a/b/d". Lexically: symbolic links inside
// the root are the kernel's to follow. Never empty, never the root.
Result<std::string> clean_destination(const Mount& mount);
// Every word of the table, the forms that reach all mounts below a bind too.
std::vector<std::string> mount_option_names();

}  // namespace sigil::isolation
