#include "loop/epoll_ring.h"

#include <asm/unistd.h>
#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/try.h"
#include "loop/write_now.h"

namespace sigil::loop {
namespace {

// epoll's events are poll(2)'s, as the completion of a poll tells them.
static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI);
static_assert(EPOLLERR == POLLERR && EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP);
constexpr uint32_t kAlwaysTold = EPOLLERR | EPOLLHUP;
// What poll(2) says of a file that has no poll of its own (the kernel's DEFAULT_POLLMASK).
constexpr uint32_t kWithoutPoll = EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;

constexpr uint64_t pack(int fd, uint32_t generation) {
    return uint64_t{generation} << 32 | static_cast<uint32_t>(fd);
}

}  // namespace

Result<std::unique_ptr<EpollRing>> EpollRing::open() {
    Fd epoll = TRY(sys::epoll_create(), "set up epoll");
    return std::unique_ptr<EpollRing>(new EpollRing(std::move(epoll)));
}

// ---- what is asked for --------------------------------------------------------------------------

void EpollRing::poll(Token token, int fd, uint32_t events) {
    watch(token, {.kind = Kind::poll, .fd = fd, .events = events});
}

void EpollRing::timer(Token token, Time at) {
    asked_.insert_or_assign(token.pack(), Asked{.kind = Kind::timer, .at = at});
    timers_.emplace(at, token.pack());
}

void EpollRing::read(Token token, int fd) {
    if (!buffers_)
        buffers_.emplace(nullptr);
    if (!turns_.queue({token, fd}))
        watch(token, {.kind = Kind::read, .fd = fd, .events = EPOLLIN});
}

void EpollRing::write(Token token, int fd, std::span<const char> bytes) {
    const std::string_view text(bytes.data(), bytes.size());
    if (!complete_write(token.pack(), write_now(fd, text, false)))
        watch(token, {.kind = Kind::write, .fd = fd, .events = EPOLLOUT, .bytes = text});
}

void EpollRing::cancel(Token token) {
    const Key key = token.pack();
    auto found = asked_.find(key);
    if (found == asked_.end() && !turns_.cancel(token)) {
        made_.push_back({Token{}, -ENOENT});
        return;
    }
    if (found != asked_.end() && found->second.kind == Kind::timer)
        timers_.erase({found->second.at, key});
    else if (found != asked_.end())
        unwatch(found->second.fd, key);
    complete(key, -ECANCELED);
    made_.push_back({Token{}, 0});
}

// ---- descriptors --------------------------------------------------------------------------------

void EpollRing::watch(Token token, const Asked& asked) {
    const Key key = token.pack();
    asked_.insert_or_assign(key, asked);
    auto [at, is_new] = watched_.try_emplace(asked.fd);
    Watch& watch = at->second;
    watch.keys.push_back(key);
    if (is_new)
        watch.generation = ++generation_;
    auto armed = arm(asked.fd, watch, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    if (!armed && armed.error().is(ENOENT)) {
        // The number was closed, and is another file's by now: not what those before wait for.
        watch.keys.pop_back();
        for (Key before : std::exchange(watch.keys, {key}))
            complete(before, -EBADF);
        watch.generation = ++generation_;
        armed = arm(asked.fd, watch, EPOLL_CTL_ADD);
    }
    if (!armed && armed.error().is(EEXIST))  // of before it was closed, as the file is open still
        armed = arm(asked.fd, watch, EPOLL_CTL_MOD);
    if (!armed)
        give_up(at, armed.error().code());
}

// One event, and then none until it is armed again: a registration that outlives its descriptor,
// as the file is open elsewhere, falls silent (epoll(7), "Will closing a file descriptor ...").
Result<void> EpollRing::arm(int fd, const Watch& watch, int operation) {
    uint32_t events = EPOLLONESHOT;
    for (Key key : watch.keys)
        events |= asked_.at(key).events;
    return sys::epoll_control(epoll_.get(), operation, fd, events, pack(fd, watch.generation));
}

void EpollRing::give_up(Watches::iterator at, int code) {
    const Watch watch = std::move(at->second);
    watched_.erase(at);
    for (Key key : watch.keys)
        if (code == EPERM)
            complete_unwatched(key);
        else
            complete(key, -code);
}

void EpollRing::unwatch(int fd, Key key) {
    auto found = watched_.find(fd);
    if (found == watched_.end())
        return;
    std::erase(found->second.keys, key);
    if (!found->second.keys.empty())
        return;  // an event too many will complete nothing
    (void)sys::epoll_control(epoll_.get(), EPOLL_CTL_DEL, fd, 0, 0);
    watched_.erase(found);
}

// ---- what has happened --------------------------------------------------------------------------

Result<void> EpollRing::wait(std::vector<Completion>& completions) {
    std::array<epoll_event, 256> events;
    do {
        if (buffers_)
            turns_.hand_in(buffers_->free(), [this](const ReadTurns::Read& read) {
                watch(read.token, {.kind = Kind::read, .fd = read.fd, .events = EPOLLIN});
            });
        // Reads that were handed in may take no buffer: then the next of the queue are due.
        const bool more_due = turns_.are_waited_for() && buffers_->free() > 0;
        const auto timeout = made_.empty() && !more_due ? time_left() : Time::zero();
        const size_t count = light_sleep_.is_due() && timeout != Time::zero()
                                 ? sleep_lightly(events, timeout)
                                 : TRY(sys::epoll_wait(epoll_.get(), events, timeout));
        for (const epoll_event& event : std::span(events).first(count))
            on_event(static_cast<int>(event.data.u64 & UINT32_MAX),
                     static_cast<uint32_t>(event.data.u64 >> 32), event.events);
        expire_timers();
    } while (made_.empty());
    completions.insert(completions.end(), made_.begin(), made_.end());
    made_.clear();
    return {};
}

// What goes wrong here goes wrong in the next wait, and is told there.
size_t EpollRing::sleep_lightly(std::span<epoll_event> events, std::optional<Time> timeout) {
    const timespec time = sys::timespec_of(timeout.value_or(Time::zero()));
    const long count =
        light_sleep_.enter(__NR_epoll_pwait2, epoll_.get(), raw::word(events.data()),
                           raw::word(events.size()), raw::word(timeout ? &time : nullptr), 0, 0);
    return count < 0 ? 0 : static_cast<size_t>(count);
}

void EpollRing::on_event(int fd, uint32_t generation, uint32_t events) {
    auto found = watched_.find(fd);
    if (found == watched_.end() || found->second.generation != generation)
        return;
    Watch& watch = found->second;
    std::erase_if(watch.keys, [&](Key key) { return try_complete(key, events); });
    if (watch.keys.empty()) {
        (void)sys::epoll_control(epoll_.get(), EPOLL_CTL_DEL, fd, 0, 0);
        watched_.erase(found);
        return;
    }
    if (auto armed = arm(fd, watch, EPOLL_CTL_MOD); !armed)
        give_up(found, armed.error().code());
}

// False: it has to wait on.
bool EpollRing::try_complete(Key key, uint32_t events) {
    const Asked& asked = asked_.at(key);
    const uint32_t told = events & (asked.events | kAlwaysTold);
    if (told == 0)
        return false;
    switch (asked.kind) {
        case Kind::poll:
            complete(key, static_cast<int32_t>(told));
            return true;
        case Kind::read:
            complete_read(key, asked.fd);
            return true;
        case Kind::write:
            return complete_write(key, write_now(asked.fd, asked.bytes, true));
        case Kind::timer:
            break;
    }
    return false;
}

// The same for a file that can't be waited for; what it never tells is EINVAL, as by io_uring.
void EpollRing::complete_unwatched(Key key) {
    const Asked& asked = asked_.at(key);
    if (asked.kind == Kind::write)
        complete_write(key, sys::write(asked.fd, asked.bytes));
    else if (!try_complete(key, kWithoutPoll))
        complete(key, -EINVAL);
}

void EpollRing::complete_read(Key key, int fd) {
    asked_.erase(key);
    made_.push_back(buffers_->read(Token::unpack(key), fd));
    if (made_.back().result == -ENOBUFS)
        turns_.refused();
}

bool EpollRing::complete_write(Key key, const Result<size_t>& taken) {
    if (!taken && taken.error().is(EAGAIN))
        return false;
    complete(key, taken ? static_cast<int32_t>(*taken) : -taken.error().code());
    return true;
}

void EpollRing::complete(Key key, int32_t result) {
    asked_.erase(key);
    made_.push_back({Token::unpack(key), result});
}

void EpollRing::expire_timers() {
    if (timers_.empty())
        return;
    for (const Time now = sys::monotonic_now();
         !timers_.empty() && timers_.begin()->first <= now;) {
        const Key key = timers_.begin()->second;
        timers_.erase(timers_.begin());
        complete(key, -ETIME);
    }
}

std::optional<Time> EpollRing::time_left() const {
    if (timers_.empty())
        return std::nullopt;
    return std::max(timers_.begin()->first - sys::monotonic_now(), Time::zero());
}

// ---- buffers ------------------------------------------------------------------------------------

std::string_view EpollRing::data(const Completion& completion) const {
    return buffers_->data(completion);
}

void EpollRing::give_back(const Completion& completion) {
    buffers_->give_back(completion);
}

}  // namespace sigil::loop
