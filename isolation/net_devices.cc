#include "isolation/net_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// One message to the kernel: a header, the fixed part of its kind, attributes.
class Message {
  public:
    template <typename Fixed>
    Message(uint16_t type, uint16_t flags, const Fixed& fixed) {
        const nlmsghdr header = {.nlmsg_len = 0,
                                 .nlmsg_type = type,
                                 .nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags),
                                 .nlmsg_seq = 1,
                                 .nlmsg_pid = 0};
        append(&header, sizeof header);
        append(&fixed, sizeof fixed);
    }
    Message& add(uint16_t type, const void* value, size_t size) {
        const rtattr head = {.rta_len = static_cast<uint16_t>(RTA_LENGTH(size)), .rta_type = type};
        append(&head, sizeof head);
        append(value, size);
        return *this;
    }
    Message& add(uint16_t type, const std::string& text) {
        return add(type, text.c_str(), text.size() + 1);
    }
    Message& add(uint16_t type, uint32_t number) { return add(type, &number, sizeof number); }
    std::string_view finish() {
        const auto length = static_cast<uint32_t>(bytes_.size());
        ::memcpy(bytes_.data(), &length, sizeof length);  // nlmsg_len comes first
        return bytes_;
    }

  private:
    void append(const void* from, size_t size) {
        bytes_.append(static_cast<const char*>(from), size);
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    }
    std::string bytes_;
};

using Taker = std::function<void(const nlmsghdr& message)>;

// Sends it, and hands each answer over until the kernel says that this is all.
Result<void> ask(int socket, Message message, const Taker& take = {}) {
    const std::string_view bytes = message.finish();
    if (::send(socket, bytes.data(), bytes.size(), 0) < 0)
        return tl::unexpected(Error::from_errno(errno, "send"));
    alignas(nlmsghdr) char answer[32768];
    for (;;) {
        const ssize_t count = ::recv(socket, answer, sizeof answer, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return tl::unexpected(Error::from_errno(errno, "recv"));
        auto left = static_cast<unsigned>(count);
        for (auto* one = reinterpret_cast<nlmsghdr*>(answer); NLMSG_OK(one, left);
             one = NLMSG_NEXT(one, left)) {
            if (one->nlmsg_type == NLMSG_DONE)
                return {};
            if (one->nlmsg_type == NLMSG_ERROR) {
                const int error = static_cast<const nlmsgerr*>(NLMSG_DATA(one))->error;
                if (error == 0)
                    return {};
                return tl::unexpected(Error::from_errno(-error, "rtnetlink"));
            }
            if (take)
                take(*one);
        }
    }
}

Result<Fd> open_socket() {
    Fd made(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!made)
        return tl::unexpected(Error::from_errno(errno, "socket"));
    return made;
}

Result<int> index_of(int socket, const std::string& name) {
    int index = 0;
    Message message(RTM_GETLINK, NLM_F_ACK, ifinfomsg{.ifi_family = AF_UNSPEC});
    message.add(IFLA_IFNAME, name);
    TRY(ask(socket, std::move(message), [&index](const nlmsghdr& answer) {
        if (answer.nlmsg_type == RTM_NEWLINK)
            index = static_cast<const ifinfomsg*>(NLMSG_DATA(&answer))->ifi_index;
    }));
    return index;
}

struct Address {
    ifaddrmsg head;
    std::vector<std::pair<uint16_t, std::string>> attributes;
};

// Those of a link's own scope come back by themselves, those that run out are their giver's.
std::vector<Address> parse_address(const nlmsghdr& answer, int index) {
    const auto* head = static_cast<const ifaddrmsg*>(NLMSG_DATA(&answer));
    const bool is_kept = answer.nlmsg_type == RTM_NEWADDR &&
                         head->ifa_index == static_cast<uint32_t>(index) &&
                         head->ifa_scope == RT_SCOPE_UNIVERSE && head->ifa_flags & IFA_F_PERMANENT;
    if (!is_kept)
        return {};
    Address address = {.head = *head, .attributes = {}};
    unsigned left = IFA_PAYLOAD(&answer);
    for (const rtattr* one = IFA_RTA(head); RTA_OK(one, left); one = RTA_NEXT(one, left))
        if (one->rta_type == IFA_LOCAL || one->rta_type == IFA_ADDRESS ||
            one->rta_type == IFA_BROADCAST)
            address.attributes.emplace_back(
                one->rta_type,
                std::string(static_cast<const char*>(RTA_DATA(one)), RTA_PAYLOAD(one)));
    return {address};
}

Result<std::vector<Address>> addresses_of(int socket, int index) {
    std::vector<Address> all;
    TRY(ask(socket, Message(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{.ifa_family = AF_UNSPEC}),
            [&](const nlmsghdr& answer) {
                for (Address& address : parse_address(answer, index))
                    all.push_back(std::move(address));
            }));
    return all;
}

Result<void> add_address(int socket, int index, const Address& address) {
    ifaddrmsg head = address.head;
    head.ifa_index = static_cast<uint32_t>(index);
    Message message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head);
    for (const auto& [type, value] : address.attributes)
        message.add(type, value.data(), value.size());
    return ask(socket, std::move(message));
}

Result<void> set_up(int socket, int index, bool up) {
    return ask(socket, Message(RTM_NEWLINK, NLM_F_ACK,
                               ifinfomsg{.ifi_family = AF_UNSPEC,
                                         .ifi_index = index,
                                         .ifi_flags = up ? unsigned{IFF_UP} : 0U,
                                         .ifi_change = IFF_UP}));
}

// A socket of the process's network namespace.
Result<Fd> open_socket_in(int network) {
    const Fd own = TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY));
    TRY(sys::setns(network, CLONE_NEWNET), "enter the container's network namespace");
    auto made = open_socket();
    TRY(sys::setns(own.get(), CLONE_NEWNET), "leave the container's network namespace");
    return made;
}

Result<void> move(const NetDevice& device, int here, int there, int network) {
    const int index = TRY(index_of(here, device.host_name));
    // Found out by the kernel only once it is there, and it would go with the container.
    if (auto there_already = index_of(there, device.container_name); there_already)
        return failure("the container has a device {} already", device.container_name);
    const std::vector<Address> addresses = TRY(addresses_of(here, index), "read its addresses");
    // One that is up cannot be renamed (before Linux 6.2).
    TRY(set_up(here, index, false), "put it down");
    Message message(RTM_NEWLINK, NLM_F_ACK, ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = index});
    message.add(IFLA_NET_NS_FD, static_cast<uint32_t>(network));
    message.add(IFLA_IFNAME, device.container_name);
    TRY(ask(here, std::move(message)), "move it to the container as {}", device.container_name);
    const int moved = TRY(index_of(there, device.container_name));
    for (const Address& address : addresses)
        TRY(add_address(there, moved, address), "give it its address back");
    return TRY(set_up(there, moved, true), "put it up"), Result<void>();
}

}  // namespace

Result<void> move_net_devices(std::span<const NetDevice> devices, pid_t pid) {
    if (devices.empty())
        return {};
    const Fd network =
        TRY(sys::open(AT_FDCWD, fmt::format("/proc/{}/ns/net", pid).c_str(), O_RDONLY),
            "open the container's network namespace");
    const Fd here = TRY(open_socket());
    const Fd there = TRY(open_socket_in(network.get()));
    for (const NetDevice& device : devices)
        TRY(move(device, here.get(), there.get(), network.get()), "linux.netDevices.{}",
            printable(device.host_name));
    return {};
}

}  // namespace sigil::isolation
