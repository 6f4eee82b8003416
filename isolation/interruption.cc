#include "isolation/interruption.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "core/process.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr std::array kInterruptions = {SIGTERM, SIGINT};

int milliseconds_until(std::optional<std::chrono::nanoseconds> deadline) {
    if (!deadline)
        return -1;
    constexpr std::chrono::milliseconds kNone(0);
    constexpr std::chrono::milliseconds kLongest(INT_MAX);
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline - sys::monotonic_now());
    return static_cast<int>(std::clamp(left, kNone, kLongest).count());
}

}  // namespace

Result<Fd> hold_interruptions() {
    sys::SignalSet held = 0;
    for (const int signal : kInterruptions)
        if (!sys::is_ignored(signal))
            held |= sys::signal_bit(signal);
    TRY(sys::block_signals(held));
    return TRY(sys::signalfd(held), "open a signalfd");
}

Error interrupted() {
    sigset_t pending;
    ::sigemptyset(&pending);
    (void)::sigpending(&pending);
    for (const int signal : kInterruptions)
        if (::sigismember(&pending, signal) == 1)
            return Error::because("given up at a " + signal_name(signal))
                .exiting(ExitStatus::signaled(signal).exit_code());
    return Error::because("given up at a signal");
}

Result<bool> wait_readable(int fd, int interruption,
                           std::optional<std::chrono::nanoseconds> deadline) {
    for (;;) {
        std::array<pollfd, 2> sources = {
            pollfd{.fd = fd, .events = POLLIN, .revents = 0},
            pollfd{.fd = interruption, .events = POLLIN, .revents = 0}};
        const int ready = ::poll(sources.data(), sources.size(), milliseconds_until(deadline));
        if (ready < 0 && errno != EINTR)
            return tl::unexpected(Error::from_errno(errno, "poll"));
        if (ready <= 0) {
            if (deadline && sys::monotonic_now() >= *deadline)
                return false;
            continue;
        }
        // What has come about already counts: a command that runs gets the signal itself.
        if (sources[0].revents != 0)
            return true;
        return tl::unexpected(interrupted());
    }
}

}  // namespace sigil::isolation
