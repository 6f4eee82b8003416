// `sigil run`: containers in the foreground.
//
//     one:   options ─ signals blocked ─ context ─ launch: clone3, parked until execve
//                                                    │ (the command runs from here on)
//            exit ◀─ report ◀─ cgroup removed ◀─ exit, OOM, signals, timers ◀─ ring set up
//
//     many:  options ─ signals blocked ─ context ─ launcher threads ─ ring ─ jobs, as places become
//            free ─▶ launchers ─▶ the same ring for all of them ─▶ events, reports, summary
#include <stdlib.h>
#include <unistd.h>

#include "cli/capacity.h"
#include "cli/command.h"
#include "cli/events.h"
#include "cli/job_source.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/streams.h"
#include "cli/terminal.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/launch.h"
#include "isolation/sweep.h"
#include "loop/fleet.h"
#include "loop/launcher.h"
#include "loop/launcher_pool.h"
#include "loop/output.h"
#include "loop/reactor.h"
#include "loop/settling.h"
#include "loop/signals.h"
#include "loop/supervisor.h"
#include "loop/uring.h"

namespace sigil::cli {
namespace {

// A container that lives this long is one to wait for.
constexpr auto kSettled = std::chrono::milliseconds(200);
constexpr unsigned kRingEntriesForOne = 16;  // it has at most six operations in flight
constexpr unsigned kRingEntriesForMany = 1024;

// Everything that one `sigil run` holds. Lives until the process ends.
class Session final : public loop::FleetObserver, public loop::OutputObserver {
  public:
    static Result<std::unique_ptr<Session>> open(RunRequest request, loop::Time requested);

    // Runs the containers until all have ended. Returns the exit code.
    Result<int> run();

    void created(const loop::Subject& subject) override;
    void started(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void stopping(const loop::Subject& subject) override;
    void ended(const loop::Subject& subject, const loop::Outcome& outcome) override;
    void restarting(const loop::Subject& subject, loop::Time delay, uint64_t attempt) override;
    void rejected(const std::string& name, uint64_t line, const Error& error) override;
    void warning(const loop::Subject& subject, const Error& error) override;
    void finished() override;

    void line(const std::string& name, loop::Stream stream, std::string_view text) override;
    void dropped(const std::string& name, uint64_t bytes, uint64_t lines) override;
    void drained(loop::Token id, const std::string& name) override;
    void warning(const Error& error) override { say({}, "warning: " + error.message()); }

  private:
    Session() = default;
    Result<void> open_outputs();
    Result<void> open_launcher();
    Result<void> open_ring(unsigned entries);
    Result<void> start_one();
    Result<void> start_many();
    [[nodiscard]] int finish();
    void say(std::string_view name, std::string_view message);

    RunRequest request_;
    loop::Time requested_{};
    Terminal terminal_;
    std::optional<ReportFile> report_;
    std::unique_ptr<EventStream> events_;
    std::unique_ptr<JobStreams> streams_;
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<loop::Signals> signals_;
    std::optional<RunRecord> record_;
    isolation::LaunchContext context_;
    std::optional<loop::InlineLauncher> inline_;
    std::unique_ptr<loop::LauncherPool> pool_;
    std::unique_ptr<loop::UringRing> ring_;
    loop::Reactor reactor_;
    loop::Settling settling_;
    std::unique_ptr<loop::JobSource> source_;
    LineSource* lines_ = nullptr;  // the source, if it is lines
    std::optional<loop::Fleet> fleet_;
    std::optional<loop::Supervisor> supervisor_;
    bool has_failed_ = false;
};

Result<std::unique_ptr<Session>> Session::open(RunRequest request, loop::Time requested) {
    std::unique_ptr<Session> session(new Session);
    session->request_ = std::move(request);
    session->requested_ = requested;
    RunRequest& asked = session->request_;
    Spec& spec = asked.job.spec;
    if (asked.is_many()) {
        make_paths_absolute(spec);
    } else {
        session->terminal_ = Terminal::inspect();
        spec.shares_terminal = session->terminal_.is_shared();
        if (spec.shares_terminal)
            if (const char* type = ::getenv("TERM"))
                spec.env.insert(spec.env.begin(), fmt::format("TERM={}", type));
    }
    TRY(session->open_outputs());
    session->signals_ = TRY(loop::Signals::open(spec.shares_terminal));
    // Nobody of our user may look into or trace the launch (ptrace(2), prctl(2)).
    TRY(sys::set_dumpable(false));
    TRY(session->open_launcher());
    return session;
}

Result<void> Session::open_outputs() {
    if (request_.report)
        report_ = TRY(ReportFile::open(*request_.report, request_.is_many()), "--report");
    if (request_.events)
        events_ = TRY(EventStream::open(*request_.events), "--events");
    if (events_)
        reactor_.attach(*events_);
    progress_ = Progress::open(request_, requested_);
    if (progress_)
        reactor_.attach(*progress_);
    streams_ = TRY(JobStreams::open(request_, reactor_, *this));
    return {};
}

Result<void> Session::open_launcher() {
    const bool is_many = request_.is_many();
    Spec& spec = request_.job.spec;
    loop::FleetOptions options = {.fail_fast = request_.fail_fast, .requested = requested_};
    if (is_many) {
        const Capacity capacity = Capacity::of_this_machine(request_);
        options.most_live = request_.jobs.value_or(capacity.containers);
        if (!request_.jobs && !request_.quiet)
            print_message({}, capacity.describe());
        capacity.keep_soft_limit(spec);
    }
    record_.emplace(request_.root, spec.name);
    context_ = TRY(isolation::LaunchContext::open(is_many || spec.init,
                                                  is_many ? "sigil-" + spec.name : "", &*record_));
    context_.ignored_signals = signals_->ignored();
    loop::Launcher* launcher = nullptr;
    if (is_many) {
        if (context_.cgroups)  // before the launchers leave our descriptors
            TRY(record_->hold());
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
    if (progress_)
        progress_->watch(*fleet_);
    return {};
}

Result<void> Session::open_ring(unsigned entries) {
    ring_ = TRY(loop::UringRing::open(entries));
    reactor_.use(*ring_);
    signals_->attach(reactor_, *fleet_);
    return {};
}

// The launch comes first, unless it needs the ring: the command runs while that is set up.
Result<void> Session::start_one() {
    const bool needs_ring = streams_ && streams_->are_read();
    if (needs_ring)
        TRY(open_ring(kRingEntriesForMany));
    fleet_->pump();
    auto launched = inline_->take();
    auto ring = needs_ring ? Result<void>() : open_ring(kRingEntriesForOne);
    if (!ring) {
        for (auto& [token, outcome] : launched)
            loop::Supervisor::abandon(std::move(outcome));
        return ring;
    }
    inline_->attach(reactor_, *supervisor_);
    for (auto& [token, outcome] : launched)
        supervisor_->launched(token, std::move(outcome));
    settling_.attach(reactor_, requested_ + kSettled);
    return {};
}

Result<void> Session::start_many() {
    TRY(open_ring(kRingEntriesForMany));
    pool_->attach(reactor_, *supervisor_);
    if (lines_)
        lines_->attach(reactor_, *fleet_);
    fleet_->pump();
    return {};
}

Result<int> Session::run() {
    TRY(request_.is_many() ? start_many() : start_one());
    isolation::sweep_some(*record_);  // what there is to start has been: nobody waits for this
    auto turned = reactor_.run();
    terminal_.take_back();
    if (!turned)
        supervisor_->abandon();
    context_.cgroup_parents->remove_made();
    TRY(std::move(turned));
    const int code = finish();
#ifndef SIGIL_ORDERLY_EXIT
    ::_exit(code);  // everything is written and removed; the kernel frees the rest faster
#endif
    return code;
}

int Session::finish() {
    if (progress_)
        progress_->finish();
    if (events_) {
        if (request_.is_many())
            events_->summary(fleet_->summary(), sys::monotonic_now() - requested_);
        if (auto written = events_->close(); !written) {
            print_error({}, std::move(written).error().in("--events"));
            has_failed_ = true;
        }
    }
    return has_failed_ ? kExitRuntimeFailure : fleet_->summary().exit_code;
}

// ---- what happens -------------------------------------------------------------------------------

void Session::say(std::string_view name, std::string_view message) {
    if (progress_)
        progress_->clear();
    print_message(name, message);
}

void Session::created(const loop::Subject& subject) {
    if (events_)
        events_->tell("created", subject.name);
}

void Session::started(const loop::Subject& subject, const loop::Outcome& so_far) {
    if (!events_)
        return;
    events_->started(subject.name, so_far);
    events_->tell("ready", subject.name);
}

void Session::out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) {
    say(subject.name, describe_out_of_memory(so_far));
    if (events_)
        events_->out_of_memory(subject.name, so_far);
}

void Session::stopping(const loop::Subject& subject) {
    if (events_)
        events_->tell("stopping", subject.name);
}

void Session::ended(const loop::Subject& subject, const loop::Outcome& outcome) {
    if (outcome.error)
        say(subject.name, outcome.error->message());
    else if (outcome.cause == loop::Cause::timeout)
        say(subject.name, "timeout: killed");
    if (events_ && outcome.error)
        events_->error(subject.name, *outcome.error);
    if (events_)
        events_->exited(subject.name, outcome);
    if (!report_)
        return;
    if (auto written = report_->write(subject.name, outcome); !written) {
        say(subject.name, std::move(written).error().in("--report").message());
        has_failed_ = true;
    }
}

void Session::restarting(const loop::Subject& subject, loop::Time delay, uint64_t attempt) {
    if (!request_.quiet)
        say(subject.name,
            fmt::format("restart {} in {} ms", attempt, delay / std::chrono::milliseconds(1)));
    if (events_)
        events_->restarting(subject.name, delay, attempt);
}

void Session::rejected(const std::string& name, uint64_t line, const Error& error) {
    say(name, error.message());
    if (events_)
        events_->rejected(name, line, error);
}

void Session::warning(const loop::Subject& subject, const Error& error) {
    say(subject.name, "warning: " + error.message());
}

// The end: nothing runs, nothing is to come, and what was written is out.
void Session::finished() {
    if (!streams_ || streams_->are_drained())
        reactor_.stop();
}

void Session::drained(loop::Token, const std::string&) {
    streams_->drained();
    if (fleet_->is_finished())
        finished();
}

void Session::line(const std::string& name, loop::Stream stream, std::string_view text) {
    events_->output(name, loop::name(stream), text);
}

void Session::dropped(const std::string& name, uint64_t bytes, uint64_t lines) {
    say(name, fmt::format("{:L} bytes of output dropped ({:L} lines)", bytes, lines));
}

}  // namespace

std::string run_help() {
    return "Usage: sigil run [OPTIONS] [--] COMMAND [ARG...]\n"
           "       sigil run [OPTIONS] --from FILE|- [[--] COMMAND [ARG...]]\n"
           "\n"
           "Runs a command in a new container, passes signals on to it, and exits as it did: with\n"
           "its code, or 128+n after signal n; 125 if sigil itself failed, 126 if the command\n"
           "cannot be executed, 127 if it is not there. Of many containers (--count, --from) the\n"
           "first that failed gives the code.\n"
           "\n" +
           describe_options(shapes_of(run_options())) +
           "\n"
           "Sizes take K, M, G, T (powers of 1024); times take ms, s, m, h.\n"
           "\n"
           "Examples:\n"
           "  sigil run --rootfs ./rootfs -- /bin/sh\n"
           "  sigil run --rootfs ./rootfs --memory 256M --cpus 1.5 --pids-limit 64 -- make test\n"
           "  sigil run --rootfs ./rootfs --read-only --tmpfs /tmp:64M --bind $PWD:/src:ro -- ls "
           "/src\n"
           "  sigil run --rootfs ./rootfs --count 100 --jobs 8 -- /bin/test-shard\n";
}

Result<int> run(Arguments arguments) {
    const loop::Time requested = sys::monotonic_now();
    RunRequest request = TRY(parse_run(arguments));
    if (request.wants_help) {
        print(run_help());
        return 0;
    }
    std::string name = request.job.spec.name;
    auto session = Session::open(std::move(request), requested);
    if (!session)
        return tl::unexpected(std::move(session).error().in(std::move(name)));
    auto code = (*session)->run();
    if (!code)
        return tl::unexpected(std::move(code).error().in(std::move(name)));
    return code;
}

}  // namespace sigil::cli
