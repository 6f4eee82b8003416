// One thin wrapper a system call; the only place, with raw_syscall.h, where the kernel's error
// numbers are read. Every descriptor made here is close-on-exec. Arguments and failures are those
// of the manual page of the same name.
#pragma once

#include <linux/mount.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>
#include <time.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/process.h"

union bpf_attr;

namespace sigil::sys {

using Nanoseconds = std::chrono::nanoseconds;

// CLOCK_MONOTONIC: the clock of every time in sigil.
Nanoseconds monotonic_now();
timespec timespec_of(Nanoseconds time);
// From the kernel (getrandom(2)), evenly from 0 up; 0 for a limit of 0, and before the kernel has
// gathered any.
uint64_t random_below(uint64_t limit);

Result<Fd> open(int directory, const char* path, int flags, mode_t mode = 0);
Result<Fd> openat2(int directory, const char* path, uint64_t flags, uint64_t resolve,
                   mode_t mode = 0);
Result<size_t> read(int fd, std::span<char> into);
// The same until it is full; less only at the end.
Result<size_t> read_full(int fd, std::span<char> into);
// All that comes until the end, of a file, a pipe or a terminal. An error if that is more than
// `most` bytes.
Result<std::string> read_all(int fd, size_t most = SIZE_MAX);
Result<size_t> write(int fd, std::string_view text);
// Without waiting for room, whatever the descriptor's flags: EAGAIN, or EOPNOTSUPP where the file
// knows no RWF_NOWAIT.
Result<size_t> write_nowait(int fd, std::string_view text);
// The same to a socket.
Result<size_t> send_nowait(int socket, std::string_view text);
// Writes everything.
Result<void> write_all(int fd, std::string_view text);
// The whole of a small file (procfs, cgroupfs: at most one page is kept by its reader).
Result<std::string> read_file(int directory, const char* path);
// One write(2) to an existing file, as cgroupfs wants it.
Result<void> write_file(int directory, const char* path, std::string_view text);

// Makes or replaces a file in one step, by a rename: nobody sees half of it, and a failure leaves
// what was there.
Result<void> replace_file(int directory, const std::string& path, std::string_view text,
                          mode_t mode);

Result<struct statx> stat(int directory, const char* path, int flags = 0);
// Which mount a path is on (STATX_MNT_ID, Linux 5.8); a link's end counts.
Result<uint64_t> mount_id(int directory, const char* path);
// The f_type of statfs(2): which kind of filesystem a path is on.
Result<long> filesystem_type(const char* path);
Result<long> filesystem_type(int fd);
Result<void> mkdirat(int directory, const char* path, mode_t mode);
// A directory for its owner alone; one that is there is left as it is.
Result<void> make_private(const std::string& path);
Result<void> rmdirat(int directory, const char* path);
Result<void> unlinkat(int directory, const char* path);
// Within a directory; what has the new name already is replaced.
Result<void> renameat(int directory, const char* from, const char* to);
Result<void> symlinkat(const char* target, int directory, const char* path);
Result<std::string> readlinkat(int directory, const char* path);
Result<void> fchownat(int directory, const char* path, uid_t uid, gid_t gid, int flags = 0);
// Whether we may write there (W_OK); an error says why not.
Result<void> check_writable(int directory, const char* path);
// LOCK_EX and the like; blocks unless LOCK_NB is among them.
Result<void> flock(int fd, int operation);
Result<void> seek(int fd, uint64_t offset);
// Entries of a directory from where it stands on, as getdents64(2) packs them; 0 bytes: the end.
Result<size_t> getdents(int directory, std::span<char> into);
// Names of its entries but "." and "..", from where it stands on: a page of them, none at the end;
// and all, from the first on.
Result<std::vector<std::string>> next_names(int directory);
Result<std::vector<std::string>> all_names(int directory);

Result<Fd> eventfd(unsigned initial, int flags);
Result<Fd> epoll_create();
// `operation`: EPOLL_CTL_ADD and the like; `data` comes back with the events.
Result<void> epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data);
// How many of `into` were filled; 0 once that time has passed, or when a signal came. Without a
// timeout it waits for ever.
Result<size_t> epoll_wait(int epoll, std::span<epoll_event> into,
                          std::optional<Nanoseconds> timeout);
struct Pipe {
    Fd reader;
    Fd writer;
};
Result<Pipe> pipe();
Result<void> set_nonblocking(int fd);
// Of AF_UNIX; `type`: SOCK_SEQPACKET and the like.
struct SocketPair {
    Fd parent;
    Fd child;
};
Result<SocketPair> socket_pair(int type);
// Bytes, at least one, and descriptors beside them (unix(7), SCM_RIGHTS), over a Unix socket.
Result<void> send_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors);
// Of a terminal (termios(3), ioctl_tty(2)). New modes hold at once.
Result<termios> terminal_modes(int fd);
Result<void> set_terminal_modes(int fd, const termios& modes);
Result<winsize> window_size(int fd);
Result<void> set_window_size(int fd, const winsize& size);
// Of our controlling terminal, or by its master of any; 0: a group of another pid namespace.
Result<pid_t> foreground_group(int fd);
Result<pid_t> session_of(int fd);
// The other end of a pseudo-terminal: no path is looked up (TIOCGPTPEER).
Result<Fd> open_peer(int master);
// Whether a read would not wait.
bool is_readable_now(int fd);

Result<void> set_close_on_exec(int fd);
// How many bytes a pipe holds.
Result<size_t> bytes_in_pipe(int fd);
// Whether both descriptors are of one file, pipe or device.
bool is_same_file(int one, int other);
Result<Fd> memfd_create(const char* name, unsigned flags);
Result<void> add_seals(int fd, int seals);

// A set of signals as the kernel has it: bit n-1 for signal n. libc's sigset_t functions hide the
// two real-time signals that libc keeps for itself; sigil forwards those too.
using SignalSet = uint64_t;
constexpr SignalSet signal_bit(int signal) {
    return SignalSet{1} << (signal - 1);
}

Result<void> set_signal_mask(SignalSet blocked);
// Besides those that are blocked.
Result<void> block_signals(SignalSet more);
Result<Fd> signalfd(SignalSet signals);
// Whether the signal's disposition is SIG_IGN, as nohup(1) leaves SIGHUP.
bool is_ignored(int signal);
// The same of all of them: from /proc, or where that is missing, one by one.
SignalSet ignored_signals();
std::vector<int> numbers_of(SignalSet signals);
Result<void> reset_signal_to_default(int signal);

// Sends a signal; with `queued`, as sigqueue(3) does, with that value.
Result<void> pidfd_send_signal(int pidfd, int signal, std::optional<sigval> queued = {});
Result<Fd> pidfd_open(pid_t pid);
// Reaps the process if it has ended: nothing while it runs. Never blocks.
Result<std::optional<Exit>> wait_exited(int pidfd);
// The same, but leaves it to be waited for again.
Result<std::optional<Exit>> peek_exited(int pidfd);
// Waits until a child that is dying is dead, all its threads too, and leaves it to be reaped.
Result<void> await_death(pid_t pid);
// The same, and reaps it.
Result<void> reap(pid_t pid);
// A copy of the descriptor `number` of the process's main thread.
Result<Fd> pidfd_getfd(int pidfd, int number);

Result<Fd> open_tree(int directory, const char* path, unsigned flags);
// A filesystem in the making, and a mount of it that is attached nowhere.
Result<Fd> fsopen(const char* type);
Result<void> fsconfig_string(int filesystem, const char* key, const char* value);
Result<void> fsconfig_create(int filesystem);
Result<Fd> fsmount(int filesystem, uint64_t attributes);
Result<void> mount_setattr(int fd, unsigned flags, const mount_attr& attributes);
Result<void> unshare(int flags);
Result<void> setns(int fd, int kind);
Result<void> sethostname(const std::string& name);
Result<void> set_dumpable(bool dumpable);
// What the kernel returns: a descriptor, for the commands that make or open one (close-on-exec
// always).
Result<int> bpf(int command, bpf_attr& attributes);
// Bit n: capability n is in the permitted set.
Result<uint64_t> permitted_capabilities();

}  // namespace sigil::sys
