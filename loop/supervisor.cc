#include "loop/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/init/protocol.h"

namespace sigil::loop {
namespace {

constexpr int kRemoveAttempts = 100;

constexpr uint32_t bit(Operation operation) {
    return 1U << static_cast<unsigned>(operation);
}

// Kills, and blocks until the process has ended.
void end_now(const std::optional<Process>& process, std::optional<isolation::Cgroup>& cgroup) {
    if (cgroup)
        (void)cgroup->kill();
    if (!process)
        return;
    (void)::kill(process->pid, SIGKILL);  // not reaped yet, so the pid is its own
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(process->pid), &info, WEXITED | __WALL) < 0 &&
           errno == EINTR) {
    }
}

// Whether the init of that pid told by its name that a signal has killed the command.
bool is_named_signaled(pid_t pid) {
    auto comm = sys::read_file(AT_FDCWD, fmt::format("/proc/{}/comm", pid).c_str());
    return comm && comm->starts_with(isolation::kSignaledName);
}

}  // namespace

const char* name(Cause cause) {
    constexpr std::array kNames = {"failed", "exited", "signaled", "oom", "timeout", "stopped"};
    return kNames[static_cast<size_t>(cause)];
}

int exit_code(const Outcome& outcome) {
    return outcome.error ? outcome.error->exit_code() : outcome.status.exit_code();
}

Supervisor::Supervisor(Reactor& reactor, Launcher& launcher, Observer& observer)
    : reactor_(reactor), launcher_(launcher), observer_(observer) {
    reactor.attach(Source::container, *this);
}

Token Supervisor::start(Start start) {
    Token token = containers_.emplace(Source::container, std::move(start));
    Container& container = *containers_.find(token);
    container.token = token;
    container.outcome.times.request = container.start.request;
    ++live_;
    launcher_.launch(token, {*container.start.spec, container.start.name, container.start.streams,
                             container.start.bundle, container.start.notify_mount});
    return token;
}

void Supervisor::launched(Token token, isolation::LaunchOutcome outcome) {
    Container& container = *containers_.find(token);
    container.process = std::move(outcome.process);
    container.cgroup = std::move(outcome.cgroup);
    container.users = std::move(outcome.users);
    Times& times = container.outcome.times;
    times.cloned = outcome.times.cloned;
    times.isolated = outcome.times.isolated;
    times.executed = outcome.times.executed;
    container.outcome.pid = container.process ? container.process->pid : -1;
    if (container.process && !container.process->pidfd)
        hold_process(container, outcome);
    if (outcome.error) {
        container.outcome.error = std::move(outcome.error);
        raise(container, Event::failed);
        return;
    }
    raise(container, Event::launched);
    if (outcome.terminal)
        observer_.terminal_opened(container.subject(), std::move(outcome.terminal));
    observer_.started(container.subject(), container.outcome);
    for (const Signal& signal : std::exchange(container.pending, {}))
        send(container, signal);
}

// It was launched with descriptors that are not ours. Nobody else reaps it, so the pid is its own.
void Supervisor::hold_process(Container& container, isolation::LaunchOutcome& outcome) {
    auto pidfd = sys::pidfd_open(container.process->pid);
    if (pidfd) {
        container.process->pidfd = std::move(*pidfd);
        return;
    }
    // Out of descriptors: what cannot be watched cannot run.
    end_now(container.process, container.cgroup);
    container.process.reset();
    if (!outcome.error)
        outcome.error = std::move(pidfd).error().in("watch the container");
}

void Supervisor::abandon() {
    containers_.for_each([](Container& container) {
        end_now(container.process, container.cgroup);
        container.cgroup.reset();
    });
}

void Supervisor::abandon(isolation::LaunchOutcome outcome) {
    end_now(outcome.process, outcome.cgroup);
}

void Supervisor::forward(const Signal& signal) {
    containers_.for_each([&](Container& container) { send(container, signal); });
}

void Supervisor::stop(const Signal& signal) {
    containers_.for_each([&](Container& container) { stop(container, signal); });
}

void Supervisor::stop(Token token, const Signal& signal) {
    if (Container* container = containers_.find(token))
        stop(*container, signal);
}

void Supervisor::stop(Container& container, const Signal& signal) {
    if (container.status != Status::draining && !container.stop_requested) {
        container.stop_requested = true;
        observer_.stopping(container.subject());
    }
    send(container, signal);
    raise(container, Event::stop_requested);
}

Result<void> Supervisor::update(Token token, std::shared_ptr<const Spec> spec) {
    Container* container = containers_.find(token);
    if (!container || container->status != Status::running)
        return {};  // it ends: the next start has them
    if (container->spec().resources != spec->resources) {
        if (!container->cgroup)
            return failure("its limits cannot be changed: it has no cgroup");
        TRY(container->cgroup->apply(spec->resources), "change its limits");
    }
    container->start.spec = std::move(spec);
    return {};
}

void Supervisor::complete(const Completion& completion) {
    Container* container = containers_.find(completion.token);
    if (!container || !is_armed(*container, completion.token.operation))
        return;  // late, for a container that is gone, or told twice
    const Token token = completion.token;
    container->armed &= ~bit(token.operation);
    const bool cancelled = completion.result == -ECANCELED;
    switch (token.operation) {
        case Operation::exit:
            on_exit(*container);
            break;
        case Operation::oom:
            if (!cancelled && container->status != Status::draining)
                on_memory_events(*container);
            else
                try_empty(*container);
            break;
        case Operation::emptied:
            try_empty(*container);
            break;
        case Operation::grace_over:
            if (!cancelled)
                raise(*container, Event::grace_over);
            break;
        case Operation::timed_out:
            if (!cancelled) {
                container->timed_out =
                    transition(container->status, Event::timed_out).actions & kKill;
                raise(*container, Event::timed_out);
            }
            break;
        case Operation::none:
        case Operation::readable:
        case Operation::restart:
        case Operation::read_out:
        case Operation::read_err:
        case Operation::write:
        case Operation::writable:
        case Operation::end_of_input:
        case Operation::connection:
            break;
    }
    containers_.landed(token);  // last: it may free the container
}

void Supervisor::raise(Container& container, Event event) {
    const Transition step = transition(container.status, event);
    container.status = step.next;
    if (step.actions & kWatch)
        watch(container);
    if (step.actions & kStartTimeout && container.spec().timeout)
        arm_timer(container, Operation::timed_out,
                  container.outcome.times.executed + *container.spec().timeout);
    if (step.actions & kStartGrace)
        arm_timer(container, Operation::grace_over,
                  sys::monotonic_now() + container.spec().stop_timeout);
    if (step.actions & kCancelLaunch)
        launcher_.cancel(container.token);
    if (step.actions & kKill)
        kill(container);
    if (step.actions & kDrain)
        drain(container);
    if (step.actions & kFinish)
        finish(container);
}

void Supervisor::watch(Container& container) {
    if (!container.process) {  // the launch failed before there was one
        raise(container, Event::exited);
        return;
    }
    arm_poll(container, Operation::exit, container.process->pidfd.get(), POLLIN);
    if (!container.cgroup)
        return;
    auto has_memory = container.cgroup->open_memory_events();
    if (!has_memory)
        observer_.warning(container.subject(), has_memory.error());
    else if (*has_memory)
        on_memory_events(container);  // what has happened already, and arms the watch
    if (container.spec().resources.oom_group && !container.outcome.error) {
        // Only now that the container shares no memory with us: the kernel kills every task of the
        // group, and every process that shares memory with one of them.
        auto set = container.cgroup->write("memory.oom.group", "1");
        if (!set)
            observer_.warning(container.subject(),
                              std::move(set).error().in("--oom-group: write memory.oom.group"));
    }
}

void Supervisor::kill(Container& container) {
    if (container.cgroup && container.cgroup->kill())
        return;
    (void)sys::pidfd_send_signal(container.process->pidfd.get(), SIGKILL);
}

// ---- the end ----------------------------------------------------------------------------------

// A failed poll comes here too: the wait below tells what is true, and what isn't is asked for
// again.
void Supervisor::on_exit(Container& container) {
    container.outcome.times.exit_seen = sys::monotonic_now();
    auto exit = reap(container);
    if (exit && !*exit) {
        arm_poll(container, Operation::exit, container.process->pidfd.get(), POLLIN);
        return;
    }
    if (exit) {
        container.outcome.status = (*exit)->status;
        container.outcome.usage = (*exit)->usage;
    } else {
        // Without a status there is nothing to pass on: the supervisor has failed, not the command.
        container.outcome.error = std::move(exit).error().in("wait for the container's end");
    }
    container.outcome.times.reaped = sys::monotonic_now();
    raise(container, Event::exited);
}

// The init's exit code cannot tell 143 from SIGTERM; its name can, for as long as it isn't reaped.
Result<std::optional<Exit>> Supervisor::reap(const Container& container) {
    const int pidfd = container.process->pidfd.get();
    if (!container.spec().init || container.outcome.error)
        return sys::wait_exited(pidfd);
    auto seen = sys::peek_exited(pidfd);
    if (!seen || !*seen)
        return seen;
    const int signal = (*seen)->status.is_signal() ? 0 : (*seen)->status.exit_code() - 128;
    if (signal > 0 && is_named_signaled(container.process->pid))
        (*seen)->status = ExitStatus::signaled(signal);
    (void)sys::wait_exited(pidfd);
    return seen;
}

void Supervisor::drain(Container& container) {
    for (Operation operation : {Operation::grace_over, Operation::timed_out, Operation::oom})
        disarm(container, operation);
    try_empty(container);
}

// A poll armed on memory.events would never complete after the rmdir: its cancellation comes first.
void Supervisor::try_empty(Container& container) {
    if (container.status != Status::draining || is_armed(container, Operation::oom) ||
        is_armed(container, Operation::emptied))
        return;
    if (!container.cgroup) {
        conclude(container);
        return;
    }
    auto removed = remove_cgroup(container);
    if (!removed) {
        observer_.warning(container.subject(), removed.error());
        account_memory(container);
    }
    if (!removed || *removed)
        conclude(container);
}

// False: a process is left in it, from outside the pid namespace or not yet let go of by the
// kernel. It was killed, and the cgroup's emptiness is watched for.
Result<bool> Supervisor::remove_cgroup(Container& container) {
    isolation::Cgroup& cgroup = *container.cgroup;
    for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
        // The counters are final only once nothing runs; without them, rmdir itself tells.
        const bool counts_memory = cgroup.memory_events_fd() >= 0;
        if (!counts_memory || !TRY(cgroup.is_populated())) {
            account_memory(container);
            auto removed = cgroup.remove();
            if (removed)
                return true;
            if (!removed.error().is(EBUSY))
                return tl::unexpected(std::move(removed).error());
        }
        const int events = TRY(cgroup.open_cgroup_events());
        if (!TRY(cgroup.is_populated()))  // reading it arms the next POLLPRI
            continue;                     // it became empty in between
        (void)cgroup.kill();
        arm_poll(container, Operation::emptied, events, POLLPRI);
        return false;
    }
    return failure("cgroup {} is empty and cannot be removed", cgroup.path());
}

void Supervisor::conclude(Container& container) {
    container.outcome.times.cleaned = sys::monotonic_now();
    container.outcome.cause = cause_of(container);
    container.cgroup.reset();
    raise(container, Event::emptied);
}

void Supervisor::finish(Container& container) {
    --live_;
    observer_.ended(container.subject(), std::move(container.outcome));
    containers_.retire(container.token);
}

Cause Supervisor::cause_of(const Container& container) const {
    if (container.outcome.error)
        return Cause::failed;
    if (container.timed_out)
        return Cause::timeout;
    const bool killed = container.outcome.status.exit_code() == 128 + SIGKILL;
    if (killed && container.outcome.memory.oom_kill > 0)
        return Cause::oom;
    if (container.stop_requested)
        return Cause::stopped;
    return container.outcome.status.is_signal() ? Cause::signaled : Cause::exited;
}

// ---- memory -----------------------------------------------------------------------------------

void Supervisor::on_memory_events(Container& container) {
    account_memory(container);
    if (container.status != Status::draining)
        arm_poll(container, Operation::oom, container.cgroup->memory_events_fd(), POLLPRI);
}

// Reads the counters, and reports the kills that are new. A fresh cgroup counts from zero.
void Supervisor::account_memory(Container& container) {
    isolation::Cgroup& cgroup = *container.cgroup;
    if (cgroup.memory_events_fd() < 0)
        return;
    auto events = cgroup.read_memory_events();
    if (!events) {
        // A scope's cgroup goes as soon as it is empty: systemd does that, whoever still reads.
        if (!events.error().is(ENODEV))
            observer_.warning(container.subject(), events.error());
        return;
    }
    const uint64_t killed_before = container.outcome.memory.oom_kill;
    container.outcome.memory = *events;
    if (auto peak = cgroup.read_number("memory.peak"))  // Linux 5.19
        container.outcome.memory_peak = *peak;
    if (events->oom_kill <= killed_before)
        return;
    if (auto limit = cgroup.read_number("memory.max"))
        container.outcome.memory_max = *limit;
    observer_.out_of_memory(container.subject(), container.outcome);
}

// ---- signals ----------------------------------------------------------------------------------

void Supervisor::send(Container& container, const Signal& signal) {
    switch (container.status) {
        case Status::launching:
        case Status::aborting:
        case Status::cancelling:
            hold(container, signal);
            break;
        case Status::running:
        case Status::stopping:
        case Status::killing:
            // ESRCH: it has ended, and its exit is on its way.
            (void)sys::pidfd_send_signal(container.process->pidfd.get(), signal.number,
                                         signal.value);
            break;
        case Status::failing:
        case Status::draining:
        case Status::gone:
            break;
    }
}

// As the kernel holds what is blocked (signal(7)): a standard signal once, of real-time ones each,
// up to a bound. Many may be waiting to be launched.
void Supervisor::hold(Container& container, const Signal& signal) {
    constexpr size_t kMostHeld = 128;
    std::vector<Signal>& held = container.pending;
    const bool is_there = signal.number < SIGRTMIN &&
                          std::ranges::find(held, signal.number, &Signal::number) != held.end();
    if (!is_there && (signal.number < SIGRTMIN || held.size() < kMostHeld))
        held.push_back(signal);
}

// ---- the ring ---------------------------------------------------------------------------------

bool Supervisor::is_armed(const Container& container, Operation operation) const {
    return container.armed & bit(operation);
}

void Supervisor::arm_poll(Container& container, Operation operation, int fd, uint32_t events) {
    container.armed |= bit(operation);
    containers_.launched(container.token);
    reactor_.ring().poll(container.token.with(operation), fd, events);
}

void Supervisor::arm_timer(Container& container, Operation operation, Time at) {
    container.armed |= bit(operation);
    containers_.launched(container.token);
    reactor_.ring().timer(container.token.with(operation), at);
}

void Supervisor::disarm(Container& container, Operation operation) {
    if (is_armed(container, operation))
        reactor_.ring().cancel(container.token.with(operation));
}

}  // namespace sigil::loop
