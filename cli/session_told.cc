// What a run is told by its containers, its terminal and its manager, and what it tells of that.
#include <signal.h>
#include <unistd.h>

#include "cli/session.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Bytes of events, or of reports, that nobody has read, beyond which nothing more is started.
constexpr size_t kMostEvents = size_t{1} << 20;

}  // namespace

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
    is_held_ = is_full(events_->lines()) || is_full(report_.get()) ||
               // One that has ended holds its pipes until they are read.
               (output && (!output->has_room(parts) || output->live() >= most_open_));
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
    manager_->tell_counts(*fleet_, request_.job.spec.name, request_.is_many());
    if (fleet_->is_up())
        manager_->ready();
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

}  // namespace sigil::cli
