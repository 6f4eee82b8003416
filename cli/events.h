// The event stream of --events: JSON lines, numbered, in the order in which things happened; the
// events of one container never come out of order.
//
//     {"seq":7,"mono_us":5011,"time":"2026-01-31T12:00:00.005011Z","event":"started","id":"web-1",...}
//
// mono_us is CLOCK_MONOTONIC, time the wall clock.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/line_stream.h"
#include "core/error.h"
#include "core/json_writer.h"
#include "loop/fleet.h"
#include "loop/reactor.h"

namespace sigil::cli {

class EventStream {
  public:
    // "FILE", "fd:N", or "-" for stdout. An existing file is emptied. Without a target only `tap`
    // gets them.
    static Result<std::unique_ptr<EventStream>> open(const std::optional<std::string>& target,
                                                     loop::Reactor& reactor);

    // Who follows the events too: gets each line with its end.
    class Tap {
      public:
        virtual ~Tap() = default;
        virtual void told(std::string_view line) = 0;
    };
    // Null: nobody, and without a target nothing is made.
    void tap(Tap* tap) { tap_ = tap; }

    // What happened to the container of that name; for some events, with more.
    void tell(std::string_view event, std::string_view name);
    void started(std::string_view name, const loop::Outcome& so_far);
    void out_of_memory(std::string_view name, const loop::Outcome& so_far);
    void restarting(std::string_view name, loop::Time delay, uint64_t attempt);
    // The members of the report (report.h).
    void exited(std::string_view name, const loop::Outcome& outcome);
    void error(std::string_view name, const Error& error);
    void rejected(std::string_view name, uint64_t line, const Error& error);
    // Returns how many bytes are queued, of that owner.
    size_t output(loop::Token owner, std::string_view name, std::string_view stream,
                  std::string_view text);
    // `ring`: what the run waited by.
    void summary(const loop::Summary& summary, const std::optional<loop::LostOutput>& lost,
                 loop::Time elapsed, const char* ring);

    // Null without a target.
    [[nodiscard]] LineStream* lines() { return lines_.get(); }

  private:
    explicit EventStream(std::unique_ptr<LineStream> lines) : lines_(std::move(lines)) {}
    // One event: what all have in common, then what `fill` adds.
    template <typename Fill>
    size_t write(loop::Token owner, std::string_view event, std::string_view name, Fill fill);

    std::unique_ptr<LineStream> lines_;
    Tap* tap_ = nullptr;
    uint64_t sequence_ = 0;
    rapidjson::StringBuffer buffer_;
};

}  // namespace sigil::cli
