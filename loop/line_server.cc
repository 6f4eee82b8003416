#include "loop/line_server.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/stream_socket.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

constexpr int kMostInATurn = 16;
constexpr int kRounds = 4;
constexpr size_t kRead = 4096;
constexpr size_t kKept = size_t{16} * 1024;
// Without descriptors left, connections wait so long.
constexpr Time kPause = std::chrono::seconds(1);

}  // namespace

LineServer::LineServer(Reactor& reactor, Client& client, Source source, LineServerOptions options)
    : reactor_(reactor), client_(client), source_(source), options_(std::move(options)) {
    reactor.attach(source, *this);
    reactor.attach(*this);
}

void LineServer::listen(Fd socket) {
    socket_ = std::move(socket);
    listen_on();
}

void LineServer::listen_on() {
    reactor_.ring().poll({source_, Operation::connection}, socket_.get(), POLLIN);
}

void LineServer::complete(const Completion& completion) {
    const Operation operation = completion.token.operation;
    if (operation == Operation::connection)
        return completion.result == -ECANCELED ? void() : accept();
    if (operation == Operation::timed_out)
        return listen_on();
    if (operation == Operation::restart) {
        is_yielding_ = false;  // the turn's end follows
        return;
    }
    const Token token = completion.token.with(Operation::none);
    Peer* peer = peers_.find(token);
    if (!peer)
        return;
    if (operation == Operation::writable)
        peer->is_waiting = false;
    if (!peer->is_gone && completion.result != -ECANCELED) {
        if (operation == Operation::writable)
            mark(*peer);
        else if (completion.result < 0 || (completion.result & (POLLERR | POLLHUP)) != 0)
            drop(*peer);
        else
            read(*peer);
    }
    peers_.landed(token);  // last: it may free the peer
}

// ---- connections --------------------------------------------------------------------------------

void LineServer::accept() {
    for (int count = 0; count < kMostInATurn; ++count) {
        auto accepted = accept_connection(socket_.get());
        if (!accepted && (accepted.error().is(EMFILE) || accepted.error().is(ENFILE) ||
                          accepted.error().is(ENOMEM) || accepted.error().is(ENOBUFS)))
            return reactor_.ring().timer({source_, Operation::timed_out},
                                         sys::monotonic_now() + kPause);
        if (!accepted && accepted.error().is(EAGAIN))
            break;
        if (accepted)
            (void)take(std::move(*accepted));  // else one that has gone already
    }
    listen_on();
}

Result<void> LineServer::take(Fd socket) {
    bool is_welcome = peers_.size() < options_.most_peers;
    if (options_.only_own_user) {
        const uid_t uid = TRY(peer_uid(socket.get()));
        is_welcome = is_welcome && (uid == 0 || uid == ::geteuid());
    }
    if (!is_welcome) {
        (void)sys::send_nowait(socket.get(), options_.refusal);
        return {};
    }
    const Token token = peers_.emplace(source_);
    Peer& peer = *peers_.find(token);
    peer.token = token;
    peer.socket = std::move(socket);
    arm(peer);
    return {};
}

// ---- what they say ------------------------------------------------------------------------------

// One that sends no more may still read: no event is asked for then but its going (poll(2)).
void LineServer::arm(Peer& peer) {
    peers_.launched(peer.token);
    reactor_.ring().poll(peer.token.with(Operation::readable), peer.socket.get(),
                         peer.is_at_end || peer.is_closing ? 0 : POLLIN);
}

void LineServer::read(Peer& peer) {
    std::array<char, kRead> bytes;
    auto count = receive(peer.socket.get(), bytes);
    if (!count && !count.error().is(EAGAIN) && !count.error().is(EINTR))
        return drop(peer);
    if (count && *count == 0)
        peer.is_at_end = true;
    else if (count && !peer.is_closing)
        peer.in.append(bytes.data(), *count);
    take_lines(peer);
    if (!peer.is_gone)
        arm(peer);
}

void LineServer::take_lines(Peer& peer) {
    size_t begin = 0;
    while (!peer.is_closing && !peer.is_gone) {
        const size_t end = peer.in.find('\n', begin);
        if (std::min(end, peer.in.size()) - begin > options_.longest_line) {
            client_.overlong(peer.token);
            break;
        }
        if (end == std::string::npos)
            break;
        std::string_view line = std::string_view(peer.in).substr(begin, end - begin);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        client_.request(peer.token, line);
        begin = end + 1;
    }
    if (!peer.is_gone)
        peer.in.erase(0, begin);
}

// ---- what they are told -------------------------------------------------------------------------

void LineServer::send(Token token, std::string_view text) {
    Peer* peer = peers_.find(token);
    if (!peer || peer->is_gone || peer->is_closing)
        return;
    peer->out += text;
    if (peer->out.size() - peer->sent > options_.most_queued / 2 && !peer->is_waiting)
        (void)flush(*peer);
    if (!peer->is_gone && peer->out.size() - peer->sent > options_.most_queued)
        return drop(*peer);
    mark(*peer);
}

void LineServer::mark(Peer& peer) {
    if (!peer.is_waiting && !peer.is_gone && !std::exchange(peer.is_due, true))
        due_.push_back(peer.token);
}

void LineServer::close(Token token) {
    if (Peer* peer = peers_.find(token); peer && !peer->is_gone) {
        peer->is_closing = true;
        mark(*peer);
    }
}

// Others have their turn between the parts of a long answer.
void LineServer::turn_ended() {
    for (int round = 0; round < kRounds && !due_.empty(); ++round)
        send_due();
    if (!due_.empty() && !std::exchange(is_yielding_, true))
        reactor_.ring().timer({source_, Operation::restart}, sys::monotonic_now());
}

void LineServer::send_due() {
    for (const Token token : std::exchange(due_, {})) {
        Peer* peer = peers_.find(token);
        if (!peer)
            continue;
        peer->is_due = false;
        if (peer->is_gone || peer->is_waiting || !flush(*peer))
            continue;
        if (peer->is_closing)
            drop(*peer);
        else
            client_.flushed(token);
    }
}

// True: all is with the kernel.
bool LineServer::flush(Peer& peer) {
    while (peer.sent < peer.out.size()) {
        auto taken =
            sys::send_nowait(peer.socket.get(), std::string_view(peer.out).substr(peer.sent));
        if (!taken && taken.error().is(EAGAIN)) {
            peer.out.erase(0, std::exchange(peer.sent, 0));
            peer.is_waiting = true;
            peers_.launched(peer.token);
            reactor_.ring().poll(peer.token.with(Operation::writable), peer.socket.get(), POLLOUT);
            return false;
        }
        if (!taken && !taken.error().is(EINTR)) {
            drop(peer);
            return false;
        }
        peer.sent += taken.value_or(0);
    }
    peer.out.clear();
    peer.sent = 0;
    if (peer.out.capacity() > kKept)
        peer.out.shrink_to_fit();
    return true;
}

// Its descriptor stays open until no poll of it is in flight.
void LineServer::drop(Peer& peer) {
    if (std::exchange(peer.is_gone, true))
        return;
    ::shutdown(peer.socket.get(), SHUT_RDWR);
    reactor_.ring().cancel(peer.token.with(Operation::readable));
    if (peer.is_waiting)
        reactor_.ring().cancel(peer.token.with(Operation::writable));
    peer.out = {};
    peer.sent = 0;
    client_.left(peer.token);
    peers_.retire(peer.token);
}

void LineServer::shut() {
    peers_.for_each([this](Peer& peer) { (void)flush(peer); });
    // A ring that waits for connections is taken down some time after its process's end: whoever
    // comes next wants the port at once.
    if (socket_)
        ::shutdown(socket_.get(), SHUT_RDWR);
    socket_.reset();
}

}  // namespace sigil::loop
