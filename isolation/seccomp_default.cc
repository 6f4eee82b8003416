#include "isolation/seccomp_default.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/parse.h"

namespace sigil::isolation {
namespace {

using Text = std::string_view;

// What every container may call. Beside Docker's list the counterparts of its calls in newer
// kernels. Not in it, as with Docker: mounts and namespaces, keys, BPF, modules, clocks, io_uring,
// userfaultfd.
constexpr Text kAllowed =
    "accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset chdir "
    "chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 "
    "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range "
    "connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve "
    "execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
    "fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
    "fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 "
    "fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 "
    "futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu "
    "getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
    "getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom "
    "getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname "
    "getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch "
    "inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
    "io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc "
    "kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
    "lgetxattr link linkat listen listxattr listxattrat llistxattr _llseek lremovexattr lseek "
    "lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret "
    "mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect "
    "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
    "mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock "
    "munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 "
    "pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll "
    "ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease "
    "process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev "
    "pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 "
    "recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 "
    "restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr "
    "sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
    "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp "
    "select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 "
    "sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid "
    "setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid "
    "setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid "
    "setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl "
    "shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall "
    "socketpair splice stat stat64 statfs statfs64 statx symlink symlinkat sync "
    "sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete "
    "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 "
    "timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times "
    "tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime "
    "utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

struct Grant {
    int capability;
    Text names;
};

// What comes with a capability.
constexpr std::array kGrants = {
    Grant{CAP_DAC_READ_SEARCH, "open_by_handle_at"},
    Grant{CAP_SYS_ADMIN,
          "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie "
          "mount mount_setattr move_mount open_tree open_tree_attr perf_event_open pivot_root "
          "quotactl quotactl_fd setdomainname sethostname setns statmount syslog umount umount2 "
          "unshare"},
    Grant{CAP_SYS_BOOT, "reboot"},
    Grant{CAP_SYS_CHROOT, "chroot"},
    Grant{CAP_SYS_MODULE, "delete_module finit_module init_module"},
    Grant{CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    Grant{CAP_SYS_PACCT, "acct"},
    Grant{CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise"},
    Grant{CAP_SYS_RAWIO, "ioperm iopl"},
    Grant{CAP_SYS_TIME, "clock_settime clock_settime64 settimeofday stime"},
    Grant{CAP_SYS_TTY_CONFIG, "vhangup"},
    Grant{CAP_SYSLOG, "syslog"},
    Grant{CAP_BPF, "bpf"},
    Grant{CAP_PERFMON, "perf_event_open"},
};

constexpr CapabilitySet bit(int capability) {
    return CapabilitySet{1} << capability;
}

constexpr CapabilitySet granting() {
    CapabilitySet set = 0;
    for (const Grant& grant : kGrants)
        set |= bit(grant.capability);
    return set;
}

constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

// personality(2): Linux or Linux of 32 bits, either without ASLR, and the question for it.
constexpr uint64_t kPersonalities[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};

Seccomp::Rule allow(Text names) {
    Seccomp::Rule rule = {.action = "SCMP_ACT_ALLOW"};
    for (const Text name : words_of(names))
        rule.names.emplace_back(name);
    return rule;
}

Seccomp::Rule allow_if(Text name, Seccomp::Argument argument) {
    Seccomp::Rule rule = allow(name);
    rule.arguments.push_back(std::move(argument));
    return rule;
}

}  // namespace

Seccomp default_seccomp_profile(CapabilitySet capabilities) {
    Seccomp profile = {.default_action = "SCMP_ACT_ERRNO",
                       .architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}};
    profile.rules.push_back(allow(kAllowed));
    // A socket to the hypervisor is in no namespace.
    profile.rules.push_back(allow_if("socket", {0, AF_VSOCK, 0, "SCMP_CMP_NE"}));
    for (uint64_t personality : kPersonalities)
        profile.rules.push_back(allow_if("personality", {0, personality, 0, "SCMP_CMP_EQ"}));
    for (const Grant& grant : kGrants)
        if (capabilities & bit(grant.capability))
            profile.rules.push_back(allow(grant.names));
    if (!(capabilities & bit(CAP_SYS_ADMIN))) {
        profile.rules.push_back(allow_if("clone", {0, kNamespaces, 0, "SCMP_CMP_MASKED_EQ"}));
        // Its flags lie in memory, where no filter looks. C libraries fall back to clone.
        profile.rules.push_back({.names = {"clone3"}, .action = "SCMP_ACT_ERRNO", .error = ENOSYS});
    }
    return profile;
}

CapabilitySet seccomp_grants(CapabilitySet capabilities) {
    return capabilities & granting();
}

}  // namespace sigil::isolation
