#include "loop/uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>

#include "core/try.h"

namespace sigil::loop {

Result<std::unique_ptr<UringRing>> UringRing::open(unsigned entries, bool buffer_ring) {
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
    return std::unique_ptr<UringRing>(new UringRing(std::move(ring), buffer_ring));
}

UringRing::UringRing(std::unique_ptr<io_uring> ring, bool buffer_ring)
    : ring_(std::move(ring)), buffer_ring_(buffer_ring) {}

UringRing::~UringRing() {
    buffers_.reset();  // they are registered with the ring
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

io_uring_sqe* UringRing::next_poll(Token token, int fd, uint32_t events) {
    io_uring_sqe* entry = next_entry(token);
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = fd;
    entry->poll32_events = events;
    return entry;
}

void UringRing::poll(Token token, int fd, uint32_t events) {
    next_poll(token, fd, events);
}

void UringRing::poll_on(Token token, int fd, uint32_t events) {
    next_poll(token, fd, events)->len = IORING_POLL_ADD_MULTI;  // Linux 5.13
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

void UringRing::read(Token token, int fd) {
    if (!buffers_)
        buffers_ = std::make_unique<ReadBuffers>(buffer_ring_ ? ring_.get() : nullptr);
    if (!turns_.queue({token, fd}))
        hand_in({token, fd});
}

// A pipe that is empty is waited for by the kernel's own poll, as a pipe supports NOWAIT
// (Linux 6.4, and before where it is O_NONBLOCK): no worker thread sits in a read, no buffer is
// held.
void UringRing::hand_in(const ReadTurns::Read& read) {
    if (!buffers_->shared()) {
        polled_[read.token.pack()] = read.fd;
        poll(read.token, read.fd, POLLIN);
        return;
    }
    io_uring_sqe* entry = next_entry(read.token);
    entry->opcode = IORING_OP_READ;
    entry->fd = read.fd;
    entry->off = UINT64_MAX;  // no offset
    entry->len = ReadBuffers::kSize;
    entry->flags = IOSQE_BUFFER_SELECT;
    entry->buf_group = ReadBuffers::kGroup;
}

void UringRing::hand_in_queued() {
    if (buffers_)
        turns_.hand_in(buffers_->free(), [this](const auto& read) { hand_in(read); });
}

void UringRing::write(Token token, int fd, std::span<const char> bytes) {
    io_uring_sqe* entry = next_entry(token);
    entry->opcode = IORING_OP_WRITE;
    entry->fd = fd;
    entry->off = UINT64_MAX;  // where the file stands
    entry->addr = reinterpret_cast<uint64_t>(bytes.data());
    entry->len = static_cast<uint32_t>(bytes.size());
}

void UringRing::cancel(Token token) {
    if (turns_.cancel(token)) {  // the kernel doesn't know of it yet
        made_.push_back({token, -ECANCELED});
        made_.push_back({Token{}, 0});
        return;
    }
    io_uring_sqe* entry = next_entry(Token{});
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->fd = -1;
    entry->addr = token.pack();
}

Result<void> UringRing::wait(std::vector<Completion>& completions) {
    const size_t before = completions.size();
    do {
        hand_in_queued();
        completions.insert(completions.end(), made_.begin(), made_.end());
        made_.clear();
        // Reads that were handed in may have taken no buffer: then the next of the queue are due.
        const bool more_due = turns_.are_waited_for() && buffers_->free() > 0;
        TRY(enter(completions.size() == before && !more_due));
        reap(completions);
    } while (completions.size() == before);
    return {};
}

Result<void> UringRing::enter(bool block) {
    int result;
    do
        result = !block                  ? io_uring_submit_and_get_events(ring_.get())
                 : light_sleep_.is_due() ? submit_and_sleep()
                                         : io_uring_submit_and_wait(ring_.get(), 1);
    while (result == -EINTR);
    times_.clear();
    // EBUSY: the completion queue has overflowed; reaping it makes room.
    if (result < 0 && result != -EBUSY && result != -EAGAIN)
        return tl::unexpected(Error::from_errno(-result, "io_uring_enter"));
    return {};
}

int UringRing::submit_and_sleep() {
    const int submitted = io_uring_submit(ring_.get());
    if (submitted < 0 || io_uring_sq_ready(ring_.get()) > 0)  // not all: it is tried again first
        return submitted;
    return static_cast<int>(light_sleep_.enter(__NR_io_uring_enter, ring_->enter_ring_fd, 0, 1,
                                               IORING_ENTER_GETEVENTS, 0, _NSIG / 8));
}

void UringRing::reap(std::vector<Completion>& completions) {
    unsigned head;
    unsigned count = 0;
    io_uring_cqe* entry;
    io_uring_for_each_cqe(ring_.get(), head, entry) {
        completions.push_back(complete(*entry));
        ++count;
    }
    io_uring_cq_advance(ring_.get(), count);
}

Completion UringRing::complete(const io_uring_cqe& entry) {
    Completion completion = {Token::unpack(entry.user_data), entry.res};
    completion.more = entry.flags & IORING_CQE_F_MORE;
    if (entry.flags & IORING_CQE_F_BUFFER) {
        completion.buffer = static_cast<uint16_t>(entry.flags >> IORING_CQE_BUFFER_SHIFT);
        buffers_->taken();
    } else if (!polled_.empty() && polled_.contains(entry.user_data)) {
        completion = read_polled(completion.token, entry.res);
    }
    if (completion.result == -ENOBUFS)
        turns_.refused();
    return completion;
}

// Without a buffer ring, a read is a poll, and this.
Completion UringRing::read_polled(Token token, int32_t events) {
    const int fd = polled_.extract(token.pack()).mapped();
    if (events < 0)
        return {token, events};
    return buffers_->read(token, fd);
}

std::string_view UringRing::data(const Completion& completion) const {
    return buffers_->data(completion);
}

void UringRing::give_back(const Completion& completion) {
    buffers_->give_back(completion);
}

}  // namespace sigil::loop
