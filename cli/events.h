// The event stream of --events: JSON lines, numbered, in the order in which things happened; the
// events of one container never come out of order.
//
//     {"seq":7,"mono_us":5011,"time":"2026-01-31T12:00:00.005011Z","event":"started","id":"web-1",...}
//
// mono_us is CLOCK_MONOTONIC, time the wall clock.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "loop/fleet.h"
#include "loop/reactor.h"

namespace sigil::cli {

class EventStream final : public loop::TurnEnd {
  public:
    // "FILE", "fd:N", or "-" for stdout. An existing file is emptied.
    static Result<std::unique_ptr<EventStream>> open(std::string_view target);

    // What happened to the container of that name; for some events, with more.
    void tell(std::string_view event, std::string_view name);
    void started(std::string_view name, const loop::Outcome& so_far);
    void out_of_memory(std::string_view name, const loop::Outcome& so_far);
    void restarting(std::string_view name, loop::Time delay, uint64_t attempt);
    // The members of the report (report.h).
    void exited(std::string_view name, const loop::Outcome& outcome);
    void error(std::string_view name, const Error& error);
    void rejected(std::string_view name, uint64_t line, const Error& error);
    void output(std::string_view name, std::string_view stream, std::string_view text);
    void summary(const loop::Summary& summary, loop::Time elapsed);

    // Writes what was told in this turn.
    void turn_ended() override;
    // Writes what is left. An error is the first that a write had: the stream ended there.
    Result<void> close();

  private:
    struct Line;
    explicit EventStream(Fd file) : file_(std::move(file)) {}
    void flush();

    Fd file_;
    uint64_t sequence_ = 0;
    std::string pending_;
    Result<void> written_;
};

}  // namespace sigil::cli
