// What containers tell of themselves by sd_notify(3): a socket for each start, read by the ring,
// taken apart, and handed to whoever knows what it means for the run.
//
// A container may send what it likes: at most a few datagrams of each are taken a turn, what is too
// long is dropped, and descriptors that come along are closed, which is all that BARRIER=1 asks for
// (sd_notify_barrier(3)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "core/fd.h"
#include "loop/reactor.h"
#include "loop/slot_table.h"

namespace sigil::loop {

// One datagram, as far as it concerns us. Views are valid until the next one.
struct Notification {
    bool is_ready = false;
    bool is_reloading = false;
    bool is_stopping = false;
    bool is_alive = false;    // WATCHDOG=1
    bool has_failed = false;  // WATCHDOG=trigger
    std::optional<std::string_view> status;
    std::optional<Time> extend;  // EXTEND_TIMEOUT_USEC

    static Notification parse(std::string_view text);
};

class NotifyRelay final : public Handler {
  public:
    class Client {
      public:
        virtual ~Client() = default;
        // Of the start with that tag, which was begun and has not ended yet.
        virtual void notified(uint64_t tag, const Notification& notification) = 0;
    };

    NotifyRelay(Reactor& reactor, Client& client);

    // For a container about to be launched: the mount for it, open until begin() or ended().
    Result<int> open(uint64_t tag);
    // It runs: what it tells is listened to.
    void begin(uint64_t tag);
    // It has ended, or could not be started. What it has told before is handed on first.
    void ended(uint64_t tag);
    void complete(const Completion& completion) override;

  private:
    struct Start {
        uint64_t tag = 0;
        Fd socket;
        Fd mount;
        bool is_begun = false;
        bool is_over = false;
    };
    // True: that was all that is there now.
    bool read(Start& start);
    void listen(Token token, Start& start);

    Reactor& reactor_;
    Client& client_;
    SlotTable<Start> starts_;
    std::unordered_map<uint64_t, Token> by_tag_;
};

}  // namespace sigil::loop
