#include "cli/oci/foreground.h"

#include <signal.h>

#include <optional>

#include "cli/report.h"
#include "core/sys.h"
#include "core/try.h"
#include "loop/launcher.h"
#include "loop/open_ring.h"
#include "loop/reactor.h"
#include "loop/signals.h"
#include "loop/supervisor.h"

namespace sigil::cli::oci {
namespace {

constexpr unsigned kRingEntries = 16;

class Foreground final : public loop::Observer {
  public:
    explicit Foreground(const ForegroundRequest& request) : request_(request) {}

    Result<int> run(isolation::LaunchContext& context);

    void started(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void stopping(const loop::Subject&) override {}
    void ended(const loop::Subject& subject, loop::Outcome&& outcome) override;
    void warning(const loop::Subject& subject, const Error& error) override;

  private:
    const ForegroundRequest& request_;
    loop::Reactor reactor_;
    std::optional<loop::Supervisor> supervisor_;
    std::optional<Error> failure_;
    int code_ = kExitRuntimeFailure;
};

Result<int> Foreground::run(isolation::LaunchContext& context) {
    auto signals = TRY(loop::Signals::open(false));
    context.ignored_signals = signals->ignored();
    loop::InlineLauncher launcher(context);
    supervisor_.emplace(reactor_, launcher, *this);
    supervisor_->start({.name = request_.name,
                        .spec = request_.spec,
                        .request = sys::monotonic_now(),
                        .bundle = &request_.options});
    // Its command runs while this is set up.
    auto ring = loop::open_ring(loop::RingChoice::automatic, kRingEntries);
    if (!ring) {
        launcher.abandon();
        return tl::unexpected(std::move(ring).error());
    }
    reactor_.use(**ring);
    signals->attach(reactor_, *supervisor_);
    launcher.attach(reactor_, *supervisor_);
    auto turned = reactor_.run();
    if (!turned)
        supervisor_->abandon();
    TRY(std::move(turned));
    if (failure_)
        return tl::unexpected(std::move(*failure_));
    return code_;
}

void Foreground::started(const loop::Subject&, const loop::Outcome& so_far) {
    auto told = request_.started(so_far.pid);
    if (told)
        return;
    failure_ = std::move(told).error();
    supervisor_->forward({.number = SIGKILL, .value = {}});
}

void Foreground::out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) {
    print_message(subject.name, describe_out_of_memory(so_far));
}

void Foreground::ended(const loop::Subject&, loop::Outcome&& outcome) {
    if (outcome.error && !failure_)
        failure_ = std::move(outcome.error);
    code_ = failure_ ? failure_->exit_code() : loop::exit_code(outcome);
    reactor_.stop();
}

void Foreground::warning(const loop::Subject& subject, const Error& error) {
    print_message(subject.name, "warning: " + error.message());
}

}  // namespace

Result<int> run_in_foreground(isolation::LaunchContext& context, const ForegroundRequest& request) {
    return Foreground(request).run(context);
}

}  // namespace sigil::cli::oci
