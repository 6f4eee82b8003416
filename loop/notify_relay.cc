#include "loop/notify_relay.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "core/datagram.h"
#include "core/parse.h"
#include "core/try.h"
#include "isolation/notify_socket.h"

namespace sigil::loop {
namespace {

constexpr size_t kLongest = 4096;  // of a datagram, as systemd has it
constexpr int kMostInATurn = 16;

}  // namespace

Notification Notification::parse(std::string_view text) {
    Notification parsed;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            continue;
        const std::string_view key = line.substr(0, equals);
        const std::string_view value = line.substr(equals + 1);
        if (key == "READY")
            parsed.is_ready = value == "1";
        else if (key == "RELOADING")
            parsed.is_reloading = value == "1";
        else if (key == "STOPPING")
            parsed.is_stopping = value == "1";
        else if (key == "WATCHDOG")
            (value == "trigger" ? parsed.has_failed : parsed.is_alive) = true;
        else if (key == "STATUS")
            parsed.status = value;
        else if (key == "EXTEND_TIMEOUT_USEC")
            if (auto time = parse_number(value, INT64_MAX / 1000))
                parsed.extend = std::chrono::microseconds(*time);
    }
    return parsed;
}

NotifyRelay::NotifyRelay(Reactor& reactor, Client& client) : reactor_(reactor), client_(client) {
    reactor.attach(Source::relay, *this);
}

Result<int> NotifyRelay::open(uint64_t tag) {
    auto made = TRY(isolation::NotifySocket::open());
    const Token token = starts_.emplace(Source::relay);
    Start& start = *starts_.find(token);
    start.tag = tag;
    start.socket = std::move(made.socket);
    start.mount = std::move(made.mount);
    by_tag_[tag] = token;
    return start.mount.get();
}

void NotifyRelay::begin(uint64_t tag) {
    const Token token = by_tag_.at(tag);
    Start& start = *starts_.find(token);
    start.mount.reset();
    start.is_begun = true;
    listen(token, start);
}

void NotifyRelay::listen(Token token, Start& start) {
    starts_.launched(token);
    reactor_.ring().poll(token.with(Operation::readable), start.socket.get(), POLLIN);
}

void NotifyRelay::ended(uint64_t tag) {
    const auto found = by_tag_.extract(tag);
    if (!found)
        return;
    const Token token = found.mapped();
    Start& start = *starts_.find(token);
    if (start.is_begun) {
        // As much as its queue holds (net.unix.max_dgram_qlen); nobody fills it any more.
        for (int turn = 0; turn < kMostInATurn && !read(start); ++turn) {
        }
        reactor_.ring().cancel(token.with(Operation::readable));
    }
    start.is_over = true;
    starts_.retire(token);
}

bool NotifyRelay::read(Start& start) {
    std::array<char, kLongest> bytes;
    for (int count = 0; count < kMostInATurn; ++count) {
        auto datagram = receive_datagram(start.socket.get(), bytes);
        if (!datagram)
            return true;
        // Descriptors are closed with the datagram, once what it says was heeded.
        if (!datagram->is_cut && datagram->sender > 0)
            client_.notified(start.tag, Notification::parse(datagram->text));
    }
    return false;
}

void NotifyRelay::complete(const Completion& completion) {
    const Token token = completion.token.with(Operation::none);
    Start* start = starts_.find(token);
    if (!start)
        return;
    if (!start->is_over && completion.result >= 0) {
        (void)read(*start);
        if (!start->is_over)
            listen(token, *start);
    }
    starts_.landed(token);  // last: it may free the start
}

}  // namespace sigil::loop
