// How the supervisor ends a container: its exit is reaped, its cgroup emptied and removed, and what
// the memory controller has counted is told first.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/init/protocol.h"
#include "loop/supervisor.h"

namespace sigil::loop {
namespace {

constexpr int kRemoveAttempts = 100;

// Whether the init of that pid told by its name that a signal has killed the command.
bool is_named_signaled(pid_t pid) {
    auto comm = sys::read_file(AT_FDCWD, fmt::format("/proc/{}/comm", pid).c_str());
    return comm && comm->starts_with(isolation::kSignaledName);
}

}  // namespace

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
    if (!container.outcome.error)  // else nobody has seen that its processes are gone
        launcher_.ended(container.token);
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

}  // namespace sigil::loop
