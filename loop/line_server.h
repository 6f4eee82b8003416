// Those who connect to a socket of sigil's and talk to it in lines: the control socket, and the
// metrics'. Served by the ring, within bounds: so many peers, a request line so long, so much that
// a peer has not taken yet. A slow peer waits for nobody and is waited for by nobody: beyond its
// bound it is dropped.
//
//     listening ─ poll ─▶ accept ─▶ peer ─ poll ─▶ line ─▶ Client::request
//                                     ◀─ turn's end: what was queued is sent ─ send()
//
// While nobody is connected it is one poll.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "loop/reactor.h"
#include "loop/slot_table.h"

namespace sigil::loop {

struct LineServerOptions {
    bool only_own_user = false;  // a Unix socket's peers must be root, or who we are
    size_t most_peers = 32;
    size_t longest_line = 4096;            // of what a peer sends, its end left out
    size_t most_queued = size_t{1} << 20;  // bytes for a peer
    std::string refusal;                   // is sent to a peer too many, or one who may not
};

class LineServer final : public Handler, public TurnEnd {
  public:
    class Client {
      public:
        virtual ~Client() = default;
        // A line without its end ("\n" or "\r\n").
        virtual void request(Token peer, std::string_view line) = 0;
        // A line that is longer than it may be. The peer is to be closed.
        virtual void overlong(Token peer) = 0;
        // Everything that was queued is with the kernel: there is room for more, which is sent at
        // once, unless it has been much in this turn.
        virtual void flushed(Token peer) = 0;
        // It is gone, whoever left.
        virtual void left(Token peer) = 0;
    };

    LineServer(Reactor& reactor, Client& client, Source source, LineServerOptions options);

    // From now on. The reactor has its ring.
    void listen(Fd socket);
    // Queues text for a peer.
    void send(Token peer, std::string_view text);
    // Heeds it no longer, and lets it go once it has all that is queued.
    void close(Token peer);
    // The end of all: what can be sent at once is.
    void shut();
    [[nodiscard]] size_t peers() const { return peers_.size(); }

    void turn_ended() override;
    void complete(const Completion& completion) override;

  private:
    struct Peer {
        Fd socket;
        Token token;
        std::string in;
        std::string out;
        size_t sent = 0;  // of `out`
        bool is_due = false;
        bool is_waiting = false;  // for room: a poll is in flight
        bool is_at_end = false;   // it sends no more
        bool is_closing = false;
        bool is_gone = false;
    };

    void accept();
    Result<void> take(Fd socket);
    void listen_on();
    void read(Peer& peer);
    void take_lines(Peer& peer);
    void arm(Peer& peer);
    void mark(Peer& peer);
    void send_due();
    bool flush(Peer& peer);
    void drop(Peer& peer);

    Reactor& reactor_;
    Client& client_;
    Source source_;
    LineServerOptions options_;
    Fd socket_;
    SlotTable<Peer> peers_;
    std::vector<Token> due_;
    bool is_yielding_ = false;
};

}  // namespace sigil::loop
