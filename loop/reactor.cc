#include "loop/reactor.h"

#include "core/try.h"

namespace sigil::loop {

void Reactor::attach(Source source, Handler& handler) {
    handlers_[static_cast<size_t>(source)] = &handler;
}

Result<void> Reactor::run() {
    while (!stopped_)
        TRY(turn());
    return {};
}

Result<void> Reactor::turn() {
    batch_.clear();
    TRY(ring_->wait(batch_), "wait for completions");
    for (const Completion& completion : batch_) {
        if (Handler* handler = handlers_[static_cast<size_t>(completion.token.source)])
            handler->complete(completion);
        if (completion.buffer != Completion::kNoBuffer)
            ring_->give_back(completion);
    }
    for (TurnEnd* listener : turn_ends_)
        listener->turn_ended();
    return {};
}

}  // namespace sigil::loop
