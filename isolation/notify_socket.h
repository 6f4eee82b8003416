// The socket through which a container tells that it is ready (sd_notify(3)), on a filesystem of
// its own that is never mounted on the host: what becomes of it is the kernel's to clean up,
// however the supervisor ends.
//
//     tmpfs (detached) ── "notify", bound by the supervisor ── moved to the container's /dev/sigil
#pragma once

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

inline constexpr const char* kNotifyMountInside = "/dev/sigil";
inline constexpr const char* kNotifySocketInside = "/dev/sigil/notify";

struct NotifySocket {
    Fd socket;  // the supervisor reads it
    Fd mount;   // read-only; for the launch

    static Result<NotifySocket> open();
};

}  // namespace sigil::isolation
