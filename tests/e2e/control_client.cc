#include "control_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <utility>

#include <gtest/gtest.h>

#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {

std::string control_socket(const std::string& run) {
    return std::string(records_root()) + "/runs/" + run + "/control";
}

bool await_control(const std::string& run) {
    return eventually([&] { return RawClient(control_socket(run)).is_connected(); });
}

RawClient::RawClient(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return;
    path.copy(address.sun_path, path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        fd_ = fd;
    else
        ::close(fd);
}

RawClient::RawClient(unsigned short port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        fd_ = fd;
    else
        ::close(fd);
}

RawClient::~RawClient() {
    if (fd_ >= 0)
        ::close(fd_);
}

void RawClient::send(std::string_view text) const {
    (void)::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
}

void RawClient::send_no_more() const {
    ::shutdown(fd_, SHUT_WR);
}

// False: the end, or our patience's.
bool RawClient::fill() {
    pollfd ready = {.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(patience().count() * 1000)) <= 0) {
        ADD_FAILURE() << "nothing comes";
        return false;
    }
    std::array<char, 65536> bytes;
    const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (count <= 0)
        return false;
    text_.append(bytes.data(), static_cast<size_t>(count));
    return true;
}

std::string RawClient::line() {
    while (text_.find('\n') == std::string::npos)
        if (!fill())
            return {};
    std::string line = text_.substr(0, text_.find('\n'));
    text_.erase(0, line.size() + 1);
    return line;
}

std::string RawClient::rest() {
    while (fill()) {
    }
    return std::exchange(text_, {});
}

}  // namespace sigil::e2e
