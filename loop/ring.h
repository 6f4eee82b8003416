// Operations asked for, completions got back: the only thing that waits. The kernel's side is
// io_uring (uring.h); tests have one that they drive by hand.
#pragma once

#include <stdint.h>

#include <chrono>
#include <vector>

#include "core/error.h"
#include "loop/token.h"

namespace sigil::loop {

using Time = std::chrono::nanoseconds;  // of CLOCK_MONOTONIC

class Ring {
  public:
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    virtual ~Ring() = default;

    // Completes once with the events that are there (poll(2)), or -errno.
    virtual void poll(Token token, int fd, uint32_t events) = 0;
    // Completes with -ETIME at that time.
    virtual void timer(Token token, Time at) = 0;
    // Has the operation of that token complete with -ECANCELED, unless it has completed already.
    virtual void cancel(Token token) = 0;

    // Hands in what was asked for, waits for at least one completion, and appends all that are
    // there.
    virtual Result<void> wait(std::vector<Completion>& completions) = 0;
};

}  // namespace sigil::loop
