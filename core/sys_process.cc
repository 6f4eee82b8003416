// The calls of core/sys.h about signals, processes, and what this one may do.
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <bit>
#include <charconv>

#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/sys_result.h"
#include "core/try.h"

namespace sigil::sys {
namespace {

constexpr int kLastSignal = 64;

// The kernel's sigaction, which libc's struct is not.
struct KernelSigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    SignalSet mask;
};

}  // namespace

Result<void> set_signal_mask(SignalSet blocked) {
    return nothing(raw::call(__NR_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, sizeof blocked),
                   "rt_sigprocmask");
}

Result<void> block_signals(SignalSet more) {
    return nothing(raw::call(__NR_rt_sigprocmask, SIG_BLOCK, &more, nullptr, sizeof more),
                   "rt_sigprocmask");
}

Result<Fd> signalfd(SignalSet signals) {
    return descriptor(
        raw::call(__NR_signalfd4, -1, &signals, sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK),
        "signalfd");
}

bool is_ignored(int signal) {
    KernelSigaction now = {};
    long result = raw::call(__NR_rt_sigaction, signal, nullptr, &now, sizeof now.mask);
    return result == 0 && now.handler == SIG_IGN;
}

SignalSet ignored_signals() {
    constexpr std::string_view kKey = "\nSigIgn:\t";
    constexpr size_t kDigits = 16;
    if (auto status = read_file(AT_FDCWD, "/proc/self/status")) {
        const size_t key = status->find(kKey);
        if (key != std::string::npos && key + kKey.size() + kDigits <= status->size()) {
            const char* begin = status->data() + key + kKey.size();
            SignalSet ignored = 0;
            auto [end, error] = std::from_chars(begin, begin + kDigits, ignored, 16);
            if (error == std::errc() && end == begin + kDigits)
                return ignored;
        }
    }
    SignalSet ignored = 0;
    for (int signal = 1; signal <= kLastSignal; ++signal)
        if (is_ignored(signal))
            ignored |= signal_bit(signal);
    return ignored;
}

std::vector<int> numbers_of(SignalSet signals) {
    std::vector<int> numbers;
    for (; signals != 0; signals &= signals - 1)
        numbers.push_back(std::countr_zero(signals) + 1);
    return numbers;
}

Result<void> reset_signal_to_default(int signal) {
    KernelSigaction standard = {};
    return nothing(raw::call(__NR_rt_sigaction, signal, &standard, nullptr, sizeof standard.mask),
                   "rt_sigaction");
}

Result<void> pidfd_send_signal(int pidfd, int signal, std::optional<sigval> queued) {
    siginfo_t info;
    if (queued) {
        memset(&info, 0, sizeof info);
        info.si_signo = signal;
        info.si_code = SI_QUEUE;
        info.si_value = *queued;
    }
    return nothing(raw::call(__NR_pidfd_send_signal, pidfd, signal, queued ? &info : nullptr, 0),
                   "pidfd_send_signal");
}

Result<Fd> pidfd_open(pid_t pid) {
    return descriptor(raw::call(__NR_pidfd_open, pid, 0), "pidfd_open");
}

namespace {

Result<std::optional<Exit>> wait_for(int pidfd, int more) {
    siginfo_t info = {};
    Exit exit;
    // __WALL: until its execve, a container's process has no exit signal and waitid would not see
    // it.
    long result = retry_interrupted(__NR_waitid, P_PIDFD, pidfd, &info,
                                    WEXITED | WNOHANG | __WALL | more, &exit.usage);
    if (result < 0)
        return failed(result, "waitid");
    if (info.si_pid == 0)
        return std::nullopt;
    exit.status = info.si_code == CLD_EXITED ? ExitStatus::exited(info.si_status)
                                             : ExitStatus::signaled(info.si_status);
    return exit;
}

}  // namespace

Result<std::optional<Exit>> wait_exited(int pidfd) {
    return wait_for(pidfd, 0);
}

Result<std::optional<Exit>> peek_exited(int pidfd) {
    return wait_for(pidfd, WNOWAIT);
}

Result<void> await_death(pid_t pid) {
    siginfo_t info = {};
    return nothing(
        retry_interrupted(__NR_waitid, P_PID, pid, &info, WEXITED | WNOWAIT | __WALL, nullptr),
        "waitid");
}

Result<void> reap(pid_t pid) {
    siginfo_t info = {};
    return nothing(retry_interrupted(__NR_waitid, P_PID, pid, &info, WEXITED | __WALL, nullptr),
                   "waitid");
}

Result<Fd> pidfd_getfd(int pidfd, int number) {
    return descriptor(raw::call(__NR_pidfd_getfd, pidfd, number, 0), "pidfd_getfd");
}

Result<void> unshare(int flags) {
    return nothing(raw::call(__NR_unshare, flags), "unshare");
}

Result<void> setns(int fd, int kind) {
    return nothing(raw::call(__NR_setns, fd, kind), "setns");
}

Result<void> sethostname(const std::string& name) {
    return nothing(raw::call(__NR_sethostname, name.c_str(), name.size()), "sethostname");
}

Result<void> set_dumpable(bool dumpable) {
    return nothing(raw::call(__NR_prctl, PR_SET_DUMPABLE, dumpable ? 1 : 0), "prctl(dumpable)");
}

Result<int> bpf(int command, bpf_attr& attributes) {
    // EAGAIN: a signal came while the program was verified; libbpf too tries five times.
    long result;
    int attempts = 5;
    do
        result = raw::call(__NR_bpf, command, &attributes, sizeof attributes);
    while (result == -EAGAIN && --attempts > 0);
    if (result < 0)
        return failed(result, "bpf");
    return static_cast<int>(result);
}

Result<uint64_t> permitted_capabilities() {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct halves[2] = {};
    TRY(nothing(raw::call(__NR_capget, &header, halves), "capget"));
    return uint64_t{halves[1].permitted} << 32 | halves[0].permitted;
}

}  // namespace sigil::sys
