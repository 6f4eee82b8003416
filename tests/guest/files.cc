// Files, devices and sockets: each prints "ok" or "error ENAME".
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "probe.h"

namespace probe {
namespace {

int open_file(Arguments arguments) {
    const bool writes = strcmp(arguments[1], "w") == 0;
    return tell(open(arguments[0], (writes ? O_WRONLY : O_RDONLY) | O_NOCTTY | O_CLOEXEC) >= 0);
}

int write_file(Arguments arguments) {
    const int fd = open(arguments[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const char* text = arguments[1];
    return tell(fd >= 0 && write(fd, text, strlen(text)) == static_cast<ssize_t>(strlen(text)));
}

// "filled COUNT ok" or "filled COUNT ENAME".
int fill(Arguments arguments) {
    const int fd = open(arguments[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return tell(false);
    static const char kPage[4096] = {};
    const long wanted = number(arguments[1]);
    long written = 0;
    ssize_t count = 0;
    while (written < wanted && (count = write(fd, kPage, sizeof kPage)) > 0)
        written += count;
    printf("filled %ld %s\n", written, count < 0 ? strerrorname_np(errno) : "ok");
    return 0;
}

int read_link(Arguments arguments) {
    char target[4096] = "";
    const ssize_t length = readlink(arguments[0], target, sizeof target - 1);
    if (length < 0)
        return tell(false);
    puts(target);
    return 0;
}

int make_directory(Arguments arguments) {
    return tell(mkdir(arguments[0], 0755) == 0);
}

// A pair of our own devpts: bytes go through it.
int pty(Arguments) {
    const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return tell(false);
    const char* name = ptsname(master);
    printf("pts %s\n", name ? name : "?");
    const int slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    char text[8] = "";
    return tell(slave >= 0 && write(slave, "hi", 2) == 2 && read(master, text, 2) == 2 &&
                strcmp(text, "hi") == 0);
}

int shm(Arguments) {
    const int fd = shm_open("/sigil-probe", O_RDWR | O_CREAT | O_EXCL, 0600);
    return tell(fd >= 0 && ftruncate(fd, 4096) == 0 && access("/dev/shm/sigil-probe", F_OK) == 0 &&
                shm_unlink("/sigil-probe") == 0);
}

int mqueue(Arguments) {
    const mqd_t queue = mq_open("/sigil-probe", O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
    return tell(queue >= 0 && mq_send(queue, "hi", 2, 0) == 0 &&
                access("/dev/mqueue/sigil-probe", F_OK) == 0 && mq_unlink("/sigil-probe") == 0);
}

// A TCP connection to ourselves.
int loopback(Arguments) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* where = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    return tell(bind(listener, where, length) == 0 && listen(listener, 1) == 0 &&
                getsockname(listener, where, &length) == 0 && connect(caller, where, length) == 0);
}

// The old way out of a chroot(2): keep a directory outside of the new root, and climb from it.
int escape(Arguments arguments) {
    const int outside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkdir("/escape", 0755) < 0 || chroot("/escape") < 0 || fchdir(outside) < 0)
        return tell(false);
    for (int level = 0; level < 64; ++level)
        if (chdir("..") < 0)
            return tell(false);
    if (chroot(".") < 0)
        return tell(false);
    printf("marker %s\n", access(arguments[0], F_OK) == 0 ? "visible" : "hidden");
    return 0;
}

// Reads or writes through a descriptor that was passed on.
int write_fd(Arguments arguments) {
    const char* text = arguments[1];
    const int fd = static_cast<int>(number(arguments[0]));
    return tell(write(fd, text, strlen(text)) == static_cast<ssize_t>(strlen(text)));
}

constexpr std::array kCommands = {
    Command{"open", "FILE r|w", "open it", 2, open_file},
    Command{"write", "FILE TEXT", "make it or replace its content", 2, write_file},
    Command{"write-fd", "N TEXT", "write to an open descriptor", 2, write_fd},
    Command{"fill", "FILE BYTES", "write zeros until BYTES or an error", 2, fill},
    Command{"mkdir", "PATH", "make a directory", 1, make_directory},
    Command{"readlink", "PATH", "print where a link points", 1, read_link},
    Command{"pty", "", "open a pair of terminals and use it", 0, pty},
    Command{"shm", "", "make shared memory in /dev/shm", 0, shm},
    Command{"mqueue", "", "make a message queue", 0, mqueue},
    Command{"loopback", "", "connect to ourselves over TCP", 0, loopback},
    Command{"escape", "MARKER", "climb out of a chroot; is MARKER there?", 1, escape},
};

}  // namespace

std::span<const Command> file_commands() {
    return kCommands;
}

}  // namespace probe
