// The container's network: what tells it from others, and uses of it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "probe.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace probe {
namespace {

// A number that no other network namespace of this machine ever has.
int cookie(Arguments) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint64_t number = 0;
    socklen_t size = sizeof number;
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &number, &size) != 0)
        return tell(false);
    printf("%lu\n", number);
    return 0;
}

sockaddr_in address_of(const char* text, long port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

int connect_to(Arguments arguments) {
    const sockaddr_in address = address_of(arguments[0], number(arguments[1]));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return tell(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

// A connection to oneself, which stays in TIME_WAIT.
int talk(Arguments) {
    sockaddr_in address = address_of("127.0.0.1", 7777);
    auto* general = reinterpret_cast<sockaddr*>(&address);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server, general, sizeof address) != 0 || listen(server, 1) != 0 ||
        connect(client, general, sizeof address) != 0)
        return tell(false);
    const int accepted = accept(server, nullptr, nullptr);
    char byte = 'x';
    const bool done = write(client, &byte, 1) == 1 && read(accepted, &byte, 1) == 1;
    close(accepted);  // who closes first waits
    return tell(done);
}

constexpr std::array kCommands = {
    Command{"cookie", "", "the number of the network namespace", 0, cookie},
    Command{"connect", "ADDRESS PORT", "over TCP", 2, connect_to},
    Command{"talk", "", "over TCP with oneself, on port 7777", 0, talk},
};

}  // namespace

std::span<const Command> network_commands() {
    return kCommands;
}

}  // namespace probe
