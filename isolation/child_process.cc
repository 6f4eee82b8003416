// The steps that make a process what the command is to be: its groups and capabilities, limits,
// filters, working directory, terminal; and its execve.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/console.h"
#include "isolation/meeting.h"

namespace sigil::isolation {
namespace {

long open_in_proc(const Child& child, const char* path, uint64_t resolve) {
    open_how how = {.flags = O_WRONLY | O_CLOEXEC, .mode = 0, .resolve = resolve};
    return raw::call(__NR_openat2, child.own_proc, path, &how, sizeof how);
}

bool is_directory(const char* path) {
    const long directory = raw::call(__NR_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0)
        close(directory);
    return directory >= 0;
}

}  // namespace

long set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    for (int half = 0; half < 2; ++half) {
        data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
        data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
        data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
    }
    return raw::call(__NR_capset, &header, data);
}

// words: effective, permitted, inheritable, ambient.
long set_capability_sets(const Step& step) {
    const uint64_t* sets = step.words;
    if (long set = set_capabilities(sets[0], sets[1], sets[2]); set < 0)
        return set;
    raw::call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int capability = 0; capability < 64; ++capability) {
        // One that is not both cannot be raised (capabilities(7)): runc and crun leave it out, and
        // the config.json of `runc spec` has three of the kind.
        if (!((sets[3] & sets[1] & sets[2]) >> capability & 1))
            continue;
        const long raised =
            raw::call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        if (raised < 0)
            return raised;
    }
    return kDone;
}

// Beneath a procfs that is one, and nothing that is mounted in it: else a container's own file
// could take the place of what is written here (CVE-2019-16884). Of its links only "self" is
// followed.
long write_proc(const Child& child, const Step& step) {
    constexpr uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    long file = open_in_proc(child, step.path, kResolve);
    if (file == -ENOENT && step.device_name)
        file = open_in_proc(child, step.device_name, kResolve);
    long done = file;
    if (file >= 0) {
        done = raw::call(__NR_write, file, step.source, step.mode);
        close(file);
        if (done >= 0 && done != static_cast<long>(step.mode))
            return -EIO;
    }
    const bool is_denied = done == -EACCES || done == -EPERM;
    return is_denied && step.flags & kMayBeDenied ? kDone : done;
}

// flags kMayBeDenied: a user namespace may forbid setgroups(2) (user_namespaces(7)); who asks for
// no groups then keeps those that it has.
long become_user(const Step& step) {
    const Ids& ids = *step.ids;
    const long grouped = set_groups(ids);
    const bool tolerated = grouped == -EPERM && step.flags & kMayBeDenied && ids.group_count == 0;
    if (grouped < 0 && !tolerated)
        return grouped;
    if (long set = raw::call(__NR_setresgid, ids.gid, ids.gid, ids.gid); set < 0)
        return set;
    return raw::call(__NR_setresuid, ids.uid, ids.uid, ids.uid);
}

// The caller's pipe has mode 0600: without this its user could not open /dev/stdout. The host's
// /dev/null is nobody's to have, and what cannot be given (a read-only filesystem, an owner that
// the user namespace does not know) goes without.
long own_stream(const Step& step) {
    struct statx facts = {};
    if (status_of(step.fd, "", AT_EMPTY_PATH, facts) < 0)
        return kDone;  // closed
    const bool is_null =
        S_ISCHR(facts.stx_mode) && facts.stx_rdev_major == 1 && facts.stx_rdev_minor == 3;
    constexpr gid_t kSameGroup = static_cast<gid_t>(-1);
    if (facts.stx_uid != step.mode && !is_null)
        raw::call(__NR_fchown, step.fd, step.mode, kSameGroup);
    return kDone;
}

// Asked twice: as root of the container, who may make the directory, and as the user, if root was
// denied (a directory of the user's on a filesystem that knows no root).
long enter_cwd(Child& child, const Step& step) {
    if (step.flags & kMayBeDenied) {
        const long entered = enter_directory(child, step.path);
        child.cwd_denied = entered == -EACCES || entered == -EPERM;
        return child.cwd_denied ? kDone : entered;
    }
    return child.cwd_denied ? enter_directory(child, step.path) : kDone;
}

// A working directory that is not beneath the root has a name that is not absolute (getcwd(2),
// "(unreachable)"): a way out of the container (CVE-2024-21626).
long check_cwd() {
    char path[4096];
    path[0] = '\0';  // a lint cannot see what the call writes
    const long length = raw::call(__NR_getcwd, path, sizeof path);
    if (length < 0)
        return length;
    return path[0] == '/' ? kDone : -ENOENT;
}

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
    close(target);
    close(mount);
    return attached;
}

// The filter may have a say in this: who filters sendmsg gets to answer it.
long pass_listener(Child& child) {
    const long passed = hand_over(child.plan->channel, static_cast<uint32_t>(Meeting::listener),
                                  child.seccomp_listener);
    close(child.seccomp_listener);
    return passed;
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

}  // namespace sigil::isolation
