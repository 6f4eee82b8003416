#include "loop/launcher.h"

#include "core/sys.h"
#include "loop/supervisor.h"

namespace sigil::loop {
namespace {

constexpr Token kLaunched = {Source::launcher, Operation::readable};

}  // namespace

void InlineLauncher::attach(Reactor& reactor, Supervisor& supervisor) {
    reactor_ = &reactor;
    supervisor_ = &supervisor;
    reactor.attach(Source::launcher, *this);
    hand_over();
}

void InlineLauncher::abandon() {
    for (auto& [token, outcome] : std::exchange(ended_, {}))
        Supervisor::abandon(std::move(outcome));
}

void InlineLauncher::wake() {
    reactor_->ring().timer(kLaunched, sys::monotonic_now());
}

void InlineLauncher::complete(const Completion&) {
    hand_over();
}

void InlineLauncher::hand_over() {
    for (auto& [token, outcome] : std::exchange(ended_, {}))
        supervisor_->launched(token, std::move(outcome));
}

}  // namespace sigil::loop
