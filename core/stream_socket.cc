#include "core/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/try.h"

namespace sigil {
namespace {

constexpr int kWaiting = 16;  // connections that were not accepted yet

tl::unexpected<Error> failed(const char* call) {
    return tl::unexpected(Error::from_errno(errno, call));
}

Result<Fd> make_socket(int family, int flags) {
    Fd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!made)
        return failed("socket");
    return made;
}

}  // namespace

Result<sockaddr_un> unix_address(int directory, const std::string& name) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path =
        directory == AT_FDCWD ? name : fmt::format("/proc/self/fd/{}/{}", directory, name);
    if (path.size() >= sizeof address.sun_path)
        return failure("the path is longer than {} bytes", sizeof address.sun_path - 1);
    ::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<Fd> listen_unix(int directory, const std::string& name) {
    const sockaddr_un address = TRY(unix_address(directory, name));
    Fd socket = TRY(make_socket(AF_UNIX, SOCK_NONBLOCK));
    // The mode of the file is the socket's at bind(2), without the umask's bits (unix(7)).
    if (::fchmod(socket.get(), 0600) < 0)
        return failed("fchmod");
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return failed("bind");
    if (::listen(socket.get(), kWaiting) < 0)
        return failed("listen");
    return socket;
}

Result<Fd> connect_unix(int directory, const std::string& name) {
    const sockaddr_un address = TRY(unix_address(directory, name));
    Fd socket = TRY(make_socket(AF_UNIX, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return failed("connect");
    return socket;
}

Result<Fd> listen_tcp(const std::string& host, uint16_t port) {
    sockaddr_in four = {};
    sockaddr_in6 six = {};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    const bool is_four = ::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1;
    if (!is_four && ::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr) != 1)
        return failure("'{}' is no address of IPv4 or IPv6", host);
    Fd socket = TRY(make_socket(is_four ? AF_INET : AF_INET6, SOCK_NONBLOCK));
    const int yes = 1;  // a restart finds connections of the run before in TIME_WAIT
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        return failed("setsockopt");
    const auto* address = is_four ? reinterpret_cast<const sockaddr*>(&four)
                                  : reinterpret_cast<const sockaddr*>(&six);
    if (::bind(socket.get(), address, is_four ? sizeof four : sizeof six) < 0)
        return failed("bind");
    if (::listen(socket.get(), kWaiting) < 0)
        return failed("listen");
    return socket;
}

Result<Fd> accept_connection(int socket) {
    Fd accepted(::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted)
        return failed("accept");
    return accepted;
}

Result<uid_t> peer_uid(int socket) {
    ucred peer = {};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return failed("getsockopt");
    return peer.uid;
}

Result<size_t> receive(int socket, std::span<char> into) {
    const ssize_t count = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
    if (count < 0)
        return failed("recv");
    return static_cast<size_t>(count);
}

}  // namespace sigil
