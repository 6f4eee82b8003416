// What containers write, kept in files of a limited size: DIR/ID.log is written to, ID.log.1 was
// before it, and so on to the oldest. Written through the ring, so that a slow disk never blocks
// the loop; one write of each file is in flight, and what comes meanwhile is gathered for the next.
//
//     add ─▶ gathered ─ turn's end ─▶ writing ─▶ ID.log ─ no room for a line more ─▶ ID.log.1
//
// A file ends with a whole line, unless that is longer than 16 KiB beyond the limit. What cannot be
// written (a full disk, a failing one) is lost and counted, up to the end of its line; a line of
// sigil's own tells where, once there is room again.
#pragma once

#include <stdint.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "loop/destination.h"
#include "loop/reactor.h"

namespace sigil::loop {

struct LogLimits {
    uint64_t size = 0;   // bytes of each file
    unsigned files = 1;  // in all, the one that is written to among them
};

// "web.log", "web.log.1", ...; 0: the one that is written to.
std::string log_name(std::string_view id, unsigned number);

class RotatedLogs final : public Handler, public TurnEnd {
  public:
    class Client {
      public:
        virtual ~Client() = default;
        // So many bytes of the owner's are off the queue, `lost` of them not written.
        virtual void log_written(Token owner, size_t bytes, const Destination::Lost& lost) = 0;
        // Something could not be written. Told once in a run.
        virtual void log_troubled(const Error& error) = 0;
    };

    // `directory` outlives it.
    RotatedLogs(Reactor& reactor, Client& client, int directory, LogLimits limits);

    // The log of a container, by the id of its output, goes on where it ended before.
    Result<void> open(Token owner, const std::string& name);
    // Takes what it has written. Returns how many bytes are queued.
    size_t add(Token owner, std::string_view bytes);
    // Nothing of it is queued, and nothing comes any more.
    void close(Token owner);

    void turn_ended() override;
    void complete(const Completion& completion) override;

  private:
    struct Batch {
        std::string writing;  // the kernel reads it while a write is in flight
        size_t written = 0;   // of those
        size_t own = 0;       // of what is not written, the first so many bytes are sigil's
        std::string gathered;
    };
    struct Log {
        std::string name;
        uint32_t generation = 0;
        Fd file;
        uint64_t size = 0;
        uint64_t gap = 0;              // bytes lost that no line has told of
        std::unique_ptr<Batch> batch;  // null: nothing is queued
        bool in_flight = false;
        bool is_due = false;        // to be written at the turn's end
        bool is_line_start = true;  // the last byte that was written ended a line
        bool skips = false;         // to the end of a line whose begin was lost
        bool has_no_file = false;   // it was renamed, and the next could not be opened
    };

    Log* find(Token owner);
    bool step(Token owner);
    bool refill(Log& log) const;
    bool skip(Token owner, Log& log);
    static void tell_gap(Log& log);
    [[nodiscard]] size_t fitting(const Log& log, std::string_view text) const;
    bool rotate(Log& log);
    Result<void> try_rotate(Log& log) const;
    Result<void> open_file(Log& log) const;
    void advance(Token owner, Log& log, size_t count);
    void lose(Token owner, Log& log, const Error& error);
    void trouble(const Error& error);

    Reactor& reactor_;
    Client& client_;
    int directory_;
    LogLimits limits_;
    std::vector<std::unique_ptr<Log>> logs_;  // by their owners' slots
    std::vector<Token> due_;
    bool is_troubled_ = false;
};

}  // namespace sigil::loop
