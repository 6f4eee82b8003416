// Where the output of containers goes: one descriptor, written to through the ring, so that a slow
// reader never blocks the loop. One write is in flight; lines that come meanwhile are gathered for
// the next. What is queued has owners, who are told what became of it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>

#include "loop/reactor.h"

namespace sigil::loop {

class Destination {
  public:
    struct Lost {
        size_t bytes = 0;
        size_t lines = 0;
    };
    class Client {
      public:
        virtual ~Client() = default;
        // So many bytes of the owner's are off the queue, `lost` of them not written.
        virtual void settled(Token owner, size_t bytes, const Lost& lost) = 0;
        // The destination is full, or gone for good.
        virtual void troubled(const Error& error) = 0;
    };

    enum class OnFull : uint8_t {
        go_on,  // what comes once there is room again is written
        end,    // it is gone for good
    };

    // `token` is that of its completions, without operation; `fd` outlives it.
    Destination(Reactor& reactor, Client& client, int fd, Token token, OnFull on_full);

    // Queues a line, given in pieces, its end included; the number of its bytes, 0 once nobody
    // reads.
    size_t add(Token owner, std::initializer_list<std::string_view> pieces);
    // The same without writing it yet: flush() does.
    size_t gather(Token owner, std::initializer_list<std::string_view> pieces);
    void flush();
    // Waits for its reader no longer: what is queued is lost, and what is to come. The number of
    // bytes that were not written; a write in flight may still take some of them.
    size_t abandon();
    void complete(const Completion& completion);

    [[nodiscard]] size_t pending() const { return writing_.size() - written_ + gathered_.size(); }

  private:
    // The bytes of both buffers in their order.
    struct Share {
        Token owner;
        uint32_t bytes;
    };

    void advance(size_t count);
    void lose(int code);
    void give_up(int code);
    void clear();
    void settle(std::string_view text, bool lost);

    Reactor& reactor_;
    Client& client_;
    int fd_;
    Token token_;
    OnFull on_full_;
    std::string writing_;  // the kernel reads it while a write is in flight
    size_t written_ = 0;   // of those
    std::string gathered_;
    std::deque<Share> shares_;
    bool in_flight_ = false;
    bool mid_line_ = false;  // the last byte that was written ended no line
    bool full_ = false;      // the file system is, and it was reported
    bool gone_ = false;
};

}  // namespace sigil::loop
