#include "loop/notifier.h"

#include <errno.h>
#include <poll.h>

#include "core/datagram.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

constexpr Token kWritable = {Source::notifier, Operation::writable};
constexpr Token kStatus = {Source::notifier, Operation::restart};
constexpr Token kBeat = {Source::notifier, Operation::timed_out};
constexpr auto kBetweenStatuses = std::chrono::seconds(1);
// More than a manager that lives ever leaves lying. What comes then is lost.
constexpr size_t kMostQueued = 256;

}  // namespace

Result<std::unique_ptr<Notifier>> Notifier::open(std::string_view address) {
    Fd socket = TRY(connect_datagram(address));
    return std::unique_ptr<Notifier>(new Notifier(std::string(address), std::move(socket)));
}

void Notifier::attach(Reactor& reactor) {
    reactor_ = &reactor;
    reactor.attach(Source::notifier, *this);
    flush();
}

void Notifier::tell(std::string message) {
    if (queue_.size() >= kMostQueued)
        return;
    queue_.push_back(std::move(message));
    flush();
}

// A manager that has bound its socket anew is found again; one that is gone is told nothing.
Result<void> Notifier::send(const std::string& message) {
    auto sent = send_datagram(socket_.get(), message);
    if (sent || sent.error().is(EAGAIN))
        return sent;
    socket_ = TRY(connect_datagram(address_));
    return send_datagram(socket_.get(), message);
}

void Notifier::flush() {
    if (awaits_room_)  // the socket is polled, and stays what it is until then
        return;
    while (!queue_.empty()) {
        auto sent = send(queue_.front());
        if (!sent && sent.error().is(EAGAIN))
            break;
        queue_.pop_front();
    }
    if (queue_.empty() || !reactor_)
        return;
    awaits_room_ = true;
    reactor_->ring().poll(kWritable, socket_.get(), POLLOUT);
}

void Notifier::set_status(std::string status) {
    status_ = std::move(status);
    if (awaits_status_ || status_ == told_status_)
        return;
    const Time now = sys::monotonic_now();
    if (now - status_told_at_ >= kBetweenStatuses)
        return tell_status();
    if (!reactor_)
        return;
    awaits_status_ = true;
    reactor_->ring().timer(kStatus, status_told_at_ + kBetweenStatuses);
}

void Notifier::tell_with_status(std::string message) {
    if (status_ == told_status_)
        return tell(std::move(message));
    status_told_at_ = sys::monotonic_now();
    told_status_ = status_;
    tell("STATUS=" + status_ + (message.empty() ? "" : "\n" + message));
}

void Notifier::tell_status() {
    tell_with_status({});
}

void Notifier::keep_alive(Time period, std::function<bool()> is_alive) {
    period_ = period;
    is_alive_ = std::move(is_alive);
    beat();
}

void Notifier::beat() {
    // One that is still queued says the same.
    if (is_alive_() && queue_.empty())
        tell("WATCHDOG=1");
    reactor_->ring().timer(kBeat, sys::monotonic_now() + period_);
}

void Notifier::complete(const Completion& completion) {
    switch (completion.token.operation) {
        case Operation::writable:
            awaits_room_ = false;
            flush();
            break;
        case Operation::restart:
            awaits_status_ = false;
            if (status_ != told_status_)
                tell_status();
            break;
        case Operation::timed_out:
            beat();
            break;
        default:
            break;
    }
}

}  // namespace sigil::loop
