// Whose turn it is to be read, when there are more reads than buffers. Once the buffers ran out,
// reads queue, those that got bytes behind those that didn't: else each of many would come back
// with nothing, over and over.
#pragma once

#include <algorithm>
#include <deque>

#include "loop/token.h"

namespace sigil::loop {

class ReadTurns {
  public:
    struct Read {
        Token token;
        int fd;
    };

    // A read found no buffer.
    void refused() { congested_ = true; }
    // Whether the read has to wait its turn; else it may be handed in now.
    bool queue(const Read& read) {
        if (congested_)
            queued_.push_back(read);
        return congested_;
    }
    // Hands in those whose turn it is: one for each free buffer.
    template <typename HandIn>
    void hand_in(unsigned free_buffers, HandIn hand_in) {
        for (; free_buffers > 0 && !queued_.empty(); --free_buffers) {
            hand_in(queued_.front());
            queued_.pop_front();
        }
        congested_ = !queued_.empty();
    }
    // Whether it was queued; it is no longer.
    bool cancel(Token token) {
        return std::erase_if(queued_, [token](const Read& read) { return read.token == token; }) >
               0;
    }
    [[nodiscard]] bool are_waited_for() const { return congested_; }

  private:
    std::deque<Read> queued_;
    bool congested_ = false;
};

}  // namespace sigil::loop
