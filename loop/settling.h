// Once a start has settled, the supervisor needs a few pages of its own text to wait on; the rest,
// read in for parsing and launching, is given back to the page cache. What is needed again is
// mapped again.
#pragma once

#include "loop/reactor.h"

namespace sigil::loop {

class Settling final : public Handler {
  public:
    // Gives the pages back at that time, once. A container that ends earlier never pays for it.
    void attach(Reactor& reactor, Time at);
    void complete(const Completion& completion) override;
};

}  // namespace sigil::loop
