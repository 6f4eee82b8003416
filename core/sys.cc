#include "core/sys.h"

#include <asm/unistd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "core/parse.h"
#include "core/raw_syscall.h"
#include "core/sys_result.h"
#include "core/try.h"

namespace sigil {

void Fd::reset() {
    if (number_ >= 0)
        raw::call(__NR_close, std::exchange(number_, -1));
}

}  // namespace sigil

namespace sigil::sys {

Nanoseconds monotonic_now() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);  // the vDSO's: no system call, cannot fail
    return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

timespec timespec_of(Nanoseconds time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
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
    const Fd file =
        TRY(open(directory, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    auto written = write_all(file.get(), text);
    if (written)
        written = renameat(directory, fresh.c_str(), path.c_str());
    if (!written)
        (void)unlinkat(directory, fresh.c_str());
    return written;
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

Result<void> make_private(const std::string& path) {
    constexpr mode_t kPrivate = 0700;
    auto made = mkdirat(AT_FDCWD, path.c_str(), kPrivate);
    if (!made && made.error().is(EEXIST))
        return {};
    return TRY(std::move(made), "make {}", printable(path)), Result<void>();
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

Result<void> send_descriptors(int socket, std::string_view bytes,
                              std::span<const int> descriptors) {
    iovec content = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    std::vector<uint64_t> control(CMSG_SPACE(descriptors.size_bytes()) / sizeof(uint64_t));
    static_assert(alignof(cmsghdr) == alignof(uint64_t));
    msghdr header = {};
    header.msg_iov = &content;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    ::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    return nothing(raw::call(__NR_sendmsg, socket, &header, MSG_NOSIGNAL), "sendmsg");
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
    const timespec time = timespec_of(timeout.value_or(Nanoseconds::zero()));
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

}  // namespace sigil::sys
