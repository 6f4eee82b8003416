#include "core/datagram.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>

#include "core/parse.h"
#include "core/try.h"

namespace sigil {
namespace {

constexpr size_t kMostPassed = 253;  // SCM_MAX_FD (unix(7))
constexpr int kType = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

Result<Fd> open_socket() {
    Fd socket(::socket(AF_UNIX, kType, 0));
    if (!socket)
        return tl::unexpected(Error::from_errno(errno, "socket"));
    return socket;
}

Result<socklen_t> fill(sockaddr_un& address, std::string_view text) {
    address.sun_family = AF_UNIX;
    if (text.size() < 2 || (text[0] != '/' && text[0] != '@'))
        return failure("'{}' is neither an absolute path nor '@' and a name", printable(text));
    // The kernel ends a path by itself; an abstract name is as long as it is said to be.
    if (text.size() >= sizeof address.sun_path)
        return failure("'{}' is longer than a socket's address can be", printable(text));
    ::memcpy(address.sun_path, text.data(), text.size());
    if (text[0] == '@')
        address.sun_path[0] = '\0';
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() +
                                  (text[0] == '@' ? 0 : 1));
}

void take_control(msghdr& header, Datagram& datagram) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET)
            continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            ucred sender;
            ::memcpy(&sender, CMSG_DATA(part), sizeof sender);
            datagram.sender = sender.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t index = 0; index < count; ++index) {
                int fd;
                ::memcpy(&fd, CMSG_DATA(part) + index * sizeof fd, sizeof fd);
                datagram.passed.emplace_back(fd);
            }
        }
    }
}

}  // namespace

Result<Fd> connect_datagram(std::string_view text) {
    sockaddr_un address = {};
    const socklen_t length = TRY(fill(address, text));
    Fd socket = TRY(open_socket());
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
        return tl::unexpected(
            Error::from_errno(errno, "connect").in(fmt::format("connect to {}", printable(text))));
    return socket;
}

Result<void> send_datagram(int socket, std::string_view text) {
    ssize_t sent;
    do
        sent = ::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return tl::unexpected(Error::from_errno(errno, "send"));
    return {};
}

Result<Fd> bind_datagram(const char* path) {
    constexpr mode_t kEveryone = 0666;
    sockaddr_un address = {};
    const socklen_t length = TRY(fill(address, path));
    Fd socket = TRY(open_socket());
    const int yes = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
        return tl::unexpected(Error::from_errno(errno, "setsockopt"));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
        return tl::unexpected(Error::from_errno(errno, "bind").in(fmt::format("bind {}", path)));
    if (::chmod(path, kEveryone) != 0)  // whatever our umask
        return tl::unexpected(Error::from_errno(errno, "chmod").in(path));
    return socket;
}

Result<Datagram> receive_datagram(int socket, std::span<char> into) {
    iovec bytes = {.iov_base = into.data(), .iov_len = into.size()};
    alignas(cmsghdr)
        std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int) * kMostPassed)>
            control;
    msghdr header = {};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t count;
    do
        count = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return tl::unexpected(Error::from_errno(errno, "recvmsg"));
    Datagram datagram;
    datagram.text = {into.data(), static_cast<size_t>(count)};
    datagram.is_cut = header.msg_flags & MSG_TRUNC;
    take_control(header, datagram);
    return datagram;
}

}  // namespace sigil
