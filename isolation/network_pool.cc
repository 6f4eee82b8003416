#include "isolation/network_pool.h"

#include <errno.h>

#include <algorithm>
#include <chrono>

#include "isolation/network_namespace.h"

namespace sigil::isolation {

NetworkPool::NetworkPool(size_t count) : NetworkPool(count, make_network_namespace) {}

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

// Out of memory or namespaces (user.max_net_namespaces), each launch makes its own, and tells. That
// may pass: it is tried again, less and less often. Out of descriptors, it is the launches that
// need some: half of those in use here are given back, and so many it stays.
void NetworkPool::run() {
    constexpr std::chrono::milliseconds kFirstPause(10);
    constexpr std::chrono::milliseconds kLongestPause(1000);
    auto pause = kFirstPause;
    std::unique_lock lock(mutex_);
    for (;;) {
        wanted_.wait(lock, [this] { return is_over_ || ready_.size() < count_; });
        if (is_over_)
            return;
        lock.unlock();
        const long network = make_();
        lock.lock();
        if (network >= 0) {
            ready_.emplace_back(static_cast<int>(network));
            pause = kFirstPause;
            continue;
        }
        if (network == -EMFILE) {
            count_ = ready_.size() / 2;
            ready_.resize(count_);
        }
        wanted_.wait_for(lock, pause, [this] { return is_over_; });
        pause = std::min(pause * 2, kLongestPause);
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
