#include "isolation/network_shelf.h"

#include <fcntl.h>
#include <sched.h>

#include <utility>

#include "core/capabilities.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr size_t kMostLent = 32;
constexpr size_t kMostBack = 16;

}  // namespace

bool leaves_network_alone(const Spec& spec) {
    return spec.network == Network::none && spec.user_namespace == UserNamespace::host &&
           !spec.privileged && !spec.oci && (spec.capabilities & ~default_capabilities()) == 0;
}

Result<std::unique_ptr<NetworkShelf>> NetworkShelf::open() {
    auto shelf = std::make_unique<NetworkShelf>();
    shelf->home_ = TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY),
                       "open the network namespace");
    shelf->proc_ = TRY(sys::open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY), "open /proc");
    return shelf;
}

Fd NetworkShelf::next() {
    const std::lock_guard lock(mutex_);
    if (back_.empty())
        return {};
    Fd one = std::move(back_.back());
    back_.pop_back();
    return one;
}

bool NetworkShelf::has_room() {
    const std::lock_guard lock(mutex_);
    return lent_.size() < kMostLent;
}

void NetworkShelf::lend(uint64_t container, Fd network) {
    const std::lock_guard lock(mutex_);
    if (lent_.size() < kMostLent)
        lent_.insert_or_assign(container, std::move(network));
}

void NetworkShelf::come_back(uint64_t container) {
    const std::lock_guard lock(mutex_);
    auto found = lent_.find(container);
    if (found == lent_.end())
        return;
    back_.push_back(std::move(found->second));
    lent_.erase(found);
}

// How many sockets there are, what went through each device, and what was ever counted of IP, ICMP,
// TCP and UDP: a packet without a route too. What else is counted (net/netstat) is counted of
// packets that came through a device, and would take as long to read as all of this.
std::optional<std::string> NetworkShelf::facts() const {
    auto sockets = sys::read_file(proc_.get(), "thread-self/net/sockstat");
    if (!sockets)
        return std::nullopt;
    // "sockets: used N"; below are figures of the whole machine.
    std::string all = sockets->substr(0, sockets->find('\n'));
    for (const char* name : {"thread-self/net/dev", "thread-self/net/snmp"}) {
        auto text = sys::read_file(proc_.get(), name);
        if (!text)
            return std::nullopt;
        all += *text;
    }
    // Where the kernel has no IPv6 there is none.
    if (auto text = sys::read_file(proc_.get(), "thread-self/net/snmp6"))
        all += *text;
    else if (!text.error().is(ENOENT))
        return std::nullopt;
    return all;
}

bool NetworkShelf::is_as_new(bool is_new) {
    auto is_known = [this] {
        const std::lock_guard lock(mutex_);
        return !facts_of_new_.empty();
    };
    if (is_new && is_known())
        return true;
    const auto found = facts();  // without the lock: the reactor takes it too
    const std::lock_guard lock(mutex_);
    if (is_new)
        facts_of_new_ = found.value_or("");
    return found && *found == facts_of_new_;
}

Result<void> NetworkShelf::go_home() const {
    return sys::setns(home_.get(), CLONE_NEWNET);
}

bool NetworkShelf::is_untidy() {
    const std::lock_guard lock(mutex_);
    return back_.size() > kMostBack;
}

void NetworkShelf::tidy() {
    std::vector<Fd> ended;  // closed without the lock: the kernel takes its time
    const std::lock_guard lock(mutex_);
    while (back_.size() > kMostBack) {
        ended.push_back(std::move(back_.back()));
        back_.pop_back();
    }
}

}  // namespace sigil::isolation
