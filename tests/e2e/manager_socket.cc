#include "manager_socket.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "files.h"
#include "rootfs.h"

namespace sigil::e2e {

ManagerSocket::ManagerSocket(bool is_abstract)
    : address_(is_abstract ? "@sigil-e2e-" + std::to_string(::getpid())
                           : make_directory_outside() + "/notify"),
      fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    ::strncpy(address.sun_path, address_.c_str(), sizeof address.sun_path - 1);
    if (is_abstract)
        address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size() +
                                             (is_abstract ? 0 : 1));
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0)
        << address_ << ": " << ::strerror(errno);
}

ManagerSocket::~ManagerSocket() {
    ::close(fd_);
}

Start ManagerSocket::told_by(Start start, const Words& more) const {
    start.before_exec = [address = address_, more, before = start.before_exec] {
        ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
        for (const std::string& variable : more) {
            const size_t equals = variable.find('=');
            ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
        }
        if (before)
            before();
    };
    return start;
}

void ManagerSocket::take() {
    std::array<char, 8192> bytes;
    for (;;) {
        const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), 0);
        if (count < 0)
            return;
        for (const std::string& line : lines_of({bytes.data(), static_cast<size_t>(count)}))
            lines_.push_back(line);
    }
}

const Words& ManagerSocket::heard() {
    take();
    return lines_;
}

bool ManagerSocket::await(const std::string& line) {
    return eventually([&] { return count(line) > 0; });
}

size_t ManagerSocket::count(const std::string& line) {
    return static_cast<size_t>(std::ranges::count(heard(), line));
}

}  // namespace sigil::e2e
