// Once nothing happens any more, the supervisor needs a few pages to wait on. What it took for
// parsing and launching goes back to the kernel: its text to the page cache, to be mapped again
// when it is needed again, and the memory that it has freed.
#pragma once

#include <functional>

#include "loop/reactor.h"

namespace sigil::loop {

class Settling final : public Handler, public TurnEnd {
  public:
    // Gives the pages back at that time, once. A container that ends earlier never pays for it.
    void attach(Reactor& reactor, Time at);
    // Gives them back each time when nothing has happened for so long. Costs a timer while
    // something happens, and nothing after.
    void attach_to_quiet(Reactor& reactor, Time quiet);
    // What is to be done before, once it was attached to a time.
    std::function<void()> on_settled;
    void complete(const Completion& completion) override;
    void turn_ended() override;

  private:
    void arm();
    Reactor* reactor_ = nullptr;
    Time quiet_{};  // zero: once
    Time last_turn_{};
    bool is_armed_ = false;    // the timer
    bool has_turned_ = false;  // since it was armed
    bool is_own_turn_ = false;
};

}  // namespace sigil::loop
