#include "isolation/launch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/clone.h"
#include "isolation/clone_there.h"
#include "isolation/embedded.h"
#include "isolation/launch_plan.h"
#include "isolation/launch_prepared.h"
#include "isolation/namespaces.h"
#include "isolation/notify_socket.h"
#include "isolation/shared_roots.h"

namespace sigil::isolation {
namespace {

// The deepest frame of the child holds two paths of 4 KiB.
constexpr size_t kStackSize = 24UL * 1024;

constexpr size_t kHelperStackSize = 4UL * 1024;

struct Stacks {
    alignas(16) char first[kStackSize];
    alignas(16) char second[kStackSize];
    alignas(16) char helper[kHelperStackSize];  // of clone_there()
};

// A thread has one launch under way at a time: the stacks are its child's until then. Not in the
// thread's own block, all of which libc writes zeros to: most of it is never used.
Stacks& stacks() {
    thread_local std::unique_ptr<Stacks> own(new Stacks);
    return *own;  // NOLINT(clang-analyzer-cplusplus.NewDelete): it lives as long as its thread
}

// On a stack that no sanitizer knows, which asks for it before a call that does not return.
[[noreturn]] __attribute__((no_sanitize("address", "undefined"))) void run_child(void* bootstrap) {
    run_bootstrap(*static_cast<const Bootstrap*>(bootstrap));
}

// An error of the command's execve: with the exit code that shells have for it.
Error command_failure(Error error, bool interpreter_missing) {
    if (!error.is(ENOENT))
        return std::move(error).exiting(kExitNotExecutable);
    if (interpreter_missing)
        error = std::move(error).in("the interpreter it names is not in the container");
    return std::move(error).exiting(kExitNotFound);
}

// The same of a bundle. Engines look for the words that Go has for it, all in lower case: Docker's
// 127 comes from "executable file not found" or "no such file or directory", its 126 from
// "permission denied".
Error bundle_command_failure(int code, const std::string& command, bool interpreter_missing) {
    std::string description = strerrordesc_np(code) ? strerrordesc_np(code) : "unknown error";
    description[0] = static_cast<char>(::tolower(static_cast<unsigned char>(description[0])));
    std::string_view reason;
    if (interpreter_missing)
        reason = "the interpreter it names is not in the container: ";
    else if (code == ENOENT && command.find('/') == std::string::npos)
        reason = "executable file not found in $PATH: ";
    return Error::because(fmt::format("{}: {}{}", command, reason, description))
        .exiting(code == ENOENT ? kExitNotFound : kExitNotExecutable);
}

}  // namespace

Result<LaunchContext> LaunchContext::open(bool with_init, std::string group, RunRecord* record) {
    LaunchContext context;
    if (auto found = TRY(CgroupHost::find(), "find cgroup v2"))
        context.cgroups = std::make_unique<CgroupHost>(std::move(*found));
    context.cgroup_parents =
        std::make_unique<CgroupParents>(context.cgroups.get(), std::move(group), record);
    context.device_filters = std::make_unique<DeviceFilters>();
    context.seccomp_programs = std::make_unique<SeccompPrograms>();
    context.user_ranges = std::make_unique<UserRanges>(record ? record->root() : kDefaultRoot);
    if (record)  // else it launches bundles alone, which say what they are in
        context.own_users = TRY(isolation::own_users());
    context.supervisor = TRY(sys::pidfd_open(::getpid()));
    if (with_init)
        context.init_image = TRY(open_init_image());
    return context;
}

LaunchOutcome Launch::run() {
    LaunchOutcome outcome;
    auto done = request_.spec.oci ? prepare_bundle(outcome) : prepare(outcome);
    if (done)
        done = prepared_->parked  ? await_command(outcome)
               : prepared_->child ? clone_staged(outcome)
                                  : clone(outcome);
    if (!done)
        outcome.error = std::move(done).error();
    if (outcome.cgroup)
        outcome.cgroup->close_directory();
    return outcome;
}

Fd Launch::take_network() {
    return prepared_ && leaves_network_alone(request_.spec) ? std::move(prepared_->network) : Fd();
}

void Launch::cancel() {
    // The child reads `cancelled` after the kernel has stored its pid; so whichever of the two
    // comes first is seen by the other side. Nobody reaps it before the outcome is taken over, so
    // the pid is still its own.
    report_.cancelled.store(true, std::memory_order_seq_cst);
    const pid_t pid = pid_.load(std::memory_order_seq_cst);
    if (pid > 0)
        (void)::kill(pid, SIGKILL);
}

Result<void> Launch::open_streams(Prepared& prepared, ProcessSources& process) {
    process.streams = request_.streams;
    if (!site_)
        return {};
    for (int& stream : process.streams) {
        if (stream < 0)
            continue;
        Fd copy = TRY(sys::pidfd_getfd(context_.supervisor.get(), stream), "pass a stream on");
        stream = copy.get();
        prepared.streams.push_back(std::move(copy));
    }
    return {};
}

// What sd_notify(3) and sd_watchdog_enabled(3) of the command look for.
Result<void> Launch::open_notify(Prepared& prepared, OpenedSources& sources,
                                 ProcessSources& process) {
    if (request_.notify_mount < 0)
        return {};
    sources.notify_mount = request_.notify_mount;
    if (site_) {
        Fd copy = TRY(sys::pidfd_getfd(context_.supervisor.get(), request_.notify_mount),
                      "pass --notify's mount on");
        sources.notify_mount = copy.get();
        prepared.streams.push_back(std::move(copy));
    }
    auto set = [&process](const char* name, const std::string& value) {
        const std::string prefix = std::string(name) + "=";
        std::erase_if(process.env, [&](const std::string& v) { return v.starts_with(prefix); });
        process.env.push_back(prefix + value);
    };
    set("NOTIFY_SOCKET", kNotifySocketInside);
    if (!context_.watchdog_usec.empty()) {
        set("WATCHDOG_USEC", context_.watchdog_usec);
        set("WATCHDOG_PID", std::to_string(command_pid(request_.spec)));
    }
    return {};
}

Result<void> Launch::prepare(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    prepared_ = {new Prepared, [](Prepared* prepared) { delete prepared; }};
    Prepared& prepared = *prepared_;
    OpenedSources sources;
    TRY(open_root(outcome, sources));
    sources.has_cgroup2 = context_.cgroups != nullptr;
    const bool has_own_users = prepared.users.has_value();
    const std::string& hostname = spec.hostname.empty() ? request_.name : spec.hostname;
    ProcessSources process = {
        .ignored_signals = context_.ignored_signals,
        .supervisor = context_.supervisor.get(),
        .init_image = context_.init_image.get(),
        .in_user_namespace = sources.in_user_namespace,
        // Who joins a user namespace has all bits set in it (set_cred_user_ns(), the kernel's
        // kernel/user_namespace.c), whatever was dropped before.
        .bounding = site_ && !has_own_users ? site_->bounding() : std::nullopt,
    };
    TRY(take_user(process, hostname));
    TRY(open_streams(prepared, process));
    if (process.uid != 0 || has_own_users)
        give_pipes(process);
    if (spec.terminal) {
        prepared.terminal = TRY(sys::socket_pair(SOCK_SEQPACKET), "--tty");
        process.terminal = prepared.terminal->child.get();
    }
    TRY(open_notify(prepared, sources, process));
    if (!is_parking_ && take_parked(outcome, process, hostname))
        return {};
    if (is_parking_) {
        prepared.child.emplace(TRY(StagedChild::open(-1)));
        process.channel = prepared.child->channel();
        process.is_parked = true;
    }
    // One that is ready belongs to the supervisor's user namespace: root of another could not
    // configure it.
    if (site_ && spec.network == Network::none && !has_own_users) {
        prepared.network = site_->take_network(spec);
        sources.network = prepared.network.get();
        sources.is_busy = is_parking_ || site_->is_busy();
    }
    TRY(plan_mounts(spec, hostname, sources, prepared.plan));
    plan_process(spec, process, prepared.plan);
    return make_cgroup(outcome);
}

Result<void> Launch::clone(LaunchOutcome& outcome) {
    const LaunchPlan& plan = prepared_->plan;
    const Bootstrap bootstrap = {
        .setup = plan.setup,
        .target = plan.target,
        .init = plan.init,
        .root = prepared_->trees.root.get(),
        .report = &report_,
        .second_stack = stacks().second,
        .second_stack_size = sizeof stacks().second,
    };
    int pidfd = -1;
    clone_args arguments = {};
    arguments.flags =
        CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | new_namespace_flags(request_.spec);
    arguments.parent_tid = reinterpret_cast<uint64_t>(&pid_);
    static_assert(sizeof pid_ == sizeof(pid_t));
    if (!site_) {
        arguments.flags |= CLONE_PIDFD;
        arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    }
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uint64_t>(stacks().first);
    arguments.stack_size = sizeof stacks().first;
    const int cgroup = outcome.cgroup ? outcome.cgroup->directory() : -1;
    outcome.times.cloned = sys::monotonic_now();
    const long pid = start_child(arguments, cgroup, bootstrap);
    const Time returned = sys::monotonic_now();
    if (pid == -ECANCELED)
        return failure("create the container: who was to clone it was killed");
    if (pid < 0)
        return tl::unexpected(
            Error::from_errno(static_cast<int>(-pid), "clone3").in("create the container"));
    outcome.process = Process{static_cast<pid_t>(pid), Fd(pidfd)};
    await_others(outcome.process->pid);
    outcome.times.isolated = time_of(report_.isolated_ns);
    outcome.times.executed = report_.executed_ns ? time_of(report_.executed_ns) : returned;
    if (report_.failed.load(std::memory_order_acquire))
        return tl::unexpected(failed_step(outcome));
    return request_.spec.terminal ? receive_terminal(outcome) : Result<void>();
}

// PID 1's own death ends our wait as its execve does, and for a moment its helper thread or the
// command's process outlives it: they run on our stacks, and the kernel clears the thread's id
// there (CLONE_CHILD_CLEARTID). The death of all is seen before the stacks are the next launch's.
void Launch::await_others(pid_t pid) const {
    const bool has_executed =
        request_.spec.init ? report_.executed_ns != 0 : report_.isolated_ns != 0;
    if (!has_executed)
        (void)sys::await_death(pid);
}

// In the container's user namespace, where it has one of its own: what clone3 makes belongs to it.
long Launch::start_child(clone_args& arguments, int cgroup, const Bootstrap& bootstrap) {
    auto* argument = const_cast<Bootstrap*>(&bootstrap);
    if (!prepared_->user_namespace) {
        if (cgroup >= 0) {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = static_cast<uint64_t>(cgroup);
        }
        return clone_onto_stack(&arguments, run_child, argument);
    }
    CloneThere there = {.user_namespace = prepared_->user_namespace.get(),
                        .cgroup = cgroup,
                        .arguments = arguments,
                        .body = run_child,
                        .argument = argument,
                        .helper_stack = stacks().helper,
                        .helper_stack_size = sizeof stacks().helper};
    const long cloned = clone_there(there);
    // A helper that was killed has not told of its child, which goes with it: nobody waits for the
    // child's execve any more, and it may be on our stacks.
    const pid_t known = pid_.load(std::memory_order_seq_cst);
    if (cloned >= 0 || known <= 0)
        return cloned;
    (void)::kill(known, SIGKILL);  // not reaped yet: the pid is its own
    (void)sys::await_death(known);
    return known;
}

// It was sent before the execve that ended our wait. The child's end is closed first, so that a
// child that was killed on its way gives an end of file.
Result<void> Launch::receive_terminal(LaunchOutcome& outcome) {
    prepared_->terminal->child.reset();
    auto word = TRY(StagedChild::next(prepared_->terminal->parent.get()), "receive the terminal");
    if (word)
        outcome.terminal = std::move(word->passed);
    return {};
}

Error execution_failure(const StageMessage& message, const Spec& spec) {
    return bundle_command_failure(message.error, spec.args[0], message.interpreter_missing != 0);
}

Error Launch::failed_step(LaunchOutcome& outcome, const StageMessage& message) {
    report_.phase = static_cast<Phase>(message.phase);
    report_.step = message.step;
    report_.error = message.error;
    report_.interpreter_missing = message.interpreter_missing != 0;
    report_.fork_failed = message.fork_failed != 0;
    return failed_step(outcome);
}

// The child's report in the user's words.
Error Launch::failed_step(LaunchOutcome& outcome) const {
    const LaunchPlan& plan = prepared_->plan;
    const std::vector<Step>& steps = report_.phase == Phase::setup    ? plan.setup
                                     : report_.phase == Phase::target ? plan.target
                                                                      : plan.init;
    const Step& step = steps[report_.step];
    const bool is_command =
        step.kind == StepKind::exec_command || step.kind == StepKind::find_command;
    if (!report_.fork_failed && is_command && request_.bundle)
        return bundle_command_failure(report_.error, request_.spec.args[0],
                                      report_.interpreter_missing);
    Error error = Error::from_errno(report_.error, "launch")
                      .in(report_.fork_failed ? "start the command's process" : describe(step));
    if (!report_.fork_failed && is_command)
        return command_failure(std::move(error), report_.interpreter_missing);
    // A limit below what the kernel itself needs to set the container up fails here, in a system
    // call.
    // ENOSPC: a tmpfs that could not charge a page; E2BIG: the init's arguments found none;
    // ENOBUFS: a network namespace, whose notes of its devices found none (7.2).
    const bool no_memory = report_.error == ENOMEM || report_.error == ENOSPC ||
                           report_.error == E2BIG || report_.error == ENOBUFS;
    if (no_memory && request_.spec.resources.memory && outcome.cgroup)
        error = std::move(error).in(fmt::format("--memory {}: too small to start in",
                                                format_size(*request_.spec.resources.memory)));
    if (report_.error == EAGAIN && request_.spec.resources.pids)
        error = std::move(error).in(
            fmt::format("--pids-limit {}: too small to start in", *request_.spec.resources.pids));
    return error;
}

}  // namespace sigil::isolation
