// `sigil run`: containers in the foreground.
//
//     one:   options ─ signals blocked ─ context ─ launch: clone3, parked until execve
//                                                    │ (the command runs from here on)
//            exit ◀─ report ◀─ cgroup removed ◀─ exit, OOM, signals, timers ◀─ ring set up
//
//     many:  options ─ signals blocked ─ context ─ launcher threads ─ ring ─ jobs, as places become
//            free ─▶ launchers ─▶ the same ring for all of them ─▶ events, reports, summary
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/capacity.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/events.h"
#include "cli/job_source.h"
#include "cli/manager.h"
#include "cli/metrics.h"
#include "cli/oci/run_bundle.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/streams.h"
#include "cli/terminal.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/launch.h"
#include "isolation/launch_plan.h"
#include "isolation/rootless.h"
#include "isolation/sweep.h"
#include "loop/fleet.h"
#include "loop/launcher.h"
#include "loop/launcher_pool.h"
#include "loop/open_ring.h"
#include "loop/output.h"
#include "loop/reactor.h"
#include "loop/settling.h"
#include "loop/signals.h"
#include "loop/supervisor.h"

namespace sigil::cli {
namespace {

// A container that lives this long is one to wait for; many that are left alone so long are quiet.
constexpr auto kSettled = std::chrono::milliseconds(200);
constexpr unsigned kRingEntriesForOne = 16;  // it has at most six operations in flight
constexpr unsigned kRingEntriesForMany = 1024;
// Bytes of events, or of reports, that nobody has read, beyond which nothing more is started.
constexpr size_t kMostEvents = size_t{1} << 20;

// Everything that one `sigil run` holds. Lives until the process ends.
class Session final : public loop::FleetObserver,
                      public loop::OutputObserver,
                      public OwnTerminal::Owner,
                      public loop::NotifyRelay::Client,
                      public loop::TurnEnd {
  public:
    static Result<std::unique_ptr<Session>> open(RunRequest request, loop::Time requested);

    // Runs the containers until all have ended. Returns the exit code.
    Result<int> run();

    void created(const loop::Subject& subject) override;
    void terminal_opened(const loop::Subject& subject, Fd master) override;
    void started(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) override;
    void stopping(const loop::Subject& subject) override;
    void ended(const loop::Subject& subject, loop::Outcome&& outcome) override;
    void restarting(const loop::Subject& subject, loop::Time delay, uint64_t attempt) override;
    void rejected(const std::string& name, uint64_t line, const Error& error) override;
    void warning(const loop::Subject& subject, const Error& error) override;
    void gone(const std::string& name) override;
    void finished() override { try_end(); }
    bool has_room() override;
    void stopped_again() override;
    void ready(const loop::Subject& subject) override;
    void run_stopping() override;
    [[nodiscard]] bool can_reload() const override { return lines_ && lines_->can_be_read_again(); }
    void reload() override;

    void notified(uint64_t tag, const loop::Notification& notification) override;

    size_t line(loop::Token id, const std::string& name, loop::Stream stream,
                std::string_view text) override;
    void tapped(const std::string& name, loop::Stream stream, std::string_view line) override {
        control_->output(name, stream, line);
    }
    void read_out(loop::Token id) override;
    size_t bytes(loop::Token id, std::string_view bytes) override {
        return streams_->log(id, bytes);
    }
    void dropped(loop::Token id, const std::string& name, uint64_t bytes, uint64_t lines) override;
    void drained(loop::Token id, const std::string& name) override;
    void warning(const Error& error) override {
        say({}, "warning: " + error.message(), Level::warning);
    }
    void turn_ended() override;

    void detached() override;
    void terminal_drained() override { try_end(); }

  private:
    Session() = default;
    Result<void> open_terminal();
    Result<void> open_outputs();
    Result<void> open_launcher();
    Result<void> open_ring(unsigned entries);
    Result<void> start_one();
    Result<void> start_many();
    Result<void> open_manager();
    void open_control();
    void tell_manager();
    void try_end();
    [[nodiscard]] int finish();
    void close(LineStream* lines, const char* option);
    static bool is_out(LineStream* lines);
    void say(std::string_view name, std::string_view message, Level level = Level::error);

    RunRequest request_;
    loop::Time requested_{};
    Terminal terminal_;
    std::unique_ptr<OwnTerminal> own_terminal_;
    std::unique_ptr<LineStream> report_;
    std::unique_ptr<EventStream> events_;
    std::unique_ptr<JobStreams> streams_;
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<Manager> manager_;  // null: nobody is told
    std::optional<loop::NotifyRelay> relay_;
    std::unique_ptr<loop::Signals> signals_;
    std::optional<RunRecord> record_;
    isolation::LaunchContext context_;
    std::optional<loop::InlineLauncher> inline_;
    std::unique_ptr<loop::LauncherPool> pool_;
    std::unique_ptr<loop::Ring> ring_;
    loop::Reactor reactor_;
    loop::Settling settling_;
    std::unique_ptr<loop::JobSource> source_;
    LineSource* lines_ = nullptr;  // the source, if it is lines
    std::optional<loop::Fleet> fleet_;
    std::optional<loop::Supervisor> supervisor_;
    std::optional<Control> control_;
    Fd metrics_socket_;  // until it is listened on
    std::optional<Metrics> metrics_;
    bool has_failed_ = false;
    bool is_held_ = false;  // starts wait until sigil's own output has room
    bool is_summed_up_ = false;
    bool has_given_up_ = false;  // on whoever reads sigil's output
};

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
        metrics_socket_ = TRY(Metrics::open(*request_.metrics), "--metrics");
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
        metrics_->listen(std::move(metrics_socket_));
    }
    return {};
}

// The launch comes first, unless it needs the ring: the command runs while that is set up.
Result<void> Session::start_one() {
    const bool needs_ring = streams_ && streams_->output();
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
    // Nobody asks one that ends sooner, nor should it pay for being asked.
    settling_.on_settled = [this] { open_control(); };
    settling_.attach(reactor_, requested_ + kSettled);
    return {};
}

Result<void> Session::start_many() {
    TRY(open_ring(kRingEntriesForMany));
    pool_->attach(reactor_, *supervisor_);
    if (lines_)
        lines_->attach(reactor_, *fleet_);
    settling_.attach_to_quiet(reactor_, kSettled);
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
    context_.cgroup_parents->remove_made();
    context_.user_ranges->release();
    if (control_)
        control_->finish();
    if (metrics_)
        metrics_->finish(*request_.metrics);
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

// ---- what happens -------------------------------------------------------------------------------

// Where containers write to stderr too, a message takes its turn among their lines: else it would
// wait, and all with it, for a reader that is slow.
void Session::say(std::string_view name, std::string_view message, Level level) {
    if (has_given_up_ && !takes_more(STDERR_FILENO))
        return;
    const bool is_posted = ring_ && streams_ && !progress_ && !has_given_up_ && !is_summed_up_;
    if (loop::Output* output = is_posted ? streams_->output() : nullptr) {
        output->post(loop::Stream::err, describe_message(name, message, level));
        return;
    }
    if (progress_)
        progress_->clear();
    // A raw terminal takes a line's end for a move down alone.
    if (own_terminal_ && own_terminal_->is_raw())
        (void)sys::write_all(STDERR_FILENO, describe_message(name, message) + "\r\n");
    else
        print_message(name, message, level);
}

void Session::created(const loop::Subject& subject) {
    events_->tell("created", subject.name);
}

void Session::terminal_opened(const loop::Subject& subject, Fd master) {
    if (auto begun = own_terminal_->begin(reactor_, std::move(master)); !begun) {
        say(subject.name, begun.error().message());
        has_failed_ = true;
        fleet_->stop({.number = SIGKILL, .value = {}});
    }
}

void Session::detached() {
    if (!request_.quiet)
        say(request_.job.spec.name,
            "detached: Ctrl-Z and 'bg' give the shell back, and 'fg' "
            "attaches again");
}

void Session::started(const loop::Subject& subject, const loop::Outcome& so_far) {
    events_->started(subject.name, so_far);
}

void Session::ready(const loop::Subject& subject) {
    events_->tell("ready", subject.name);
}

void Session::out_of_memory(const loop::Subject& subject, const loop::Outcome& so_far) {
    if (!request_.quiet)
        say(subject.name, describe_out_of_memory(so_far), Level::warning);
    events_->out_of_memory(subject.name, so_far);
}

void Session::stopping(const loop::Subject& subject) {
    if (manager_)
        manager_->extend(subject.spec.stop_timeout);
    events_->tell("stopping", subject.name);
}

void Session::ended(const loop::Subject& subject, loop::Outcome&& outcome) {
    if (own_terminal_)
        own_terminal_->ended();
    if (manager_)
        manager_->forget(subject.tag);
    if (streams_)
        outcome.lost_output = streams_->take_lost(subject.tag);
    if (outcome.error)
        say(subject.name, outcome.error->message());
    else if (outcome.cause == loop::Cause::timeout && !request_.quiet)
        say(subject.name, "timeout: killed", Level::warning);
    if (outcome.error)
        events_->error(subject.name, *outcome.error);
    events_->exited(subject.name, outcome);
    if (report_ && report_->is_open())
        report_->add({}, report_json(subject.name, outcome) + "\n");
}

void Session::restarting(const loop::Subject& subject, loop::Time delay, uint64_t attempt) {
    if (!request_.quiet)
        say(subject.name,
            fmt::format("restart {} in {} ms", attempt, delay / std::chrono::milliseconds(1)),
            Level::info);
    events_->restarting(subject.name, delay, attempt);
}

void Session::rejected(const std::string& name, uint64_t line, const Error& error) {
    say(name, error.message());
    events_->rejected(name, line, error);
}

void Session::warning(const loop::Subject& subject, const Error& error) {
    say(subject.name, "warning: " + error.message(), Level::warning);
}

void Session::drained(loop::Token id, const std::string& name) {
    if (const auto tag = streams_->drained(id))
        fleet_->streams_told(*tag);
    if (control_)
        control_->check_end(name);
}

void Session::gone(const std::string& name) {
    if (control_)
        control_->check_end(name);
}

size_t Session::line(loop::Token id, const std::string& name, loop::Stream stream,
                     std::string_view text) {
    return events_->output(id, name, loop::name(stream), text);
}

void Session::read_out(loop::Token id) {
    if (const auto tag = streams_->told(id))
        fleet_->streams_told(*tag);
}

// ---- the pace, and the end ----------------------------------------------------------------------

// No more is started than what the readers of sigil's own output can follow, so what is queued for
// them stays within limits; once half of it is taken it goes on.
bool Session::has_room() {
    const size_t parts = is_held_ ? 2 : 1;
    const loop::Output* output = streams_ ? streams_->output() : nullptr;
    const auto is_full = [parts](const LineStream* lines) {
        return lines && lines->pending() > kMostEvents / parts;
    };
    is_held_ =
        is_full(events_->lines()) || is_full(report_.get()) || (output && !output->has_room(parts));
    return !is_held_;
}

void Session::turn_ended() {
    if (is_held_ && has_room())
        fleet_->pump();
    tell_manager();
    try_end();
}

// ---- the process manager ------------------------------------------------------------------------

void Session::notified(uint64_t tag, const loop::Notification& notification) {
    if (manager_)
        manager_->heed(tag, fleet_->name_of(tag), notification, request_.is_many());
    if (notification.is_ready)
        fleet_->ready(tag);
}

void Session::run_stopping() {
    if (manager_)
        manager_->stopping();
}

// The file's jobs are the run's from now on. One that cannot be read leaves everything as it is.
void Session::reload() {
    if (manager_)
        manager_->reloading();
    auto jobs = lines_->read_again();
    if (!jobs) {
        const Error error = std::move(jobs).error().in("--from");
        say({}, "not reloaded: " + error.message());
        events_->rejected({}, 0, error);
        return;
    }
    auto rest = fleet_->replace(*jobs);
    lines_->go_on_with(*jobs, std::move(rest));
    fleet_->pump();
}

void Session::tell_manager() {
    if (!manager_)
        return;
    if (fleet_->is_up())
        manager_->ready();
    manager_->tell_counts(*fleet_, request_.job.spec.name, request_.is_many());
    if (fleet_->is_finished())
        manager_->stopping();
}

// The end: nothing runs, nothing is to come, and what was written is out, the summary last.
void Session::try_end() {
    if (!fleet_->is_finished() || !ring_ || (streams_ && !streams_->are_drained()))
        return;
    if (own_terminal_ && !own_terminal_->is_drained())
        return;
    if (!std::exchange(is_summed_up_, true) && request_.is_many())
        events_->summary(fleet_->summary(), streams_ ? streams_->all_lost() : std::nullopt,
                         sys::monotonic_now() - requested_, ring_->name());
    const bool are_events_out = is_out(events_->lines());
    const bool are_reports_out = is_out(report_.get());
    if (are_events_out && are_reports_out)
        reactor_.stop();
}

// All containers are gone, and whoever asked will not wait for who reads what they left.
void Session::stopped_again() {
    has_given_up_ = true;
    size_t lost = 0;
    if (streams_ && streams_->output())
        lost += streams_->output()->give_up();
    for (LineStream* lines : {events_->lines(), report_.get()})
        lost += lines ? lines->give_up() : 0;
    if (own_terminal_)
        lost += own_terminal_->give_up();
    say({}, fmt::format("stopped: {:L} bytes of output were not read, and are dropped", lost),
        Level::warning);
}

void Session::dropped(loop::Token id, const std::string& name, uint64_t bytes, uint64_t lines) {
    streams_->lost(id, {bytes, lines});
    say(name, fmt::format("{:L} bytes of output dropped ({:L} lines)", bytes, lines),
        Level::warning);
}

}  // namespace

std::vector<OptionShape> run_shapes() {
    std::vector<OptionShape> shapes = shapes_of(run_options());
    const std::vector<OptionShape> bundle = oci::run_bundle_shapes();
    shapes.insert(shapes.end(), bundle.begin(), bundle.end());
    return shapes;
}

std::string run_help() {
    return "Usage: sigil run [OPTIONS] [--] COMMAND [ARG...]\n"
           "       sigil run [OPTIONS] --from FILE|- [[--] COMMAND [ARG...]]\n"
           "       sigil run --bundle DIR [OPTIONS] ID\n"
           "\n"
           "Runs a command in a new container, passes signals on to it, and exits as it did: with\n"
           "its code, or 128+n after signal n; 125 if sigil itself failed, 126 if the command\n"
           "cannot be executed, 127 if it is not there. Of many containers (--count, --from) the\n"
           "first that failed gives the code.\n"
           "\n" +
           describe_options(run_shapes()) +
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
    if (auto code = oci::run_bundle(arguments))
        return std::move(*code);
    RunRequest request = TRY(parse_run(arguments));
    if (request.wants_help) {
        print(run_help());
        return 0;
    }
    std::string name = request.job.spec.name;
    if (::geteuid() != 0)
        TRY(isolation::become_root_of_own_namespace());
    auto session = Session::open(std::move(request), requested);
    if (!session)
        return tl::unexpected(std::move(session).error().in(std::move(name)));
    auto code = (*session)->run();
    if (!code)
        return tl::unexpected(std::move(code).error().in(std::move(name)));
    return code;
}

}  // namespace sigil::cli
