// Once nothing happens any more, the supervisor needs a few pages to wait on. What it took for
// parsing and launching goes back to the kernel, each time when it has been quiet for a while: its
// text to the page cache, to be mapped again when it is needed again, and the memory that it has
// freed. That costs a timer while something happens, and nothing after.
#pragma once

#include <functional>

#include "loop/reactor.h"

namespace sigil::loop {

class Settling final : public Handler, public TurnEnd {
  public:
    // `quiet`: for how long nothing must have happened.
    void attach(Reactor& reactor, Time quiet);
    // The same, but the first time is `first`, whatever happens until then: what ends earlier pays
    // nothing. `on_first` is called before.
    void attach(Reactor& reactor, Time quiet, Time first, std::function<void()> on_first);
    void complete(const Completion& completion) override;
    void turn_ended() override;

  private:
    void arm(Time at);

    Reactor* reactor_ = nullptr;
    Time quiet_{};
    Time last_turn_{};
    std::function<void()> on_first_;  // empty: the first time is over
    bool is_armed_ = false;           // the timer
    bool has_turned_ = false;         // since it was armed
    bool is_own_turn_ = false;
};

}  // namespace sigil::loop
