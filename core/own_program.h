// The file that this process executes: where it came from.
#pragma once

#include "core/error.h"

namespace sigil {

// An error if it was reached from outside of this process's mount namespace.
//
// Between clone3 and the command's execve a container's process is sigil, and /proc/self/exe there
// is the host's own file. A command, or the "#!" of one, that names it would have sigil executed
// inside, as the container's root, where another process could keep a handle on that file, hand it
// over, and write to it once no sigil executes it any more (CVE-2019-5736). What is mounted in the
// container is a copy of the host's mounts, and never the mount that the file was executed from: so
// a sigil that finds itself on a mount of another namespace was executed in that way, and ends.
//
// False: there is no /proc to tell.
Result<bool> check_own_program();

}  // namespace sigil
