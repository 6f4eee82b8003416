// SIGTERM and SIGINT to who launches, while the container is not there yet to be sent them: they
// are held back, and whatever the launch waits for (a hook, the stage, systemd) is given up when
// one has come.
//
// Whoever launches owns the descriptor; everything below is handed its number, -1 for none.
#pragma once

#include <chrono>
#include <optional>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

// From now on both signals wait; one that is ignored (as SIGINT is in a shell's background) stays
// so. The descriptor becomes readable when one has come, and stays it: it is never read.
Result<Fd> hold_interruptions();

// Of an interruption that has come: its name, and the exit code that a shell has for it.
Error interrupted();

// Waits until `fd` is readable. False: the deadline (of CLOCK_MONOTONIC) came first. An error: an
// interruption did, and `fd` is not readable.
Result<bool> wait_readable(int fd, int interruption,
                           std::optional<std::chrono::nanoseconds> deadline = {});

}  // namespace sigil::isolation
