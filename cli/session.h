// What one `sigil run` is made of.
//
//     one:   options ─ signals blocked ─ context ─ launch: clone3, parked until execve
//                                                    │ (the command runs from here on)
//            exit ◀─ report ◀─ cgroup removed ◀─ exit, OOM, signals, timers ◀─ ring set up
//
//     many:  options ─ signals blocked ─ context ─ launcher threads ─ ring ─ jobs, as places become
//            free ─▶ launchers ─▶ the same ring for all of them ─▶ events, reports, summary
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/control.h"
#include "cli/events.h"
#include "cli/job_source.h"
#include "cli/line_stream.h"
#include "cli/manager.h"
#include "cli/metrics.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/run_options.h"
#include "cli/streams.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/run_record.h"
#include "isolation/launch.h"
#include "loop/fleet.h"
#include "loop/launcher.h"
#include "loop/launcher_pool.h"
#include "loop/notify_relay.h"
#include "loop/output.h"
#include "loop/reactor.h"
#include "loop/ring.h"
#include "loop/settling.h"
#include "loop/signals.h"
#include "loop/supervisor.h"

namespace sigil::cli {

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
    std::optional<MetricsSocket> metrics_socket_;
    std::optional<Metrics> metrics_;
    bool has_failed_ = false;
    bool is_held_ = false;             // starts wait until sigil's own output has room
    uint64_t most_open_ = UINT64_MAX;  // containers at most whose output is not out
    bool is_summed_up_ = false;
    bool has_given_up_ = false;  // on whoever reads sigil's output
};

}  // namespace sigil::cli
