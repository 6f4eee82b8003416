#include "cli/session.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "cli/capacity.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/launch_plan.h"
#include "isolation/sweep.h"
#include "loop/open_ring.h"

namespace sigil::cli {
namespace {

// A container that lives this long is one to wait for; a run that is left alone so long is quiet.
constexpr auto kSettled = std::chrono::milliseconds(200);
constexpr unsigned kRingEntriesForOne = 16;  // it has at most six operations in flight
constexpr unsigned kRingEntriesForMany = 1024;

}  // namespace

Result<std::unique_ptr<Session>> Session::open(RunRequest request, loop::Time requested) {
    std::unique_ptr<Session> session(new Session);
    session->request_ = std::move(request);
    session->requested_ = requested;
    RunRequest& asked = session->request_;
    Spec& spec = asked.job.spec;
    if (asked.is_many())
        make_paths_absolute(spec);
    else
        TRY(session->open_terminal());
    TRY(session->open_manager());
    TRY(session->open_outputs());
    session->signals_ = TRY(loop::Signals::open(spec.shares_terminal));
    // Nobody of our user may look into or trace the launch (ptrace(2), prctl(2)).
    TRY(sys::set_dumpable(false));
    TRY(session->open_launcher());
    return session;
}

Result<void> Session::open_terminal() {
    Spec& spec = request_.job.spec;
    const char* type = ::getenv("TERM");
    if (request_.tty) {
        constexpr const char* kDetachKeys = "\x10\x11";  // ctrl-p,ctrl-q
        own_terminal_ = TRY(OwnTerminal::open(*this, request_.detach_keys.value_or(kDetachKeys)));
        spec.terminal = own_terminal_->size();
        if (!type || !*type)
            type = "xterm";
    } else {
        terminal_ = Terminal::inspect();
        spec.shares_terminal = terminal_.is_shared();
    }
    if (type && (spec.terminal || spec.shares_terminal))
        spec.env.insert(spec.env.begin(), fmt::format("TERM={}", type));
    return {};
}

Result<void> Session::open_manager() {
    std::optional<Error> warning;
    manager_ = TRY(Manager::open(request_, warning));
    if (warning)
        say({}, "warning: " + warning->message(), Level::warning);
    if (request_.notify == Notify::container)
        relay_.emplace(reactor_, *this);
    if (!request_.is_many())
        (void)TRY(pass_listen_fds(request_.job.spec));
    return {};
}

Result<void> Session::open_outputs() {
    reactor_.attach(*this);  // before what is written at a turn's end: it may add some
    if (request_.metrics)
        metrics_socket_.emplace(TRY(MetricsSocket::open(*request_.metrics), "--metrics"));
    if (request_.report)
        report_ = TRY(LineStream::open(*request_.report,
                                       request_.is_many() ? Existing::emptied : Existing::replaced,
                                       reactor_, loop::Source::reports),
                      "--report");
    events_ = TRY(EventStream::open(request_.events, reactor_), "--events");
    progress_ = Progress::open(request_, requested_);
    if (progress_)
        reactor_.attach(*progress_);
    streams_ = TRY(JobStreams::open(request_, reactor_, *this));
    if (events_->lines() && streams_ && streams_->output())
        events_->lines()->on_written = [this](loop::Token owner, size_t bytes) {
            if (owner != loop::Token{})
                streams_->output()->written(owner, bytes);
        };
    return {};
}

Result<void> Session::open_launcher() {
    const bool is_many = request_.is_many();
    Spec& spec = request_.job.spec;
    loop::FleetOptions options = {.fail_fast = request_.fail_fast,
                                  .is_endless = request_.from == "-",
                                  .requested = requested_};
    if (is_many) {
        const Capacity capacity = Capacity::of_this_machine(request_);
        options.most_live = request_.jobs.value_or(capacity.containers);
        most_open_ = std::max(options.most_live, capacity.containers);
        if (!request_.jobs && !request_.quiet)
            print_message({}, capacity.describe(), Level::info);
        capacity.keep_soft_limit(spec);
    }
    record_.emplace(request_.root, spec.name);
    context_ = TRY(isolation::LaunchContext::open(is_many || spec.init,
                                                  is_many ? "sigil-" + spec.name : "", &*record_));
    context_.ignored_signals = signals_->ignored();
    if (manager_)
        context_.watchdog_usec = manager_->watchdog_usec();
    loop::Launcher* launcher = nullptr;
    if (is_many) {
        if (context_.cgroups)  // before the launchers leave our descriptors
            TRY(record_->hold());
        if (!request_.from)  // else a line may ask for more than those before
            context_.bounding = isolation::bounding_of(spec);
        const auto width = static_cast<unsigned>(request_.launchers.value_or(default_launchers()));
        pool_ = TRY(loop::LauncherPool::open(context_, width, request_.warm));
        launcher = pool_.get();
    } else {
        launcher = &inline_.emplace(context_);
    }
    if (request_.from) {
        auto lines = TRY(LineSource::open(*request_.from, request_), "--from");
        lines_ = lines.get();
        source_ = std::move(lines);
    } else {
        source_ = std::make_unique<CountedSource>(std::make_shared<const Job>(request_.job),
                                                  request_.count);
    }
    fleet_.emplace(reactor_, *this, options);
    supervisor_.emplace(reactor_, *launcher, *fleet_);
    fleet_->use(*supervisor_, *source_, streams_.get());
    if (relay_)
        fleet_->use(*relay_);
    if (progress_)
        progress_->watch(*fleet_);
    return {};
}

Result<void> Session::open_ring(unsigned entries) {
    ring_ = TRY(loop::open_ring(request_.ring, entries));
    reactor_.use(*ring_);
    if (manager_)
        manager_->attach(reactor_);
    signals_->attach(reactor_, *fleet_, own_terminal_.get());
    if (metrics_socket_) {
        metrics_.emplace(reactor_,
                         Metrics::Sources{*fleet_, streams_.get(), context_.cgroups.get()});
        metrics_->listen(metrics_socket_->take());
    }
    return {};
}

// The launch comes first, unless it needs the ring: the command runs while that is set up.
Result<void> Session::start_one() {
    const bool needs_ring = streams_ && streams_->output();
    if (needs_ring)
        TRY(open_ring(kRingEntriesForMany));
    fleet_->pump();
    auto ring = needs_ring ? Result<void>() : open_ring(kRingEntriesForOne);
    if (!ring) {
        inline_->abandon();
        return ring;
    }
    inline_->attach(reactor_, *supervisor_);
    // Nobody asks one that ends sooner, nor should it pay for being asked.
    settling_.attach(reactor_, kSettled, requested_ + kSettled, [this] { open_control(); });
    return {};
}

Result<void> Session::start_many() {
    TRY(open_ring(kRingEntriesForMany));
    pool_->attach(reactor_, *supervisor_);
    if (lines_)
        lines_->attach(reactor_, *fleet_);
    settling_.attach(reactor_, kSettled);
    open_control();
    fleet_->pump();
    return {};
}

// Without it the containers run all the same.
void Session::open_control() {
    auto socket = record_->listen();
    if (!socket)
        return say({}, "warning: no control socket: " + socket.error().message(), Level::warning);
    control_.emplace(reactor_, Control::Sources{request_, *fleet_, streams_.get(), *events_,
                                                record_->directory_name()});
    control_->listen(std::move(*socket));
}

Result<int> Session::run() {
    TRY(request_.is_many() ? start_many() : start_one());
    tell_manager();
    try_end();                        // if nothing could be started
    isolation::sweep_some(*record_);  // what there is to start has been: nobody waits for this
    auto turned = reactor_.run();
    terminal_.take_back();
    if (own_terminal_)
        own_terminal_->restore();
    if (!turned)
        supervisor_->abandon();
    if (pool_)
        pool_->discard_parked();
    context_.cgroup_parents->remove_made();
    context_.user_ranges->release();
    if (control_)
        control_->finish();
    if (metrics_)
        metrics_->finish();
    metrics_socket_.reset();  // what follows may not come back
    record_->release();
    TRY(std::move(turned));
    const int code = finish();
#ifndef SIGIL_ORDERLY_EXIT
    ::_exit(code);  // everything is written and removed; the kernel frees the rest faster
#endif
    return code;
}

int Session::finish() {
    if (progress_ && !has_given_up_)
        progress_->finish();
    close(events_->lines(), "--events");
    close(report_.get(), "--report");
    return has_failed_ ? kExitRuntimeFailure : fleet_->summary().exit_code;
}

void Session::close(LineStream* lines, const char* option) {
    if (!lines)
        return;
    if (auto written = lines->close(); !written) {
        say({}, std::move(written).error().in(option).message());
        has_failed_ = true;
    }
}

// Whether all that goes through `lines` is written, or handed in to be.
bool Session::is_out(LineStream* lines) {
    if (!lines)
        return true;
    lines->turn_ended();
    return lines->pending() == 0;
}

}  // namespace sigil::cli
