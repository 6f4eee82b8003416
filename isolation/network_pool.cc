#include "isolation/network_pool.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "isolation/network_namespace.h"

namespace sigil::isolation {

namespace {

// The launches share the pool's descriptors: half of what may be open is theirs. A launch that
// found none left would fail for the sake of one that could be faster.
size_t most_open() {
    rlimit files = {};
    ::getrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur / 2;
}

}  // namespace

NetworkPool::NetworkPool(size_t count)
    : NetworkPool(std::min(count, most_open()), make_network_namespace) {}

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
// may pass: it is tried again, less and less often.
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
