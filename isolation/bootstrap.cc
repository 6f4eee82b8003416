#include "isolation/bootstrap.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "core/exit_code.h"
#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/clone.h"
#include "isolation/console.h"
#include "isolation/meeting.h"
#include "isolation/network_namespace.h"

namespace sigil::isolation {
namespace {

constexpr pid_t kHelperTid =
    300;  // any number that a new pid namespace has and does not reach soon
constexpr int kIoprioProcess = 1;  // IOPRIO_WHO_PROCESS (ioprio_set(2))

uint64_t now_ns() {
    timespec now = {};
    raw::call(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

[[noreturn]] void leave() {
    for (;;) {
        raw::call(__NR_exit_group, kExitRuntimeFailure);
        __builtin_trap();  // the container's filter has refused it
    }
}

// ---- mounts -----------------------------------------------------------------------------------

// Sets "a=b,c" on a filesystem context, a key at a time.
long configure(long context, const char* options) {
    char key[64];
    char value[64];
    while (options && *options) {
        size_t key_length = 0;
        size_t value_length = 0;
        while (*options && *options != ',' && *options != '=' && key_length + 1 < sizeof key)
            key[key_length++] = *options++;
        key[key_length] = '\0';
        const bool has_value = *options == '=';
        if (has_value)
            ++options;
        while (*options && *options != ',' && value_length + 1 < sizeof value)
            value[value_length++] = *options++;
        value[value_length] = '\0';
        if (*options == ',')
            ++options;
        long set = has_value
                       ? raw::call(__NR_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0)
                       : raw::call(__NR_fsconfig, context, FSCONFIG_SET_FLAG, key, nullptr, 0);
        if (set < 0)
            return set;
    }
    return raw::call(__NR_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
}

// A filesystem of our own, held by its descriptor from its birth on: what is done in it later
// cannot be led astray by whatever the root has at that path.
long new_mount(Child& child, const Step& step) {
    if (child.is_shared[static_cast<size_t>(step.place)])
        return kDone;
    long context = raw::call(__NR_fsopen, step.source, FSOPEN_CLOEXEC);
    if (context < 0)
        return context;
    if (long made = configure(context, step.data); made < 0)
        return made;
    long tree = raw::call(__NR_fsmount, context, FSMOUNT_CLOEXEC, step.flags);
    if (tree < 0)
        return tree;
    // One name beneath the root, and no MOVE_MOUNT_T_SYMLINKS: a link there fails with ENOTDIR.
    const int root = root_of(child);
    long moved = raw::call(__NR_move_mount, tree, "", root, step.path, MOVE_MOUNT_F_EMPTY_PATH);
    if (moved == -ENOENT) {
        // EEXIST: another container of the same root has made it just now.
        moved = raw::call(__NR_mkdirat, root, step.path, 0755);
        if (moved < 0 && moved != -EEXIST)
            return moved;
        moved = raw::call(__NR_move_mount, tree, "", root, step.path, MOVE_MOUNT_F_EMPTY_PATH);
    }
    child.places[static_cast<size_t>(step.place)] = static_cast<int>(tree);
    return moved;
}

// Binds a mask by its descriptor, which nobody else can lead astray, and further ones of that place
// from the first.
long bind_mask(int mask, const char*& first, const char* name) {
    if (first)
        return mount_call(first, name, nullptr, MS_BIND, nullptr);
    long tree =
        raw::call(__NR_open_tree, mask, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return tree;
    long moved = raw::call(__NR_move_mount, tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH);
    raw::call(__NR_close, tree);
    if (moved == kDone)
        first = name;
    return moved == -EINVAL ? -ENOTDIR : moved;  // how move_mount(2) says that the kinds differ
}

long mask_file(Child& child, const char* name) {
    return bind_mask(child.null_device, child.masked_file[static_cast<size_t>(child.place)], name);
}

// One empty read-only tmpfs serves every directory.
long mask_directory(Child& child, const char* name) {
    const char*& first = child.masked_directory[static_cast<size_t>(child.place)];
    if (child.empty_directory >= 0)
        return bind_mask(child.empty_directory, first, name);
    long made = mount_call("tmpfs", name, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                           "size=0,nr_inodes=1");
    if (made != kDone)
        return made;
    first = name;
    child.empty_directory = static_cast<int>(
        raw::call(__NR_openat, AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    return child.empty_directory < 0 ? child.empty_directory : kDone;
}

long mask(Child& child, const Step& step) {
    if (child.is_shared[static_cast<size_t>(child.place)])
        return kDone;
    const bool as_file = step.kind == StepKind::mask_file;
    long done = as_file ? mask_file(child, step.path) : mask_directory(child, step.path);
    if (done == -ENOTDIR)  // this kernel has the other kind there
        done = as_file ? mask_directory(child, step.path) : mask_file(child, step.path);
    return done == -ENOENT ? kDone : done;
}

bool is_of_type(long fd, long type) {
    struct statfs facts;
    return raw::call(__NR_fstatfs, fd, &facts) == kDone && facts.f_type == type;
}

// Whoever can write to the root can have moved the place from under its mount, or removed both:
// then the container makes its own.
long use_shared(Child& child, const Step& step) {
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const long mount = raw::call(__NR_openat, root_of(child), step.path, kFlags, 0);
    if (mount < 0 || !is_of_type(mount, SYSFS_MAGIC))
        return kDone;
    const auto place = static_cast<size_t>(step.place);
    child.places[place] = static_cast<int>(mount);
    child.is_shared[place] = true;
    const long empty = raw::call(__NR_openat, mount, step.source, kFlags, 0);
    if (empty >= 0 && is_of_type(empty, TMPFS_MAGIC))
        child.empty_directory = static_cast<int>(empty);
    return kDone;
}

long bind_here(const Step& step) {
    long bound = mount_call(step.path, step.path, nullptr, MS_BIND | MS_REC, nullptr);
    return bound == -ENOENT ? kDone : bound;
}

long attach_tree(Child& child, const Step& step) {
    long target = open_or_make(child, step.path, step.mode == S_IFDIR);
    if (target < 0)
        return target;
    long moved = attach(step.fd, static_cast<int>(target));
    raw::call(__NR_close, target);
    return moved;
}

long mount_at(Child& child, const Step& step) {
    long done = enter_directory(child, step.path);
    return done < 0 ? done
                    : mount_call(step.device_name ? step.device_name : step.source, ".",
                                 step.source, step.flags, step.data);
}

// ---- namespaces -------------------------------------------------------------------------------

// A network namespace takes the kernel longer than all the mounts do, and takes none of their
// locks: a helper thread of PID 1 makes it meanwhile. It shares PID 1's descriptors, so that PID 1
// can join.
void make_network(void* argument) {
    auto* child = static_cast<Child*>(argument);
    child->network = make_network_namespace();
    for (;;)
        raw::call(__NR_exit, 0);  // clears network_helper and wakes PID 1
}

long begin_network(Child& child) {
    clone_args arguments = {};
    // Not CLONE_FS: the helper must not see PID 1 change its root and directory.
    arguments.flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID;
    arguments.stack = reinterpret_cast<uint64_t>(child.plan->second_stack);
    arguments.stack_size = child.plan->second_stack_size;
    arguments.child_tid = reinterpret_cast<uint64_t>(&child.network_helper);
    // A high thread id, so that the command is still PID 2 (clone3(2), set_tid; Linux 5.5).
    const pid_t id = kHelperTid;
    arguments.set_tid = reinterpret_cast<uint64_t>(&id);
    arguments.set_tid_size = 1;
    child.network_helper = ~0U;
    child.has_network_helper = true;
    long helper = clone_onto_stack(&arguments, make_network, &child);
    return helper < 0 ? helper : kDone;
}

long join_network(Child& child, const Step& step) {
    if (step.fd >= 0)
        return raw::call(__NR_setns, step.fd, CLONE_NEWNET);
    if (!child.has_network_helper) {
        const long made = make_network_namespace();
        return made < 0 ? made : raw::call(__NR_close, made);
    }
    auto* running = static_cast<volatile uint32_t*>(&child.network_helper);
    while (*running != 0)
        raw::call(__NR_futex, running, FUTEX_WAIT, ~0U, nullptr, nullptr, 0);
    if (child.network < 0)
        return child.network;
    return raw::call(__NR_setns, child.network, CLONE_NEWNET);
}

// ---- the process ------------------------------------------------------------------------------

// A kernel or a filter of our own caller's that knows no keyrings keeps them from the command too.
long new_keyring() {
    long joined = raw::call(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
    return joined < 0 && joined != -ENOSYS && joined != -EPERM ? joined : kDone;
}

long own_group(bool take_terminal) {
    if (long moved = raw::call(__NR_setpgid, 0, 0); moved < 0)
        return moved;
    int self = static_cast<int>(raw::call(__NR_getpid));
    return take_terminal ? raw::call(__NR_ioctl, 0, TIOCSPGRP, &self) : kDone;
}

long set_rlimit(const Step& step) {
    uint64_t limits[2] = {step.flags, step.device};
    return raw::call(__NR_prlimit64, 0, step.fd, limits, nullptr);
}

long drop_bounding(uint64_t keep) {
    for (int capability = 0; capability < 64; ++capability) {
        if (keep >> capability & 1)
            continue;
        long dropped = raw::call(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (dropped == -EINVAL)  // past the kernel's last
            return kDone;
        if (dropped < 0)
            return dropped;
    }
    return kDone;
}

long set_groups(const Ids& ids) {
    return raw::call(__NR_setgroups, ids.group_count, ids.groups);
}

long set_ids(const Ids& ids) {
    if (long set = set_groups(ids); set < 0)
        return set;
    if (long set = raw::call(__NR_setresgid, ids.gid, ids.gid, ids.gid); set < 0)
        return set;
    return raw::call(__NR_setresuid, ids.uid, ids.uid, ids.uid);
}

long install_filter(Child& child, const Step& step) {
    long installed = raw::call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, step.flags, step.filter);
    if (installed >= 0 && step.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        child.seccomp_listener = static_cast<int>(installed);
    return installed;
}

long change_directory(Child& child, const char* path) {
    if (path[0] == '/' && path[1] == '\0')
        return enter(child, Place::root);
    return enter_directory(child, path);
}

long reset_signal(int signal) {
    struct {
        void* handler;
        unsigned long flags;
        void* restorer;
        uint64_t mask;
    } standard = {};
    return raw::call(__NR_rt_sigaction, signal, &standard, nullptr, sizeof standard.mask);
}

long unblock_signals() {
    uint64_t none = 0;
    return raw::call(__NR_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

// The parent may have died before the request: its pidfd tells, and getppid() in a new pid
// namespace does not.
long die_with_parent(int supervisor) {
    if (long set = raw::call(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); set < 0)
        return set;
    pollfd parent = {.fd = supervisor, .events = POLLIN, .revents = 0};
    timespec at_once = {};
    long dead = raw::call(__NR_ppoll, &parent, 1, &at_once, nullptr, 0);
    if (dead > 0)
        leave();
    return dead;
}

// As execvp(3): a candidate that isn't there or may not be run gives way to the next.
long exec_command(const Child& child, const Step& step) {
    const ExecArguments& exec = *step.exec;
    long result = -ENOENT;
    for (const char* const* path = exec.candidates; *path; ++path) {
        long failed = raw::call(__NR_execve, *path, exec.argv, exec.envp);
        if (failed == -EACCES)
            result = failed;
        else if (failed != -ENOENT && failed != -ENOTDIR)
            return failed;
        else if (raw::call(__NR_faccessat, AT_FDCWD, *path, 0) == kDone)
            child.plan->report->interpreter_missing = true;
    }
    return result;
}

// Its end goes on /dev/console too, for who writes there by name (config.md, "terminal").
long console(Child& child, const Step& step) {
    const bool is_awaited = step.fd < 0;
    const long mount = open_console({.root = root_of(child),
                                     .channel = is_awaited ? child.plan->channel : step.fd,
                                     .is_awaited = is_awaited,
                                     .uid = step.mode,
                                     .height = static_cast<uint16_t>(step.flags >> 16),
                                     .width = static_cast<uint16_t>(step.flags)});
    if (mount < 0)
        return mount;
    // A link there would put it anywhere in the container, on a file of /proc too.
    constexpr const char* kConsole = "/dev/console";
    long target = open_in_root(child, kConsole, O_PATH, RESOLVE_NO_SYMLINKS);
    if (target == -ENOENT)
        target = make_in_root(child, kConsole, false);
    if (target < 0)
        return target;
    const long attached = attach(static_cast<int>(mount), static_cast<int>(target));
    raw::call(__NR_close, target);
    raw::call(__NR_close, mount);
    return attached;
}

// The filter may have a say in this: who filters sendmsg gets to answer it.
long pass_listener(Child& child) {
    const long passed = hand_over(child.plan->channel, static_cast<uint32_t>(Meeting::listener),
                                  child.seccomp_listener);
    raw::call(__NR_close, child.seccomp_listener);
    return passed;
}

bool is_directory(const char* path) {
    const long directory = raw::call(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        raw::call(__NR_close, directory);
    return directory >= 0;
}

// What exec_command would say, before anybody waits for it.
long find_command(const ExecArguments& exec) {
    long result = -ENOENT;
    for (const char* const* path = exec.candidates; *path; ++path) {
        long found = raw::call(__NR_faccessat2, AT_FDCWD, *path, X_OK, AT_EACCESS);
        if (found == kDone && is_directory(*path))
            found = -EACCES;  // as execve(2) has it
        if (found == kDone)
            return kDone;
        if (found == -EACCES)
            result = found;
    }
    return result;
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
        case StepKind::make_node:
            return raw::call(__NR_mknodat, AT_FDCWD, step.path, step.mode, step.device);
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
        case StepKind::set_ids:
            return set_ids(*step.ids);
        case StepKind::set_capabilities:
            return set_capabilities(step.flags, step.flags, 0);
        case StepKind::no_new_privileges:
            return raw::call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        case StepKind::seccomp:
            return install_filter(child, step);
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
    clone_args arguments = {};
    arguments.flags = CLONE_VM | CLONE_VFORK;
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uint64_t>(child.plan->second_stack);
    arguments.stack_size = child.plan->second_stack_size;
    long pid = clone_onto_stack(&arguments, run_target, &child);
    if (pid < 0) {
        report.phase = Phase::target;
        report.error = static_cast<int>(-pid);
        report.fork_failed = true;
        report.failed.store(true, std::memory_order_release);
    }
    if (report.failed.load(std::memory_order_acquire))
        leave();
    report.executed_ns = now_ns();
}

}  // namespace

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
    if (!bootstrap.init.empty()) {
        const int place = child.place;
        fork_target(child);
        child.place = place;  // the command's process has moved, PID 1 has not
        run_steps(child, bootstrap.init, Phase::init);
    }
    run_steps(child, bootstrap.target, Phase::target);
    leave();
}

}  // namespace sigil::isolation
