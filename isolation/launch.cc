#include "isolation/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/clone.h"
#include "isolation/init_image.h"
#include "isolation/launch_plan.h"
#include "isolation/mount_options.h"
#include "isolation/users.h"

namespace sigil::isolation {
namespace {

// The deepest frame of the child holds two paths of 4 KiB.
constexpr size_t kStackSize = 24UL * 1024;

struct Stacks {
    alignas(16) char first[kStackSize];
    alignas(16) char second[kStackSize];
};

// A thread has one launch under way at a time: the stacks are its child's until then.
thread_local Stacks stacks;

mount_attr attributes_for(uint64_t set, uint64_t clear, uint64_t propagation) {
    mount_attr attributes = {};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    attributes.propagation = propagation;
    return attributes;
}

// The detached clone of a directory or file of the host, cut off from its propagation.
Result<Fd> clone_tree(int directory, const char* path, bool recursive, uint64_t attributes) {
    const unsigned recurse = recursive ? AT_RECURSIVE : 0;
    Fd tree = TRY(sys::open_tree(directory, path, OPEN_TREE_CLONE | AT_EMPTY_PATH | recurse));
    TRY(sys::mount_setattr(tree.get(), recurse, attributes_for(attributes, 0, MS_PRIVATE)));
    return tree;
}

// Everything below the root's own mount; that one stays writable until its mount points are made.
Result<void> make_read_only_below(int tree) {
    TRY(sys::mount_setattr(tree, AT_RECURSIVE, attributes_for(MOUNT_ATTR_RDONLY, 0, 0)));
    return sys::mount_setattr(tree, 0, attributes_for(0, MOUNT_ATTR_RDONLY, 0));
}

Result<Fd> open_bind(const Mount& mount, bool& is_directory) {
    MountFlags flags = TRY(parse_mount_options(mount.options, true));
    Fd tree = TRY(clone_tree(AT_FDCWD, mount.source.c_str(), flags.recursive_bind, 0), "open {}",
                  printable(mount.source));
    if (flags.recursive_set || flags.recursive_clear)
        TRY(sys::mount_setattr(tree.get(), AT_RECURSIVE,
                               attributes_for(flags.recursive_set, flags.recursive_clear, 0)),
            "set the options");
    if (flags.attributes_set || flags.attributes_clear)
        TRY(sys::mount_setattr(tree.get(), 0,
                               attributes_for(flags.attributes_set, flags.attributes_clear, 0)),
            "set the options");
    if (flags.propagation && flags.propagation != MS_PRIVATE)
        TRY(sys::mount_setattr(tree.get(), flags.recursive_propagation ? AT_RECURSIVE : 0,
                               attributes_for(0, 0, flags.propagation)),
            "set the propagation");
    struct statx facts = TRY(sys::stat(tree.get(), "", AT_EMPTY_PATH));
    is_directory = S_ISDIR(facts.stx_mode);
    return tree;
}

// The command's environment: a standard PATH, HOME and the like where the user says nothing.
std::vector<std::string> complete_environment(const Spec& spec, const User& user) {
    std::vector<std::string> env = spec.env;
    auto add = [&env](std::string_view name, std::string_view value) {
        const std::string prefix = std::string(name) + "=";
        auto is_set = [&prefix](const std::string& entry) { return entry.starts_with(prefix); };
        if (std::ranges::none_of(env, is_set))
            env.push_back(prefix + std::string(value));
    };
    add("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add("HOME", user.home);
    add("HOSTNAME", spec.hostname);
    add("container", "sigil");
    return env;
}

uint64_t namespace_flags() {
    // The network's is made by the child's helper, the cgroup's once the child is in its cgroup.
    return CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
}

[[noreturn]] void run_child(void* bootstrap) {
    run_bootstrap(*static_cast<const Bootstrap*>(bootstrap));
}

Time as_time(uint64_t nanoseconds) {
    return Time(static_cast<int64_t>(nanoseconds));
}

}  // namespace

struct Launch::Prepared {
    Fd rootfs;
    Fd root_tree;
    std::vector<Fd> binds;
    LaunchPlan plan;
};

Result<LaunchContext> LaunchContext::open(bool with_init) {
    LaunchContext context;
    context.cgroups = TRY(CgroupHost::find(), "find cgroup v2");
    context.supervisor = TRY(sys::pidfd_open(::getpid()));
    if (with_init)
        context.init_image = TRY(open_init_image());
    return context;
}

LaunchOutcome Launch::run() {
    LaunchOutcome outcome;
    auto done = prepare(outcome);
    if (done)
        done = clone(outcome);
    if (!done)
        outcome.error = std::move(done).error();
    return outcome;
}

void Launch::cancel() {
    // The child reads `cancelled` after the kernel has stored the pidfd; so whichever of the two
    // comes first is seen by the other side.
    report_.cancelled.store(true, std::memory_order_seq_cst);
    const int pidfd = pidfd_.load(std::memory_order_seq_cst);
    if (pidfd >= 0)
        (void)sys::pidfd_send_signal(pidfd, SIGKILL);
}

Result<void> Launch::prepare(LaunchOutcome& outcome) {
    prepared_ = {new Prepared, [](Prepared* prepared) { delete prepared; }};
    Prepared& prepared = *prepared_;
    OpenedSources sources;
    prepared.rootfs = TRY(sys::open(AT_FDCWD, spec_.rootfs.c_str(), O_PATH | O_DIRECTORY),
                          "--rootfs {}", printable(spec_.rootfs));
    // Devices are in /dev alone: a node elsewhere in the image opens nothing.
    prepared.root_tree = TRY(clone_tree(prepared.rootfs.get(), "", true, MOUNT_ATTR_NODEV),
                             "--rootfs {}", printable(spec_.rootfs));
    if (spec_.read_only_root)
        TRY(make_read_only_below(prepared.root_tree.get()), "--read-only");
    sources.root_tree = prepared.root_tree.get();
    sources.has_cgroup2 = context_.cgroups.has_value();
    for (const Mount& mount : spec_.mounts) {
        OpenedSources::Bind bind;
        if (mount.type == "bind") {
            Fd tree = TRY(open_bind(mount, bind.is_directory), "{}", mount.origin);
            bind.tree = tree.get();
            prepared.binds.push_back(std::move(tree));
        }
        sources.binds.push_back(bind);
    }
    User user = TRY(find_user(prepared.rootfs.get(), spec_.user), "--user");
    ProcessSources process = {
        .uid = user.uid,
        .gid = user.gid,
        .groups = user.groups,
        .env = complete_environment(spec_, user),
        .ignored_signals = context_.ignored_signals,
        .supervisor = context_.supervisor.get(),
        .init_image = context_.init_image.get(),
    };
    if (spec_.init) {
        outcome.init_status = TRY(sys::eventfd(0, O_NONBLOCK));
        process.init_status = outcome.init_status.get();
    }
    TRY(plan_mounts(spec_, sources, prepared.plan));
    plan_process(spec_, process, prepared.plan);
    outcome.cgroup = TRY(Cgroup::create(context_.cgroups ? &*context_.cgroups : nullptr, spec_));
    return {};
}

Result<void> Launch::clone(LaunchOutcome& outcome) {
    const LaunchPlan& plan = prepared_->plan;
    const Bootstrap bootstrap = {
        .setup = plan.setup,
        .target = plan.target,
        .init = plan.init,
        .root = prepared_->root_tree.get(),
        .report = &report_,
        .second_stack = stacks.second,
        .second_stack_size = sizeof stacks.second,
    };
    int pidfd = -1;
    clone_args arguments = {};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | namespace_flags();
    arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd_);
    static_assert(sizeof pidfd_ == sizeof(int));
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uint64_t>(stacks.first);
    arguments.stack_size = sizeof stacks.first;
    if (outcome.cgroup) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = static_cast<uint64_t>(outcome.cgroup->directory());
    }
    outcome.times.cloned = sys::monotonic_now();
    const long pid = clone_onto_stack(&arguments, run_child, const_cast<Bootstrap*>(&bootstrap));
    const Time returned = sys::monotonic_now();
    if (pid < 0)
        return tl::unexpected(
            Error::from_errno(static_cast<int>(-pid), "clone3").in("create the container"));
    pidfd = pidfd_.load();
    outcome.process = Process{static_cast<pid_t>(pid), Fd(pidfd)};
    outcome.times.isolated = as_time(report_.isolated_ns);
    outcome.times.executed = report_.executed_ns ? as_time(report_.executed_ns) : returned;
    if (report_.failed.load(std::memory_order_acquire))
        return tl::unexpected(failed_step(outcome));
    return {};
}

// The child's report in the user's words.
Error Launch::failed_step(LaunchOutcome& outcome) const {
    const LaunchPlan& plan = prepared_->plan;
    const std::vector<Step>& steps = report_.phase == Phase::setup    ? plan.setup
                                     : report_.phase == Phase::target ? plan.target
                                                                      : plan.init;
    const Step& step = steps[report_.step];
    Error error = Error::from_errno(report_.error, "launch")
                      .in(report_.fork_failed ? "start the command's process" : describe(step));
    if (!report_.fork_failed && step.kind == StepKind::exec_command) {
        if (report_.error != ENOENT)
            return std::move(error).exiting(kExitNotExecutable);
        if (report_.interpreter_missing)
            error = std::move(error).in("the interpreter it names is not in the container");
        return std::move(error).exiting(kExitNotFound);
    }
    // A limit below what the kernel itself needs to set the container up fails here, in a system
    // call.
    // ENOSPC: a tmpfs that could not charge a page.
    const bool no_memory = report_.error == ENOMEM || report_.error == ENOSPC;
    if (no_memory && spec_.resources.memory && outcome.cgroup)
        error = std::move(error).in(fmt::format("--memory {}: too small to start in",
                                                format_size(*spec_.resources.memory)));
    if (report_.error == EAGAIN && spec_.resources.pids)
        error = std::move(error).in(
            fmt::format("--pids-limit {}: too small to start in", *spec_.resources.pids));
    return error;
}

}  // namespace sigil::isolation
