// `sigil run`: one container, in the foreground, on one thread.
//
//     options ─ signals blocked ─ context ─ launch: clone3, parked until execve
//                                             │ (the command runs from here on)
//     exit ◀─ report ◀─ cgroup removed ◀─ exit, OOM, signals, timers ◀─ ring set up
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/launch.h"
#include "loop/launcher.h"
#include "loop/reactor.h"
#include "loop/settling.h"
#include "loop/signals.h"
#include "loop/supervisor.h"
#include "loop/uring.h"

namespace sigil::cli {
namespace {

// A container that lives this long is one to wait for.
constexpr auto kSettled = std::chrono::milliseconds(200);
constexpr unsigned kRingEntries = 16;  // one container has at most six operations in flight
// Everything that one `sigil run` holds. Lives until the process ends.
class Session final : public loop::Observer {
  public:
    static Result<std::unique_ptr<Session>> open(RunRequest request);

    // Launches, then turns the ring until the container has ended. Returns the exit code.
    Result<int> run(loop::Time requested);

    void started(const Spec&, const loop::Outcome&) override {}
    void out_of_memory(const Spec& spec, const loop::Outcome& so_far) override {
        print_message(spec.name, describe_out_of_memory(so_far));
    }
    void ended(const Spec& spec, const loop::Outcome& outcome) override;
    void warning(const Spec& spec, const Error& error) override {
        print_message(spec.name, "warning: " + error.message());
    }

  private:
    Session() = default;
    RunRequest request_;
    Terminal terminal_;
    std::optional<ReportFile> report_;
    std::unique_ptr<loop::Signals> signals_;
    isolation::LaunchContext context_;
    std::optional<loop::InlineLauncher> launcher_;
    loop::Reactor reactor_;
    loop::Settling settling_;
    std::optional<loop::Supervisor> supervisor_;
    int exit_code_ = kExitRuntimeFailure;
};

Result<std::unique_ptr<Session>> Session::open(RunRequest request) {
    std::unique_ptr<Session> session(new Session);
    session->terminal_ = Terminal::inspect();
    session->request_ = std::move(request);
    Spec& spec = session->request_.spec;
    spec.shares_terminal = session->terminal_.is_shared();
    if (spec.shares_terminal)
        if (const char* type = ::getenv("TERM"))
            spec.env.insert(spec.env.begin(), fmt::format("TERM={}", type));
    if (session->request_.report)
        session->report_ = TRY(ReportFile::open(*session->request_.report), "--report");
    session->signals_ = TRY(loop::Signals::open(spec.shares_terminal));
    // Nobody of our user may look into or trace the launch (ptrace(2), prctl(2)).
    TRY(sys::set_dumpable(false));
    session->context_ = TRY(isolation::LaunchContext::open(spec.init));
    session->context_.ignored_signals = session->signals_->ignored();
    session->launcher_.emplace(session->context_);
    session->supervisor_.emplace(session->reactor_, *session->launcher_, *session);
    return session;
}

Result<int> Session::run(loop::Time requested) {
    supervisor_->start(std::move(request_.spec), requested);
    auto launched = launcher_->take();
    auto ring = loop::UringRing::open(kRingEntries);
    if (!ring) {
        for (auto& [token, outcome] : launched)
            loop::Supervisor::abandon(std::move(outcome));
        return tl::unexpected(std::move(ring).error());
    }
    reactor_.use(**ring);
    signals_->attach(reactor_, *supervisor_);
    for (auto& [token, outcome] : launched)
        supervisor_->launched(token, std::move(outcome));
    settling_.attach(reactor_, requested + kSettled);
    auto turned = reactor_.run();
    terminal_.take_back();
    if (!turned)
        supervisor_->abandon();
    TRY(std::move(turned));
#ifndef SIGIL_ORDERLY_EXIT
    ::_exit(exit_code_);  // everything is written and removed; the kernel frees the rest faster
#endif
    return exit_code_;
}

void Session::ended(const Spec& spec, const loop::Outcome& outcome) {
    if (outcome.error)
        print_error(spec.name, *outcome.error);
    else if (outcome.cause == loop::Cause::timeout)
        print_message(spec.name, "timeout: killed");
    exit_code_ = exit_code(outcome);
    if (report_) {
        if (auto written = report_->write(spec, outcome); !written) {
            print_error(spec.name, std::move(written).error().in("--report"));
            exit_code_ = kExitRuntimeFailure;
        }
    }
    reactor_.stop();
}

}  // namespace

std::string run_help() {
    return "Usage: sigil run [OPTIONS] [--] COMMAND [ARG...]\n"
           "\n"
           "Runs a command in a new container, passes signals on to it, and exits as it did: with\n"
           "its code, or 128+n after signal n; 125 if sigil itself failed, 126 if the command\n"
           "cannot be executed, 127 if it is not there.\n"
           "\n" +
           describe_options(shapes_of(run_options())) +
           "\n"
           "Sizes take K, M, G, T (powers of 1024); times take ms, s, m, h.\n"
           "\n"
           "Examples:\n"
           "  sigil run --rootfs ./rootfs -- /bin/sh\n"
           "  sigil run --rootfs ./rootfs --memory 256M --cpus 1.5 --pids-limit 64 -- make test\n"
           "  sigil run --rootfs ./rootfs --read-only --tmpfs /tmp:64M --bind $PWD:/src:ro -- ls "
           "/src\n";
}

Result<int> run(Arguments arguments) {
    const loop::Time requested = sys::monotonic_now();
    RunRequest request = TRY(parse_run(arguments));
    if (request.wants_help) {
        print(run_help());
        return 0;
    }
    std::string name = request.spec.name;
    auto session = Session::open(std::move(request));
    if (!session)
        return tl::unexpected(std::move(session).error().in(std::move(name)));
    auto code = (*session)->run(requested);
    if (!code)
        return tl::unexpected(std::move(code).error().in(std::move(name)));
    return code;
}

}  // namespace sigil::cli
