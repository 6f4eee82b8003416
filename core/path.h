// Paths inside a root that may be hostile: resolved by the kernel beneath a descriptor
// (openat2(2), RESOLVE_IN_ROOT), so that no symbolic link, "..", or rename leads out of it.
#pragma once

#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"

namespace sigil {

// Opens `path` as if `root` were "/"; procfs' magic links are refused.
Result<Fd> open_in_root(int root, const char* path, int flags);
// The whole file at `path` inside `root`, at most `limit` bytes of it.
Result<std::string> read_in_root(int root, const char* path, size_t limit);

}  // namespace sigil
