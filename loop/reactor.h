// The loop: one turn hands in what was asked for, waits, copies every completion out, and only then
// dispatches them. A handler may ask the ring for anything: it is handed in on the next turn.
#pragma once

#include <array>
#include <vector>

#include "core/error.h"
#include "loop/ring.h"

namespace sigil::loop {

class Handler {
  public:
    virtual ~Handler() = default;
    virtual void complete(const Completion& completion) = 0;
};

// Told when a turn's completions have been dispatched: what was gathered can be written at once.
class TurnEnd {
  public:
    virtual ~TurnEnd() = default;
    virtual void turn_ended() = 0;
};

class Reactor {
  public:
    // The ring to turn on; it belongs to the thread that calls run(), so it may come after handlers
    // and containers have been set up elsewhere, but before anything is asked of it.
    void use(Ring& ring) { ring_ = &ring; }
    [[nodiscard]] Ring& ring() { return *ring_; }
    // Completions of that source go to `handler`, which outlives the reactor's run.
    void attach(Source source, Handler& handler);
    void attach(TurnEnd& listener) { turn_ends_.push_back(&listener); }
    // Turns until stop(). An error is the ring's own.
    Result<void> run();
    Result<void> turn();
    void stop() { stopped_ = true; }

  private:
    Ring* ring_ = nullptr;
    std::array<Handler*, kSources> handlers_ = {};
    std::vector<TurnEnd*> turn_ends_;
    std::vector<Completion> batch_;
    bool stopped_ = false;
};

}  // namespace sigil::loop
