#include "descriptor_socket.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "rootfs.h"
#include "sigil_runner.h"

namespace sigil::e2e {
namespace {

bool is_readable(int fd, int milliseconds) {
    pollfd watched = {.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, milliseconds) > 0;
}

}  // namespace

DescriptorSocket::DescriptorSocket() : path_(make_directory_outside() + "/s") {
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    EXPECT_LT(path_.size(), sizeof address.sun_path);
    ::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket_, 4), 0);
}

DescriptorSocket::~DescriptorSocket() {
    ::close(socket_);
}

bool DescriptorSocket::has_caller() const {
    return is_readable(socket_, 0);
}

int DescriptorSocket::receive(std::string& text) const {
    const int limit = static_cast<int>(patience().count()) * 1000;
    if (!is_readable(socket_, limit)) {
        ADD_FAILURE() << "nobody has connected to " << path_;
        return -1;
    }
    const int caller = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    char bytes[65536];
    iovec into = {.iov_base = bytes, .iov_len = sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header = {};
    header.msg_iov = &into;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t count = ::recvmsg(caller, &header, MSG_CMSG_CLOEXEC);
    ::close(caller);
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (count < 0 || !rights) {
        ADD_FAILURE() << "no descriptor came over " << path_;
        return -1;
    }
    text.assign(bytes, static_cast<size_t>(count));
    int fd = -1;
    ::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    return fd;
}

}  // namespace sigil::e2e
