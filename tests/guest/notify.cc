// What a service tells its manager (sd_notify(3)), without systemd's library.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>

#include "probe.h"

namespace probe {
namespace {

bool send_text(const std::string& text, int passed) {
    const char* path = getenv("NOTIFY_SOCKET");
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (!path || strlen(path) >= sizeof address.sun_path)
        return false;
    strcpy(address.sun_path, path);
    iovec bytes = {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof passed)] = {};
    msghdr header = {};
    header.msg_name = &address;
    header.msg_namelen = sizeof address;
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    if (passed >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(rights), &passed, sizeof passed);
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && sendmsg(fd, &header, MSG_NOSIGNAL) >= 0;
}

int notify(Arguments lines) {
    std::string text;
    for (const char* line : lines)
        text += std::string(line) + "\n";
    return tell(send_text(text, -1));
}

// As sd_notify_barrier(3): over once the other end has let go of the pipe.
int barrier(Arguments) {
    std::array<int, 2> ends;
    if (pipe(ends.data()) != 0 || !send_text("BARRIER=1", ends[1]))
        return tell(false);
    close(ends[1]);
    char byte;
    return tell(read(ends[0], &byte, 1) == 0);
}

const std::array kCommands = {
    Command{"notify", "LINE...", "tell $NOTIFY_SOCKET", 1, notify},
    Command{"barrier", "", "wait until what was told is heeded", 0, barrier},
};

}  // namespace

std::span<const Command> notify_commands() {
    return kCommands;
}

}  // namespace probe
