#include "isolation/bootstrap.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>

#include "core/exit_code.h"
#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/clone.h"
#include "isolation/meeting.h"

namespace sigil::isolation {
namespace {

constexpr int kIoprioProcess = 1;  // IOPRIO_WHO_PROCESS (ioprio_set(2))

uint64_t now_ns() {
    timespec now = {};
    raw::call(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

long run(Child& child, const Step& step) {
    switch (step.kind) {
        case StepKind::make_mounts_private:
            return mount_call(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        case StepKind::open_root: {
            long root = raw::call(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
            child.places[static_cast<size_t>(Place::root)] = static_cast<int>(root);
            return root;
        }
        case StepKind::attach_root:
            // On top of "/": a place that is there in any mount namespace, and needs no walk.
            return raw::call(__NR_move_mount, step.fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
        case StepKind::pivot_root: {
            // New root and old on the same path: pivot_root(2), "pivot_root(".", ".")".
            long entered = enter(child, Place::root);
            return entered < 0 ? entered : raw::call(__NR_pivot_root, ".", ".");
        }
        case StepKind::detach_old_root:
            return raw::call(__NR_umount2, ".", MNT_DETACH);
        case StepKind::use_shared:
            return use_shared(child, step);
        case StepKind::new_mount:
            return new_mount(child, step);
        case StepKind::enter:
            return enter(child, step.place);
        case StepKind::mount_here:
            return mount_call(step.source, step.path, step.source, step.flags, step.data);
        case StepKind::make_directory: {
            long made = raw::call(__NR_mkdirat, AT_FDCWD, step.path, step.mode);
            return made == -EEXIST ? kDone : made;
        }
        case StepKind::make_link:
            return raw::call(__NR_symlinkat, step.source, AT_FDCWD, step.path);
        case StepKind::open_null: {
            long fd = raw::call(__NR_openat, AT_FDCWD, step.path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
            child.null_device = static_cast<int>(fd);
            return fd < 0 ? fd : kDone;
        }
        case StepKind::mask_file:
        case StepKind::mask_directory:
            return mask(child, step);
        case StepKind::bind_here:
            return bind_here(step);
        case StepKind::make_writable:
            return change_attributes(child.places[static_cast<size_t>(step.place)], 0,
                                     MOUNT_ATTR_RDONLY);
        case StepKind::attach_tree:
            return attach_tree(child, step);
        case StepKind::mount_at:
            return mount_at(child, step);
        case StepKind::read_only_root:
            return change_attributes(root_of(child), MOUNT_ATTR_RDONLY, 0);
        case StepKind::set_propagation:
            return mount_call(nullptr, "/", nullptr, step.flags, nullptr);
        case StepKind::open_proc:
            return open_proc(child);
        case StepKind::open_null_mask:
            return open_null_mask(child);
        case StepKind::bind_tree:
            return bind_tree(child, step);
        case StepKind::new_filesystem:
            return new_filesystem(child, step);
        case StepKind::mount_in_root:
            return mount_in_root(child, step);
        case StepKind::read_only_mount:
            return change_attributes(child.places[static_cast<size_t>(step.place)],
                                     MOUNT_ATTR_RDONLY, 0);
        case StepKind::enter_directory:
            return enter_directory(child, step.path);
        case StepKind::make_device:
            return make_device(step);
        case StepKind::ensure_link:
            return ensure_link(step);
        case StepKind::hide_host:
            return hide_host(step);
        case StepKind::change_root:
            return change_root(child);
        case StepKind::mask_path:
            return mask_path(child, step);
        case StepKind::protect_path:
            return protect_path(child, step);
        case StepKind::write_proc:
            return write_proc(child, step);
        case StepKind::begin_network:
            return begin_network(child);
        case StepKind::join_network:
            return join_network(child, step);
        case StepKind::unshare_cgroup:
            return raw::call(__NR_unshare, CLONE_NEWCGROUP);
        case StepKind::set_hostname:
            return raw::call(__NR_sethostname, step.source, step.flags);
        case StepKind::set_domainname:
            return raw::call(__NR_setdomainname, step.source, step.flags);
        case StepKind::raise_loopback:
            return raise_loopback();
        case StepKind::set_umask:
            raw::call(__NR_umask, step.mode);
            return kDone;
        case StepKind::new_session: {
            long session = raw::call(__NR_setsid);
            return session < 0 ? session : kDone;
        }
        case StepKind::new_keyring:
            return new_keyring();
        case StepKind::own_group:
            return own_group(step.flags != 0);
        case StepKind::set_rlimit:
            return set_rlimit(step);
        case StepKind::drop_bounding:
            return drop_bounding(step.flags);
        case StepKind::set_groups:
            return set_groups(*step.ids);
        case StepKind::set_capabilities:
            return set_capabilities(step.flags, step.flags, 0);
        case StepKind::no_new_privileges:
            return raw::call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        case StepKind::seccomp:
            return install_filter(child, step);
        case StepKind::set_ids:
        case StepKind::become_user:
            return become_user(step);
        case StepKind::keep_capabilities:
            return raw::call(__NR_prctl, PR_SET_KEEPCAPS, step.flags, 0, 0, 0);
        case StepKind::set_capability_sets:
            return set_capability_sets(step);
        case StepKind::set_scheduler:
            return raw::call(__NR_sched_setattr, 0, step.words, 0);
        case StepKind::set_io_priority:
            return raw::call(__NR_ioprio_set, kIoprioProcess, 0, step.flags);
        case StepKind::set_personality:
            return raw::call(__NR_personality, step.flags);
        case StepKind::set_memory_policy:
            return raw::call(__NR_set_mempolicy, step.mode, step.words, step.device);
        case StepKind::own_stream:
            return own_stream(step);
        case StepKind::enter_cwd:
            return enter_cwd(child, step);
        case StepKind::check_cwd:
            return check_cwd();
        case StepKind::change_directory:
            return change_directory(child, step.path);
        case StepKind::keep_descriptor:
            return raw::call(__NR_fcntl, step.fd, F_SETFD, 0);
        case StepKind::move_descriptor:
            return raw::call(__NR_dup3, step.fd, step.fd2, 0) < 0 ? -EBADF : kDone;
        case StepKind::move_passed:
            return raw::call(__NR_dup3, child.plan->passed[static_cast<size_t>(step.fd)], step.fd2,
                             0) < 0
                       ? -EBADF
                       : kDone;
        case StepKind::close_descriptors:
            return raw::call(__NR_close_range, step.flags, step.device, 0);
        case StepKind::close_on_exec:
            return raw::call(__NR_close_range, step.flags, step.device, CLOSE_RANGE_CLOEXEC);
        case StepKind::reset_signal:
            return reset_signal(step.fd);
        case StepKind::unblock_signals:
            return unblock_signals();
        case StepKind::die_with_parent:
            return die_with_parent(step.fd);
        case StepKind::exec_command:
            return exec_command(child, step);
        case StepKind::join_namespace:
            return raw::call(__NR_setns, step.fd, step.flags);
        case StepKind::set_undumpable:
            return raw::call(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
        case StepKind::meet_parent:
            return meet_parent(child.plan->channel, static_cast<uint32_t>(step.flags));
        case StepKind::open_console:
            return console(child, step);
        case StepKind::pass_listener:
            return pass_listener(child);
        case StepKind::find_command:
            return find_command(*step.exec);
        case StepKind::await_start:
            return await_start(child.plan->channel, step.fd);
        case StepKind::exec_init:
            return raw::call(__NR_execveat, step.fd, "", step.exec->argv, step.exec->envp,
                             AT_EMPTY_PATH);
    }
    return -EINVAL;
}

// False: a step has failed, and the report says which.
bool interpret(Child& child, std::span<const Step> steps, Phase phase) {
    LaunchReport& report = *child.plan->report;
    for (uint32_t index = 0; index < steps.size(); ++index) {
        if (report.cancelled.load(std::memory_order_relaxed)) [[unlikely]]
            leave();
        long result = run(child, steps[index]);
        if (result >= 0) [[likely]]
            continue;
        report.phase = phase;
        report.step = index;
        report.error = static_cast<int>(-result);
        report.failed.store(true, std::memory_order_release);
        return false;
    }
    return true;
}

void run_steps(Child& child, std::span<const Step> steps, Phase phase) {
    if (interpret(child, steps, phase)) [[likely]]
        return;
    if (child.plan->channel >= 0)
        tell_failure(child.plan->channel, *child.plan->report);
    leave();
}

[[noreturn]] void run_target(void* argument) {
    auto& child = *static_cast<Child*>(argument);
    run_steps(child, child.plan->target, Phase::target);
    leave();
}

// The command's process, PID 2, is started before the init's own execve: it never waits for that.
void fork_target(Child& child) {
    LaunchReport& report = *child.plan->report;
    // Not clone3: the container's filter may be there already, and knows none.
    long pid = clone_onto_stack(
        CLONE_VM | CLONE_VFORK | SIGCHLD,
        static_cast<char*>(child.plan->second_stack) + child.plan->second_stack_size, run_target,
        &child);
    if (pid < 0) {
        report.phase = Phase::target;
        report.error = static_cast<int>(-pid);
        report.fork_failed = true;
        report.failed.store(true, std::memory_order_release);
    }
    if (report.failed.load(std::memory_order_acquire)) {
        if (child.plan->channel >= 0)  // the command's process may not have been let tell
            tell_failure(child.plan->channel, report);
        leave();
    }
    report.executed_ns = now_ns();
    if (child.plan->channel >= 0)
        tell_executed(child.plan->channel, report);
}

}  // namespace

[[noreturn]] void leave() {
    for (;;) {
        raw::call(__NR_exit_group, kExitRuntimeFailure);
        __builtin_trap();  // the container's filter has refused it
    }
}

bool run_in_this_thread(const Bootstrap& bootstrap) {
    Child child = {.plan = &bootstrap};
    child.places[static_cast<size_t>(Place::root)] = bootstrap.root;
    return interpret(child, bootstrap.setup, Phase::setup);
}

void run_bootstrap(const Bootstrap& bootstrap) {
    Child child = {.plan = &bootstrap};
    child.places[static_cast<size_t>(Place::root)] = bootstrap.root;
    run_steps(child, bootstrap.setup, Phase::setup);
    bootstrap.report->isolated_ns = now_ns();
    Bootstrap whole = bootstrap;
    child.plan = &whole;
    if (whole.await_rest && whole.await_rest(whole) < 0)
        leave();
    if (!whole.init.empty()) {
        const int place = child.place;
        fork_target(child);
        child.place = place;  // the command's process has moved, PID 1 has not
        run_steps(child, whole.init, Phase::init);
    }
    run_steps(child, whole.target, Phase::target);
    leave();
}

}  // namespace sigil::isolation
