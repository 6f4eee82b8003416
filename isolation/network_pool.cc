#include "isolation/network_pool.h"

#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// A new namespace for the calling thread, as a descriptor.
Result<Fd> make_network() {
    TRY(sys::unshare(CLONE_NEWNET));
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return tl::unexpected(Error::from_errno(errno, "socket"));
    ifreq loopback = {};
    ::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP;
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &loopback) < 0)
        return tl::unexpected(Error::from_errno(errno, "ioctl"));
    // The namespace of a socket, as a descriptor (netdevice(7), Linux 4.10).
    Fd network(::ioctl(socket.get(), SIOCGSKNS, 0));
    if (!network)
        return tl::unexpected(Error::from_errno(errno, "ioctl"));
    return network;
}

}  // namespace

Fd NetworkPool::take() {
    Fd taken;
    {
        const std::lock_guard lock(mutex_);
        if (ready_.empty())
            return taken;
        taken = std::move(ready_.back());
        ready_.pop_back();
    }
    wanted_.notify_one();
    return taken;
}

void NetworkPool::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wanted_.wait(lock, [this] { return is_over_ || ready_.size() < count_; });
            if (is_over_)
                return;
        }
        auto network = make_network();
        if (!network)
            return;  // out of descriptors or memory: each launch makes its own, and tells
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(*network));
    }
}

void NetworkPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    wanted_.notify_all();
}

}  // namespace sigil::isolation
