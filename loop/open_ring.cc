#include "loop/open_ring.h"

#include <errno.h>

#include "core/try.h"
#include "loop/epoll_ring.h"
#include "loop/uring.h"

namespace sigil::loop {
namespace {

bool is_switched_off(const Error& error) {
    return error.is(ENOSYS) || error.is(EPERM) || error.is(EACCES);
}

}  // namespace

Result<std::unique_ptr<Ring>> open_ring(RingChoice choice, unsigned entries) {
    if (choice != RingChoice::epoll) {
        auto uring = UringRing::open(entries);
        if (uring)
            return std::move(*uring);
        if (choice == RingChoice::uring || !is_switched_off(uring.error()))
            return tl::unexpected(std::move(uring).error());
    }
    return TRY(EpollRing::open());
}

}  // namespace sigil::loop
