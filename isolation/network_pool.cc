#include "isolation/network_pool.h"

#include "isolation/network_namespace.h"

namespace sigil::isolation {
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
        const long network = make_network_namespace();
        if (network < 0)
            return;  // out of descriptors or memory: each launch makes its own, and tells
        const std::lock_guard lock(mutex_);
        ready_.emplace_back(static_cast<int>(network));
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
