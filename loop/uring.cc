#include "loop/uring.h"

#include <errno.h>
#include <liburing.h>

#include "core/try.h"

namespace sigil::loop {

Result<std::unique_ptr<UringRing>> UringRing::open(unsigned entries) {
    auto ring = std::make_unique<io_uring>();
    io_uring_params parameters = {};
    parameters.flags =
        IORING_SETUP_CLAMP |
        // One thread hands in: the kernel needs no lock for it (6.0).
        IORING_SETUP_SINGLE_ISSUER |
        // Completions are worked off when we wait, not by interrupting whatever runs (6.1).
        IORING_SETUP_DEFER_TASKRUN;
    int result = io_uring_queue_init_params(entries, ring.get(), &parameters);
    if (result == -EINVAL) {  // a kernel before 6.1
        parameters = {};
        parameters.flags = IORING_SETUP_CLAMP;
        result = io_uring_queue_init_params(entries, ring.get(), &parameters);
    }
    if (result < 0)
        return tl::unexpected(Error::from_errno(-result, "io_uring_setup")
                                  .in("set up io_uring (is it switched off: "
                                      "kernel.io_uring_disabled, or a seccomp filter?)"));
    return std::unique_ptr<UringRing>(new UringRing(std::move(ring)));
}

UringRing::UringRing(std::unique_ptr<io_uring> ring) : ring_(std::move(ring)) {}

UringRing::~UringRing() {
    io_uring_queue_exit(ring_.get());
}

io_uring_sqe* UringRing::next_entry(Token token) {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    if (!entry) {  // the queue is full: hand it in, which empties it
        io_uring_submit(ring_.get());
        times_.clear();
        entry = io_uring_get_sqe(ring_.get());
    }
    *entry = {};
    entry->user_data = token.pack();
    return entry;
}

void UringRing::poll(Token token, int fd, uint32_t events) {
    io_uring_sqe* entry = next_entry(token);
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->poll32_events = events;
}

void UringRing::timer(Token token, Time at) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
    io_uring_sqe* entry = next_entry(token);
    const __kernel_timespec& time =
        times_.emplace_back(__kernel_timespec{seconds.count(), (at - seconds).count()});
    entry->opcode = IORING_OP_TIMEOUT;
    entry->fd = -1;
    entry->addr = reinterpret_cast<uint64_t>(&time);
    entry->len = 1;
    entry->timeout_flags = IORING_TIMEOUT_ABS;
}

void UringRing::cancel(Token token) {
    io_uring_sqe* entry = next_entry(Token{});
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->fd = -1;
    entry->addr = token.pack();
}

Result<void> UringRing::wait(std::vector<Completion>& completions) {
    int result;
    do
        result = io_uring_submit_and_wait(ring_.get(), 1);
    while (result == -EINTR);
    times_.clear();
    // EBUSY: the completion queue has overflowed; reaping it below makes room.
    if (result < 0 && result != -EBUSY && result != -EAGAIN)
        return tl::unexpected(Error::from_errno(-result, "io_uring_enter"));
    unsigned head;
    unsigned count = 0;
    io_uring_cqe* entry;
    io_uring_for_each_cqe(ring_.get(), head, entry) {
        completions.push_back({Token::unpack(entry->user_data), entry->res});
        ++count;
    }
    io_uring_cq_advance(ring_.get(), count);
    return {};
}

}  // namespace sigil::loop
