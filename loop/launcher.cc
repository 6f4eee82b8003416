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
}

void InlineLauncher::wake() {
    reactor_->ring().timer(kLaunched, sys::monotonic_now());
}

void InlineLauncher::complete(const Completion&) {
    for (auto& [token, outcome] : take())
        supervisor_->launched(token, std::move(outcome));
}

}  // namespace sigil::loop
