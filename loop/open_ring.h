// Which ring a run turns on.
#pragma once

#include <stdint.h>

#include <memory>

#include "loop/ring.h"

namespace sigil::loop {

enum class RingChoice : uint8_t {
    automatic,  // io_uring; epoll where the host doesn't let us have that
    uring,
    epoll,
};

// `entries`: how many operations io_uring takes at a time, at least. Automatic takes epoll only
// where io_uring_setup(2) fails with ENOSYS (no such system call), EPERM (kernel.io_uring_disabled,
// seccomp) or EACCES (a security module); any other failure is one.
Result<std::unique_ptr<Ring>> open_ring(RingChoice choice, unsigned entries);

}  // namespace sigil::loop
