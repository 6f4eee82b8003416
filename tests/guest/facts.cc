// What is true of this process and of what it can see.
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "probe.h"

extern char** environ;

namespace probe {
namespace {

struct Limit {
    const char* name;
    __rlimit_resource resource;
};

constexpr std::array kLimits = {
    Limit{"as", RLIMIT_AS},
    Limit{"core", RLIMIT_CORE},
    Limit{"cpu", RLIMIT_CPU},
    Limit{"data", RLIMIT_DATA},
    Limit{"fsize", RLIMIT_FSIZE},
    Limit{"memlock", RLIMIT_MEMLOCK},
    Limit{"nofile", RLIMIT_NOFILE},
    Limit{"nproc", RLIMIT_NPROC},
    Limit{"sigpending", __RLIMIT_SIGPENDING},
    Limit{"stack", RLIMIT_STACK},
};

// fn for each name in a directory but "." and "..".
template <typename Fn>
void for_each_entry(const char* path, Fn fn) {
    DIR* directory = opendir(path);
    if (!directory)
        return;
    while (dirent* entry = readdir(directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(entry->d_name, dirfd(directory));
    closedir(directory);
}

// "key LINE" for each line of a file.
void print_lines(const char* key, const char* path) {
    FILE* file = fopen(path, "re");
    if (!file)
        return;
    char* line = nullptr;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        printf("%s %s\n", key, line);
    }
    free(line);
    fclose(file);
}

void print_link(const char* key, int directory, const char* name) {
    char target[4096];
    const ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    if (length < 0)
        return;
    target[length] = '\0';
    printf("%s.%s %s\n", key, name, target);
}

void print_identity() {
    printf("pid %d\nppid %d\nsid %d\npgid %d\n", getpid(), getppid(), getsid(0), getpgrp());
    uid_t real_uid, uid, saved_uid;
    gid_t real_gid, gid, saved_gid;
    getresuid(&real_uid, &uid, &saved_uid);
    getresgid(&real_gid, &gid, &saved_gid);
    printf("uid %u %u %u\ngid %u %u %u\n", real_uid, uid, saved_uid, real_gid, gid, saved_gid);
    gid_t groups[256];
    const int count = getgroups(256, groups);
    printf("groups");
    for (int index = 0; index < count; ++index)
        printf(" %u", groups[index]);
    const mode_t mask = umask(0);
    umask(mask);
    char host[256] = "";
    gethostname(host, sizeof host);
    char cwd[4096] = "";
    if (!getcwd(cwd, sizeof cwd))
        strcpy(cwd, "?");
    printf("\numask %04o\nhostname %s\ncwd %s\n", mask, host, cwd);
}

// The lines of /proc/self/status, "SigBlk:\t0" as "status.SigBlk 0".
void print_status() {
    FILE* file = fopen("/proc/self/status", "re");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char* value = strchr(line, ':');
        if (!value)
            continue;
        *value++ = '\0';
        printf("status.%s %s\n", line, value + strspn(value, "\t "));
    }
    fclose(file);
}

void print_descriptors() {
    for_each_entry("/proc/self/fd", [](const char* name, int directory) {
        if (atoi(name) != directory)
            print_link("fd", directory, name);
    });
}

void print_limits() {
    for (const Limit& limit : kLimits) {
        rlimit now;
        getrlimit(limit.resource, &now);
        printf("rlimit.%s", limit.name);
        for (rlim_t value : {now.rlim_cur, now.rlim_max})
            value == RLIM_INFINITY ? printf(" unlimited")
                                   : printf(" %llu", static_cast<unsigned long long>(value));
        putchar('\n');
    }
}

void print_network() {
    for_each_entry("/sys/class/net", [](const char* name, int) { printf("interface %s\n", name); });
    const int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    const bool known = ioctl(socket_fd, SIOCGIFFLAGS, &request) == 0;
    printf("loopback %s\n", !known ? "absent" : request.ifr_flags & IFF_UP ? "up" : "down");
    close(socket_fd);
}

void print_processes() {
    for_each_entry("/proc", [](const char* name, int) {
        if (atoi(name) > 0)
            printf("process %s\n", name);
    });
    print_lines("pid1", "/proc/1/comm");
}

void print_terminal() {
    for (int fd = 0; fd <= 2; ++fd)
        printf("tty.%d %s\n", fd, isatty(fd) ? "yes" : "no");
    const int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC);
    printf("tty.controlling %s\n", controlling >= 0 ? "yes" : "no");
    if (controlling >= 0)
        close(controlling);
}

// keyctl(2), KEYCTL_GET_KEYRING_ID: the session's, which a process inherits.
void print_keyring() {
    constexpr int kGetKeyringId = 0;
    constexpr int kSessionKeyring = -3;
    printf("keyring %ld\n", syscall(SYS_keyctl, kGetKeyringId, kSessionKeyring, 0));
}

// "null c666 1:3 0:0": kind and mode, numbers, owner.
void print_devices() {
    for_each_entry("/dev", [](const char* name, int directory) {
        struct stat facts;
        if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
            return;
        if (S_ISLNK(facts.st_mode)) {
            print_link("link", directory, name);
            return;
        }
        const char kind = S_ISCHR(facts.st_mode)    ? 'c'
                          : S_ISBLK(facts.st_mode)  ? 'b'
                          : S_ISFIFO(facts.st_mode) ? 'p'
                          : S_ISDIR(facts.st_mode)  ? 'd'
                                                    : '-';
        printf("device %s %c%03o %u:%u %u:%u\n", name, kind, facts.st_mode & 07777U,
               major(facts.st_rdev), minor(facts.st_rdev), facts.st_uid, facts.st_gid);
    });
}

void print_streams() {
    for (int fd = 0; fd <= 2; ++fd) {
        struct stat facts;
        if (fstat(fd, &facts) == 0)
            printf("stream.%d %u\n", fd, facts.st_uid);
    }
}

int facts(Arguments) {
    print_descriptors();  // first: nothing of ours is open yet
    print_streams();
    print_identity();
    print_status();
    for_each_entry("/proc/self/ns",
                   [](const char* name, int directory) { print_link("ns", directory, name); });
    print_limits();
    print_network();
    print_processes();
    print_terminal();
    print_keyring();
    for (char** variable = environ; *variable; ++variable)
        printf("env %s\n", *variable);
    print_lines("mount", "/proc/self/mountinfo");
    print_lines("cgroup", "/proc/self/cgroup");
    print_lines("oom_score_adj", "/proc/self/oom_score_adj");
    print_devices();
    print_lines("uid_map", "/proc/self/uid_map");
    print_lines("gid_map", "/proc/self/gid_map");
    print_lines("sysctl.kernel.msgmax", "/proc/sys/kernel/msgmax");
    print_lines("sysctl.kernel.domainname", "/proc/sys/kernel/domainname");
    print_lines("sysctl.net.ipv4.ip_unprivileged_port_start",
                "/proc/sys/net/ipv4/ip_unprivileged_port_start");
    return 0;
}

constexpr std::array kCommands = {
    Command{"facts", "", "print everything there is to know", 0, facts},
};

}  // namespace

std::span<const Command> fact_commands() {
    return kCommands;
}

}  // namespace probe
