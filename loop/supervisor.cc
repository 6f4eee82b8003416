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

namespace sigil::loop {
namespace {

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
    (void)sys::reap(process->pid);
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
    if (container.cgroup && container.cgroup->memory_events_fd() >= 0)
        on_memory_events(container);  // what has happened already, and arms the watch
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
    // Without a grace period it could do nothing about the signal but wake up for it.
    if (container.has_grace())
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
    if (step.actions & kStartGrace && container.has_grace())
        arm_timer(container, Operation::grace_over,
                  sys::monotonic_now() + container.spec().stop_timeout);
    else if (step.actions & kStartGrace)
        raise(container, Event::grace_over);
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
    else if (*has_memory && container.outcome.error)  // else once its start is told
        on_memory_events(container);
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
