// The descriptor of a filter's notifications (SCMP_ACT_NOTIFY): sent to who answers them, as
// config-linux.md ("The Container Process State") has it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "core/oci.h"

namespace sigil::isolation {

// Sends a descriptor with these bytes over the Unix socket at that path.
Result<void> send_descriptor(const std::string& socket_path, int fd, std::string_view bytes);

// To seccomp.listenerPath: the listener and the process's state. `state`: the container's, as JSON.
Result<void> send_listener(const Seccomp& seccomp, std::string_view state, pid_t pid,
                           const Fd& listener);

}  // namespace sigil::isolation
