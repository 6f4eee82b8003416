#include "isolation/cgroup_wait.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// The kernel tells of a change of cgroup.events at most every 10 ms, and may let a cgroup be
// removed a moment after it says that nothing is left in it.
constexpr std::chrono::milliseconds kLongestPause(10);

}  // namespace

Result<bool> wait_for_events(int directory, std::chrono::nanoseconds deadline,
                             const std::function<Result<bool>(std::string_view events)>& is_done) {
    Fd events = TRY(sys::open(directory, "cgroup.events", O_RDONLY), "open cgroup.events");
    for (;;) {
        std::array<char, 256> text;
        TRY(sys::seek(events.get(), 0));
        auto read = sys::read(events.get(), text);  // arms the next POLLPRI
        if (TRY(is_done({text.data(), read.value_or(0)})))
            return true;
        TRY(std::move(read), "read cgroup.events");
        const auto left = deadline - sys::monotonic_now();
        if (left <= left.zero())
            return false;
        const auto pause = std::min<std::chrono::nanoseconds>(left, kLongestPause);
        pollfd changed = {.fd = events.get(), .events = POLLPRI, .revents = 0};
        (void)::poll(&changed, 1,
                     static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(pause).count()));
    }
}

}  // namespace sigil::isolation
