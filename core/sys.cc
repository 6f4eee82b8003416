#include "core/sys.h"

#include <asm/unistd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <iterator>

#include "core/parse.h"
#include "core/raw_syscall.h"
#include "core/try.h"

namespace sigil {

void Fd::reset() {
    if (number_ >= 0)
        raw::call(__NR_close, std::exchange(number_, -1));
}

}  // namespace sigil

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

tl::unexpected<Error> failed(long result, const char* operation) {
    return tl::unexpected(Error::from_errno(static_cast<int>(-result), operation));
}

Result<void> nothing(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return {};
}

Result<size_t> count(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return static_cast<size_t>(result);
}

Result<Fd> descriptor(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return Fd(static_cast<int>(result));
}

template <typename... Args>
long retry_interrupted(long number, Args... args) {
    long result;
    do
        result = raw::call(number, args...);
    while (result == -EINTR);
    return result;
}

}  // namespace

Nanoseconds monotonic_now() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);  // the vDSO's: no system call, cannot fail
    return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

uint64_t random_below(uint64_t limit) {
    uint64_t number = 0;
    raw::call(__NR_getrandom, &number, sizeof number, 1 /* GRND_NONBLOCK */);
    return limit ? number % limit : 0;
}

Result<Fd> open(int directory, const char* path, int flags, mode_t mode) {
    return descriptor(retry_interrupted(__NR_openat, directory, path, flags | O_CLOEXEC, mode),
                      "openat");
}

Result<Fd> openat2(int directory, const char* path, uint64_t flags, uint64_t resolve, mode_t mode) {
    open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    // EAGAIN: a rename or mount raced with RESOLVE_IN_ROOT's ".." check; openat2(2) says to retry.
    long result;
    do
        result = raw::call(__NR_openat2, directory, path, &how, sizeof how);
    while (result == -EINTR || result == -EAGAIN);
    return descriptor(result, "openat2");
}

Result<size_t> read(int fd, std::span<char> into) {
    return count(retry_interrupted(__NR_read, fd, into.data(), into.size()), "read");
}

Result<size_t> read_full(int fd, std::span<char> into) {
    size_t filled = 0;
    while (filled < into.size()) {
        const size_t more = TRY(read(fd, into.subspan(filled)));
        if (more == 0)
            break;
        filled += more;
    }
    return filled;
}

Result<std::string> read_all(int fd, size_t most) {
    std::string text;
    std::array<char, 16384> part;
    while (const size_t more = TRY(read(fd, part))) {
        text.append(part.data(), more);
        if (text.size() > most)
            return failure("larger than {}", format_size(most));
    }
    return text;
}

Result<size_t> write(int fd, std::string_view text) {
    return count(retry_interrupted(__NR_write, fd, text.data(), text.size()), "write");
}

Result<size_t> write_nowait(int fd, std::string_view text) {
    const iovec piece = {const_cast<char*>(text.data()), text.size()};
    constexpr long kWhereItStands = -1;
    return count(retry_interrupted(__NR_pwritev2, fd, &piece, 1, kWhereItStands, 0, RWF_NOWAIT),
                 "pwritev2");
}

Result<size_t> send_nowait(int socket, std::string_view text) {
    return count(retry_interrupted(__NR_sendto, socket, text.data(), text.size(), MSG_DONTWAIT),
                 "sendto");
}

Result<void> write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        long result = retry_interrupted(__NR_write, fd, text.data(), text.size());
        if (result < 0)
            return failed(result, "write");
        text.remove_prefix(static_cast<size_t>(result));
    }
    return {};
}

Result<std::string> read_file(int directory, const char* path) {
    Fd file = TRY(open(directory, path, O_RDONLY));
    std::string text;
    std::array<char, 4096> part;
    while (size_t count = TRY(read(file.get(), part))) {
        text.append(part.data(), count);
        if (count < part.size() / 2)  // procfs and cgroupfs fill what they can: this was the end
            break;
    }
    return text;
}

Result<void> write_file(int directory, const char* path, std::string_view text) {
    Fd file = TRY(open(directory, path, O_WRONLY));
    return nothing(retry_interrupted(__NR_write, file.get(), text.data(), text.size()), "write");
}

Result<void> replace_file(int directory, const std::string& path, std::string_view text,
                          mode_t mode) {
    const std::string fresh = fmt::format("{}.{}.new", path, raw::call(__NR_getpid));
    auto write = [&]() -> Result<void> {
        const Fd file =
            TRY(open(directory, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
        auto written = write_all(file.get(), text);
        if (written)
            written = nothing(
                raw::call(__NR_renameat2, directory, fresh.c_str(), directory, path.c_str(), 0),
                "rename");
        if (!written)
            (void)unlinkat(directory, fresh.c_str());
        return written;
    };
    return write();
}

Result<struct statx> stat(int directory, const char* path, int flags) {
    struct statx facts;
    long result = raw::call(__NR_statx, directory, path, flags, STATX_BASIC_STATS, &facts);
    if (result < 0)
        return failed(result, "statx");
    return facts;
}

Result<uint64_t> mount_id(int directory, const char* path) {
    struct statx facts = {};
    long result = raw::call(__NR_statx, directory, path, 0, STATX_MNT_ID, &facts);
    if (result >= 0 && !(facts.stx_mask & STATX_MNT_ID))
        result = -ENOSYS;
    if (result < 0)
        return failed(result, "statx");
    return facts.stx_mnt_id;
}

Result<long> filesystem_type(const char* path) {
    struct statfs facts;
    long result = raw::call(__NR_statfs, path, &facts);
    if (result < 0)
        return failed(result, "statfs");
    return static_cast<long>(facts.f_type);
}

Result<long> filesystem_type(int fd) {
    struct statfs facts;
    long result = raw::call(__NR_fstatfs, fd, &facts);
    if (result < 0)
        return failed(result, "fstatfs");
    return static_cast<long>(facts.f_type);
}

Result<void> mkdirat(int directory, const char* path, mode_t mode) {
    return nothing(raw::call(__NR_mkdirat, directory, path, mode), "mkdirat");
}

Result<void> rmdirat(int directory, const char* path) {
    return nothing(raw::call(__NR_unlinkat, directory, path, AT_REMOVEDIR), "rmdir");
}

Result<void> fchownat(int directory, const char* path, uid_t uid, gid_t gid, int flags) {
    return nothing(raw::call(__NR_fchownat, directory, path, uid, gid, flags), "fchownat");
}

Result<void> unlinkat(int directory, const char* path) {
    return nothing(raw::call(__NR_unlinkat, directory, path, 0), "unlinkat");
}

Result<void> renameat(int directory, const char* from, const char* to) {
    return nothing(raw::call(__NR_renameat2, directory, from, directory, to, 0), "rename");
}

Result<void> symlinkat(const char* target, int directory, const char* path) {
    return nothing(raw::call(__NR_symlinkat, target, directory, path), "symlinkat");
}

Result<std::string> readlinkat(int directory, const char* path) {
    std::array<char, 4096> target;  // PATH_MAX, the kernel's own bound
    long result = raw::call(__NR_readlinkat, directory, path, target.data(), target.size());
    if (result < 0)
        return failed(result, "readlinkat");
    return std::string(target.data(), static_cast<size_t>(result));
}

Result<void> check_writable(int directory, const char* path) {
    return nothing(raw::call(__NR_faccessat, directory, path, 2 /* W_OK */), "faccessat");
}

Result<void> flock(int fd, int operation) {
    return nothing(retry_interrupted(__NR_flock, fd, operation), "flock");
}

Result<void> seek(int fd, uint64_t offset) {
    return nothing(raw::call(__NR_lseek, fd, offset, 0 /* SEEK_SET */), "lseek");
}

Result<size_t> getdents(int directory, std::span<char> into) {
    long result = raw::call(__NR_getdents64, directory, into.data(), into.size());
    if (result < 0)
        return failed(result, "getdents64");
    return static_cast<size_t>(result);
}

Result<std::vector<std::string>> next_names(int directory) {
    constexpr size_t kPage = 4096;
    alignas(dirent64) std::array<char, kPage> page;
    std::vector<std::string> names;
    while (names.empty()) {
        const size_t filled = TRY(getdents(directory, page));
        if (filled == 0)
            break;
        for (size_t at = 0; at < filled;) {
            const auto* entry = reinterpret_cast<const dirent64*>(page.data() + at);
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..")
                names.emplace_back(name);
            at += entry->d_reclen;
        }
    }
    return names;
}

Result<std::vector<std::string>> all_names(int directory) {
    TRY(seek(directory, 0));
    std::vector<std::string> names;
    for (;;) {
        std::vector<std::string> more = TRY(next_names(directory));
        if (more.empty())
            return names;
        std::ranges::move(more, std::back_inserter(names));
    }
}

Result<Pipe> pipe() {
    int ends[2] = {-1, -1};
    const long result = raw::call(__NR_pipe2, ends, O_CLOEXEC);
    if (result < 0)
        return failed(result, "pipe2");
    return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<void> set_nonblocking(int fd) {
    const long flags = raw::call(__NR_fcntl, fd, F_GETFL);
    if (flags < 0)
        return failed(flags, "fcntl");
    return nothing(raw::call(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

Result<SocketPair> socket_pair(int type) {
    int ends[2] = {-1, -1};
    const long result = raw::call(__NR_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, ends);
    if (result < 0)
        return failed(result, "socketpair");
    return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

Result<termios> terminal_modes(int fd) {
    termios modes = {};
    if (::tcgetattr(fd, &modes) != 0)
        return tl::unexpected(Error::from_errno(errno, "tcgetattr"));
    return modes;
}

Result<void> set_terminal_modes(int fd, const termios& modes) {
    if (::tcsetattr(fd, TCSANOW, &modes) != 0)
        return tl::unexpected(Error::from_errno(errno, "tcsetattr"));
    return {};
}

Result<winsize> window_size(int fd) {
    winsize size = {};
    const long result = raw::call(__NR_ioctl, fd, TIOCGWINSZ, &size);
    if (result < 0)
        return failed(result, "TIOCGWINSZ");
    return size;
}

Result<void> set_window_size(int fd, const winsize& size) {
    return nothing(raw::call(__NR_ioctl, fd, TIOCSWINSZ, &size), "TIOCSWINSZ");
}

Result<pid_t> foreground_group(int fd) {
    int group = -1;
    const long result = raw::call(__NR_ioctl, fd, TIOCGPGRP, &group);
    if (result < 0)
        return failed(result, "TIOCGPGRP");
    return group;
}

Result<pid_t> session_of(int fd) {
    int session = -1;
    const long result = raw::call(__NR_ioctl, fd, TIOCGSID, &session);
    if (result < 0)
        return failed(result, "TIOCGSID");
    return session;
}

Result<Fd> open_peer(int master) {
    return descriptor(raw::call(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
                      "TIOCGPTPEER");
}

bool is_readable_now(int fd) {
    pollfd asked = {.fd = fd, .events = POLLIN, .revents = 0};
    timespec at_once = {};
    return raw::call(__NR_ppoll, &asked, 1, &at_once, nullptr, 0) > 0;
}

Result<void> set_close_on_exec(int fd) {
    return nothing(raw::call(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC), "fcntl");
}

Result<size_t> bytes_in_pipe(int fd) {
    int count = 0;
    const long result = raw::call(__NR_ioctl, fd, FIONREAD, &count);
    if (result < 0)
        return failed(result, "ioctl");
    return static_cast<size_t>(count);
}

bool is_same_file(int one, int other) {
    auto first = stat(one, "", AT_EMPTY_PATH);
    auto second = stat(other, "", AT_EMPTY_PATH);
    return first && second && first->stx_ino == second->stx_ino &&
           first->stx_dev_major == second->stx_dev_major &&
           first->stx_dev_minor == second->stx_dev_minor;
}

Result<Fd> eventfd(unsigned initial, int flags) {
    return descriptor(raw::call(__NR_eventfd2, initial, flags | O_CLOEXEC), "eventfd");
}

Result<Fd> epoll_create() {
    return descriptor(raw::call(__NR_epoll_create1, EPOLL_CLOEXEC), "epoll_create1");
}

Result<void> epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
    epoll_event event = {.events = events, .data = {.u64 = data}};
    return nothing(raw::call(__NR_epoll_ctl, epoll, operation, fd, &event), "epoll_ctl");
}

Result<size_t> epoll_wait(int epoll, std::span<epoll_event> into,
                          std::optional<Nanoseconds> timeout) {
    timespec time = {};
    if (timeout) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*timeout);
        time = {.tv_sec = seconds.count(), .tv_nsec = (*timeout - seconds).count()};
    }
    const long result = raw::call(__NR_epoll_pwait2, epoll, into.data(), into.size(),
                                  timeout ? &time : nullptr, nullptr, 0);
    return count(result == -EINTR ? 0 : result, "epoll_pwait2");
}

Result<Fd> memfd_create(const char* name, unsigned flags) {
    return descriptor(raw::call(__NR_memfd_create, name, flags | 1 /* MFD_CLOEXEC */),
                      "memfd_create");
}

Result<void> add_seals(int fd, int seals) {
    return nothing(raw::call(__NR_fcntl, fd, F_ADD_SEALS, seals), "fcntl(F_ADD_SEALS)");
}

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

Result<Fd> pidfd_getfd(int pidfd, int number) {
    return descriptor(raw::call(__NR_pidfd_getfd, pidfd, number, 0), "pidfd_getfd");
}

Result<Fd> open_tree(int directory, const char* path, unsigned flags) {
    return descriptor(raw::call(__NR_open_tree, directory, path, flags | OPEN_TREE_CLOEXEC),
                      "open_tree");
}

Result<Fd> fsopen(const char* type) {
    return descriptor(raw::call(__NR_fsopen, type, FSOPEN_CLOEXEC), "fsopen");
}

Result<void> fsconfig_string(int filesystem, const char* key, const char* value) {
    return nothing(raw::call(__NR_fsconfig, filesystem, FSCONFIG_SET_STRING, key, value, 0),
                   "fsconfig");
}

Result<void> fsconfig_create(int filesystem) {
    return nothing(raw::call(__NR_fsconfig, filesystem, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0),
                   "fsconfig");
}

Result<Fd> fsmount(int filesystem, uint64_t attributes) {
    return descriptor(raw::call(__NR_fsmount, filesystem, FSMOUNT_CLOEXEC, attributes), "fsmount");
}

Result<void> mount_setattr(int fd, unsigned flags, const mount_attr& attributes) {
    return nothing(raw::call(__NR_mount_setattr, fd, "", flags | AT_EMPTY_PATH, &attributes,
                             sizeof attributes),
                   "mount_setattr");
}

Result<void> unshare(int flags) {
    return nothing(raw::call(__NR_unshare, flags), "unshare");
}

Result<void> setns(int fd, int kind) {
    return nothing(raw::call(__NR_setns, fd, kind), "setns");
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
