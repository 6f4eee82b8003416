// Operations asked for, completions got back: the only thing that waits. The kernel's side is
// io_uring (uring.h), or where that is not to be had, epoll (epoll_ring.h); open_ring.h chooses.
// Tests have one that they drive by hand.
#pragma once

#include <stdint.h>

#include <chrono>
#include <span>
#include <string_view>
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

    // Completes once with the events that are there (poll(2)), or -errno. `fd` is open until then.
    virtual void poll(Token token, int fd, uint32_t events) = 0;
    // Completes as poll() does, and while `more` is set again each time that the descriptor is
    // woken anew: not for what was left unread. A ring that knows no such thing polls.
    virtual void poll_on(Token token, int fd, uint32_t events) { poll(token, fd, events); }
    // Completes with -ETIME at that time.
    virtual void timer(Token token, Time at) = 0;
    // Completes with how many bytes came, 0 at the end, or -errno; they are in a buffer of the
    // ring's, which is taken only when there are bytes: what waits costs none. -ENOBUFS: every
    // buffer was taken; ask again, and it waits its turn. `fd` is a pipe, open until then.
    virtual void read(Token token, int fd) = 0;
    // Completes with how many bytes were taken, fewer than all perhaps, or -errno. The bytes stay
    // where they are until then.
    virtual void write(Token token, int fd, std::span<const char> bytes) = 0;
    // Lets go of these pages when the loop next waits, as LightSleep has it. Completes nothing.
    virtual void drop(std::span<const char> pages) = 0;
    // Has the operation of that token complete with -ECANCELED, unless it has completed already.
    virtual void cancel(Token token) = 0;

    // Hands in what was asked for, waits for at least one completion, and appends all that are
    // there.
    virtual Result<void> wait(std::vector<Completion>& completions) = 0;

    // The bytes of a read, valid until they are given back: by the reactor, when the handler
    // returns.
    [[nodiscard]] virtual std::string_view data(const Completion& completion) const = 0;
    virtual void give_back(const Completion& completion) = 0;

    // What it is built on, for the user.
    [[nodiscard]] virtual const char* name() const = 0;
};

}  // namespace sigil::loop
