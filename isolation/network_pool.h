// Network namespaces made ahead of need, each with its loopback up: the kernel takes longer for one
// than for all of a container's mounts (copy_net_ns waits for others' locks and grace periods), and
// nothing in it depends on who will use it. Each is given away once, never used again.
#pragma once

#include <stddef.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

class NetworkPool {
  public:
    // Keeps `count` ready, or half as many as may be open files (RLIMIT_NOFILE) where that is less.
    explicit NetworkPool(size_t count);
    // `make` returns a descriptor of a new one, or -errno.
    NetworkPool(size_t count, std::function<long()> make) : count_(count), make_(std::move(make)) {}

    // One of them; none where none is ready: never waits.
    Fd take();
    // Makes them, in the calling thread, until stop(). The thread's own network namespace changes.
    void run();
    void stop();

  private:
    const size_t count_;
    const std::function<long()> make_;
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::vector<Fd> ready_;
    bool is_over_ = false;
};

}  // namespace sigil::isolation
