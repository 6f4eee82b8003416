// Lines that go to a file, pipe or terminal of the user's: "FILE", "fd:N", or "-" for stdout.
//
//     add ─▶ gathered ─ turn's end ─▶ a regular file: written at once, it never blocks for long
//                                   ▶ anything else:  a Destination, written through the ring, so
//                                                     that a slow reader never blocks the loop
//
// After an error nothing more is taken: the stream ended there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "loop/destination.h"
#include "loop/reactor.h"

namespace sigil::cli {

// What becomes of a file that is there already.
enum class Existing : uint8_t {
    emptied,   // at once
    replaced,  // once the stream is closed: until its lines are there, those of before are
};

class LineStream final : public loop::Handler,
                         public loop::TurnEnd,
                         private loop::Destination::Client {
  public:
    // Completions come by `source`, which is its alone.
    static Result<std::unique_ptr<LineStream>> open(std::string_view target, Existing existing,
                                                    loop::Reactor& reactor, loop::Source source);

    // Whether a line is still taken; where none is, none need be made.
    [[nodiscard]] bool is_open() const { return is_open_; }
    // Takes a line, its end included. Returns how many bytes of it are queued for a reader, and
    // will be told of by `on_written` with the same owner.
    size_t add(loop::Token owner, std::string_view line);
    std::function<void(loop::Token, size_t)> on_written;
    // Bytes that are not written.
    [[nodiscard]] size_t pending() const;
    // Hands in what was taken in this turn.
    void turn_ended() override;
    // Waits for the reader no longer; the number of bytes that it has not taken.
    size_t give_up();
    // The first error that a write had, once nothing is pending.
    Result<void> close();

    void complete(const loop::Completion& completion) override;

  private:
    explicit LineStream(Fd file) : file_(std::move(file)) {}
    void settled(loop::Token owner, size_t bytes, const loop::Destination::Lost& lost) override;
    void troubled(const Error& error) override;

    Fd file_;
    std::optional<loop::Destination> destination_;  // unless it is a regular file
    std::string gathered_;                          // for a regular file
    std::optional<uint64_t> replaces_;  // a regular file's bytes so far; what is behind them goes
    bool is_open_ = true;
    Result<void> written_;
};

}  // namespace sigil::cli
