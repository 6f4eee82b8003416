// The floor's recipe: what the child does between clone3 and execve, and the clone3 that starts it.
// Shared by the floor, which makes one container and ends, and floor-many, which makes many from
// several threads. Bare system calls only: the child runs on memory that it shares with its parent.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/if.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bare.h"

namespace sigil::floor {

inline constexpr int kOwnFailure = 125;
inline constexpr int kNotExecutable = 126;
inline constexpr int kNotFound = 127;

inline constexpr int kFirstToClose = 3;

inline constexpr unsigned long kNoSuidDevExec = MS_NOSUID | MS_NODEV | MS_NOEXEC;

struct Plan {
    const char* rootfs;
    char** command;
    char** environment;
    bool own_network;
    bool shares_files = false;  // cloned with CLONE_FILES: leaves the parent's table first
};

struct Device {
    const char* path;
    unsigned major;
    unsigned minor;
};

struct Link {
    const char* target;
    const char* path;
};

// All paths are relative to the new root, which is the working directory from pivot_root on.
inline constexpr Device kDevices[] = {
    {"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
    {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};

inline constexpr Link kLinks[] = {
    {"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
    {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
    {"pts/ptmx", "dev/ptmx"},          {"/proc/kcore", "dev/core"},
};

inline constexpr const char* kDirectories[] = {"dev/pts", "dev/shm", "dev/mqueue"};

inline constexpr const char* kMaskedFiles[] = {
    "proc/interrupts",  "proc/kcore",      "proc/keys",        "proc/latency_stats",
    "proc/sched_debug", "proc/timer_list", "proc/timer_stats",
};

inline constexpr const char* kMaskedDirectories[] = {
    "proc/acpi", "proc/asound", "proc/scsi", "sys/devices/virtual/powercap", "sys/firmware",
};

inline constexpr const char* kReadOnlyPaths[] = {
    "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

inline void print(const char* text) {
    bare::call(SYS_write, 2, text, bare::length(text));
}

[[noreturn]] inline void fail(const char* step, const char* subject, long error,
                              int code = kOwnFailure) {
    const long number = -error;
    const char digits[] = {static_cast<char>('0' + number / 100 % 10),
                           static_cast<char>('0' + number / 10 % 10),
                           static_cast<char>('0' + number % 10), '\n', '\0'};
    print("sigil-floor: ");
    print(step);
    print(" ");
    print(subject);
    print(": errno ");
    print(digits);
    bare::exit(code);
}

inline void check(const char* step, const char* subject, long result) {
    if (__builtin_expect(result < 0, 0))
        fail(step, subject, result);
}

inline long bind(const char* source, const char* target, unsigned long more_flags) {
    return bare::call(SYS_mount, source, target, nullptr, MS_BIND | more_flags, nullptr);
}

inline void mount_new(const char* type, const char* target, unsigned long flags,
                      const char* options) {
    check("mount", target, bare::call(SYS_mount, type, target, type, flags, options));
}

// Setting IFF_UP alone is enough: the kernel keeps IFF_LOOPBACK itself. exec closes the socket.
inline void bring_loopback_up() {
    const long socket = bare::call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check("socket", "inet", socket);
    ifreq request;
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_name[2] = '\0';
    request.ifr_flags = IFF_UP;
    check("bring up", "lo", bare::call(SYS_ioctl, socket, SIOCSIFFLAGS, &request));
}

// Leaves the old root stacked upon the new one; the working directory is below it, so relative
// paths reach the new root all the while (pivot_root(2), "pivot_root(".", ".")").
inline void enter_rootfs(const char* rootfs) {
    check("make private", "/",
          bare::call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
    check("bind", rootfs, bind(rootfs, rootfs, MS_REC));
    check("chdir", rootfs, bare::call(SYS_chdir, rootfs));
    check("pivot_root", rootfs, bare::call(SYS_pivot_root, ".", "."));
}

inline void make_dev() {
    mount_new("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
    for (const Device& device : kDevices) {
        check("mknod", device.path,
              bare::call(SYS_mknod, device.path, S_IFCHR | 0666,
                         makedev(device.major, device.minor)));
    }
    for (const Link& link : kLinks) {
        check("symlink", link.path, bare::call(SYS_symlink, link.target, link.path));
    }
    for (const char* directory : kDirectories) {
        check("mkdir", directory, bare::call(SYS_mkdir, directory, 0755));
    }
    mount_new("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_new("tmpfs", "dev/shm", kNoSuidDevExec, "mode=1777,size=65536k");
    mount_new("mqueue", "dev/mqueue", kNoSuidDevExec, nullptr);
}

inline void mask_paths() {
    for (const char* path : kMaskedFiles) {
        const long result = bind("dev/null", path, 0);
        if (result != -ENOENT)
            check("mask", path, result);
    }
    // The first directory gets an empty read-only tmpfs, the others a bind of it, which inherits
    // the mount's flags: a bind is cheaper than another superblock, made now and freed at exit.
    const char* mask = nullptr;
    for (const char* path : kMaskedDirectories) {
        const long result = mask != nullptr ? bind(mask, path, 0)
                                            : bare::call(SYS_mount, "tmpfs", path, "tmpfs",
                                                         MS_RDONLY | kNoSuidDevExec, nullptr);
        if (result == -ENOENT)
            continue;
        check("mask", path, result);
        mask = path;
    }
}

// MS_BIND ignores MS_RDONLY when it makes a mount, so each path takes a second call. The remount
// sets all the flags anew: proc's own have to be named again.
inline void protect_paths() {
    for (const char* path : kReadOnlyPaths) {
        const long result = bind(path, path, 0);
        if (result == -ENOENT)
            continue;
        check("bind", path, result);
        check("protect", path, bind(nullptr, path, MS_REMOUNT | MS_RDONLY | kNoSuidDevExec));
    }
}

[[noreturn]] inline void run_child(const Plan* plan) {
    // Copies the three that stay, however many the parent has open; execve would copy them all.
    if (plan->shares_files) {
        check("leave", "the descriptors",
              bare::call(SYS_close_range, kFirstToClose, ~0U, CLOSE_RANGE_UNSHARE));
    }
    check("sethostname", "sigil", bare::call(SYS_sethostname, "sigil", 5));
    bare::call(SYS_umask, 0);
    if (plan->own_network)
        bring_loopback_up();
    enter_rootfs(plan->rootfs);
    mount_new("proc", "proc", kNoSuidDevExec, nullptr);
    make_dev();
    mount_new("sysfs", "sys", kNoSuidDevExec | MS_RDONLY, nullptr);
    mount_new("cgroup2", "sys/fs/cgroup", kNoSuidDevExec | MS_RELATIME | MS_RDONLY, nullptr);
    mask_paths();
    protect_paths();
    check("detach", "the old root", bare::call(SYS_umount2, ".", MNT_DETACH));
    const long error = bare::call(SYS_execve, plan->command[0], plan->command, plan->environment);
    fail("exec", plan->command[0], error, error == -ENOENT ? kNotFound : kNotExecutable);
}

// Starts run_child(plan) on the given stack; returns clone3's result to the parent alone. All
// registers but rax, rcx and r11 pass through the system call, so r8 and r9 carry both over.
inline long clone_child(clone_args* arguments, const Plan* plan) {
    long result;
    register const Plan* carried asm("r8") = plan;
    register void (*entry)(const Plan*) asm("r9") = run_child;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r8, %%rdi\n\t"
        "call *%%r9\n\t"
        "1:"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(carried), "r"(entry)
        : "rcx", "r11", "memory");
    return result;
}

// The namespaces of every container, and how it is started: sharing memory until its execve, as
// which clone3 returns. The child needs little stack: its deepest frame is a few hundred bytes.
inline clone_args clone_arguments(const Plan& plan, int* pidfd, char* stack, size_t stack_size) {
    clone_args arguments = {};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS |
                      CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
    if (plan.own_network)
        arguments.flags |= CLONE_NEWNET;
    if (plan.shares_files)
        arguments.flags |= CLONE_FILES;
    arguments.pidfd = reinterpret_cast<uintptr_t>(pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uintptr_t>(stack);
    arguments.stack_size = stack_size;
    return arguments;
}

inline constexpr size_t kChildStack = 4096;

}  // namespace sigil::floor
