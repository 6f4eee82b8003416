#include "isolation/bootstrap.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "core/exit_code.h"
#include "core/raw_syscall.h"
#include "isolation/clone.h"
#include "isolation/meeting.h"
#include "isolation/network_namespace.h"

namespace sigil::isolation {
namespace {

constexpr long kDone = 0;
constexpr pid_t kHelperTid =
    300;  // any number that a new pid namespace has and does not reach soon
constexpr int kNoPlace = static_cast<int>(Place::none);

// What the child knows beside its plan. It lives on the child's stack.
struct Child {
    const Bootstrap* plan;
    std::array<int, kPlaces> places = {-1, -1, -1, -1, -1};
    int place = kNoPlace;  // where the working directory is
    std::array<const char*, kPlaces> empty_directory = {};
    int null_device = -1;
    uint32_t network_helper = 0;  // its thread id; 0 once it has ended
    long network = -1;            // the namespace's descriptor, or -errno
};

int root_of(const Child& child) {
    return child.places[static_cast<size_t>(Place::root)];
}

uint64_t now_ns() {
    timespec now = {};
    raw::call(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

[[noreturn]] void leave() {
    for (;;)
        raw::call(__NR_exit_group, kExitRuntimeFailure);
}

// ---- paths inside the root --------------------------------------------------------------------

long open_in_root(const Child& child, const char* path, uint64_t flags) {
    open_how how = {
        .flags = flags | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;
    do
        fd = raw::call(__NR_openat2, root_of(child), path, &how, sizeof how);
    while (fd == -EAGAIN);  // a rename raced with the walk: openat2(2) says to try again
    return fd;
}

// Makes what is missing of `path`, one component at a time beneath directories already held open.
long make_in_root(const Child& child, const char* path, bool is_directory) {
    char prefix[4096];
    long parent = root_of(child);
    size_t length = 0;
    while (path[length] == '/')
        prefix[length] = '/', ++length;
    while (path[length] != '\0') {
        size_t name = length;
        while (path[length] != '\0' && path[length] != '/' && length + 1 < sizeof prefix)
            prefix[length] = path[length], ++length;
        prefix[length] = '\0';
        const bool last = path[length] == '\0';
        long next = open_in_root(child, prefix, O_PATH);
        if (next == -ENOENT) {
            // O_NOFOLLOW and EXCL: a dangling link by that name is an error, not a way to
            // elsewhere.
            if (!last || is_directory) {
                long made = raw::call(__NR_mkdirat, parent, prefix + name, 0755);
                if (made < 0 && made != -EEXIST)  // another container has made it just now
                    return made;
                next = raw::call(__NR_openat, parent, prefix + name,
                                 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
            } else {
                next = raw::call(__NR_openat, parent, prefix + name,
                                 O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
                if (next == -EEXIST)
                    next = raw::call(__NR_openat, parent, prefix + name,
                                     O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
            }
        }
        if (next < 0)
            return next;
        if (parent != root_of(child))
            raw::call(__NR_close, parent);
        parent = next;
        while (path[length] == '/' && length + 1 < sizeof prefix)
            prefix[length] = '/', ++length;
    }
    return parent;
}

long open_or_make(const Child& child, const char* path, bool is_directory) {
    long fd = open_in_root(child, path, O_PATH);
    return fd == -ENOENT ? make_in_root(child, path, is_directory) : fd;
}

// ---- mounts -----------------------------------------------------------------------------------

long mount_call(const char* source, const char* target, const char* type, uint64_t flags,
                const char* data) {
    return raw::call(__NR_mount, source, target, type, flags, data);
}

long attach(int tree, int target) {
    return raw::call(__NR_move_mount, tree, "", target, "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

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

long enter(Child& child, Place place) {
    const int index = static_cast<int>(place);
    if (child.place == index)
        return kDone;
    child.place = index;
    return raw::call(__NR_fchdir, place == Place::root ? root_of(child)
                                                       : child.places[static_cast<size_t>(index)]);
}

// "self/fd/N", from /proc's own root: a file of ours by a name that nobody else can change.
void write_fd_path(char (&path)[24], int fd) {
    constexpr char kPrefix[] = "self/fd/";
    size_t length = 0;
    for (; kPrefix[length]; ++length)
        path[length] = kPrefix[length];
    char digits[12];
    size_t count = 0;
    do
        digits[count++] = static_cast<char>('0' + fd % 10);
    while (fd /= 10);
    while (count > 0)
        path[length++] = digits[--count];
    path[length] = '\0';
}

long mask_file(const Child& child, const char* name) {
    char source[24];
    write_fd_path(source, child.null_device);
    return mount_call(source, name, nullptr, MS_BIND, nullptr);
}

// One empty read-only tmpfs serves every directory masked in the same place.
long mask_directory(Child& child, const char* name) {
    const char*& first = child.empty_directory[static_cast<size_t>(child.place)];
    if (first)
        return mount_call(first, name, nullptr, MS_BIND, nullptr);
    long made = mount_call("tmpfs", name, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                           "size=0,nr_inodes=1");
    if (made == kDone)
        first = name;
    return made;
}

long mask(Child& child, const Step& step) {
    const bool as_file = step.kind == StepKind::mask_file;
    long done = as_file ? mask_file(child, step.path) : mask_directory(child, step.path);
    if (done == -ENOTDIR)  // this kernel has the other kind there
        done = as_file ? mask_directory(child, step.path) : mask_file(child, step.path);
    return done == -ENOENT ? kDone : done;
}

long bind_here(const Step& step) {
    long bound = mount_call(step.path, step.path, nullptr, MS_BIND | MS_REC, nullptr);
    return bound == -ENOENT ? kDone : bound;
}

long change_attributes(int mount, uint64_t set, uint64_t clear) {
    mount_attr attributes = {};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    return raw::call(__NR_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
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
    long target = open_or_make(child, step.path, true);
    if (target < 0)
        return target;
    child.place = kNoPlace;
    long done = raw::call(__NR_fchdir, target);
    raw::call(__NR_close, target);
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
    long helper = clone_onto_stack(&arguments, make_network, &child);
    return helper < 0 ? helper : kDone;
}

long join_network(Child& child, const Step& step) {
    if (step.fd >= 0)
        return raw::call(__NR_setns, step.fd, CLONE_NEWNET);
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

long set_capabilities(uint64_t set) {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    for (int half = 0; half < 2; ++half)
        data[half].effective = data[half].permitted = static_cast<uint32_t>(set >> (32 * half));
    return raw::call(__NR_capset, &header, data);
}

long change_directory(Child& child, const char* path) {
    if (path[0] == '/' && path[1] == '\0')
        return enter(child, Place::root);
    long directory = open_or_make(child, path, true);
    if (directory < 0)
        return directory;
    child.place = kNoPlace;
    return raw::call(__NR_fchdir, directory);
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

// What exec_command would say, before anybody waits for it.
long find_command(const ExecArguments& exec) {
    long result = -ENOENT;
    for (const char* const* path = exec.candidates; *path; ++path) {
        long found = raw::call(__NR_faccessat2, AT_FDCWD, *path, X_OK, AT_EACCESS);
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
        case StepKind::begin_network:
            return begin_network(child);
        case StepKind::join_network:
            return join_network(child, step);
        case StepKind::unshare_cgroup:
            return raw::call(__NR_unshare, CLONE_NEWCGROUP);
        case StepKind::set_hostname:
            return raw::call(__NR_sethostname, step.source, step.flags);
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
            return set_capabilities(step.flags);
        case StepKind::no_new_privileges:
            return raw::call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
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
