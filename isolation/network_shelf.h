// Network namespaces that containers have one after another. Making one and ending it costs the
// kernel more than all the rest of a container, and most commands never use theirs: what a
// container has left as it was made, to the last counter, is as good as new, and goes to the next.
//
// As good as new: no socket of it is open, in whatever process (one that was passed on keeps it in
// use), nothing has passed through a device of it, and IP and all above it have counted nothing.
// Only containers that cannot configure their network have such a one. What they could still tell
// it by is its number (/proc/self/ns/net, SO_NETNS_COOKIE).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"

namespace sigil::isolation {

// Whether a container of that kind could not change a network namespace but by using it.
bool leaves_network_alone(const Spec& spec);

// The shelf of one supervisor, for all its launcher threads, whose descriptors are on it: but for
// come_back(), each function is for one of them.
class NetworkShelf {
  public:
    // From a thread that stands in the supervisor's mounts and network namespace.
    static Result<std::unique_ptr<NetworkShelf>> open();

    // The next that is there, as it was left; none: there is none.
    Fd next();
    // Whether another may be made to be lent: each launch copies the table that they are open in.
    [[nodiscard]] bool has_room();
    // Notes that the container of that number has it, which comes back when that is over. One that
    // there is no room for (of those made ahead there are more) is the container's for good.
    void lend(uint64_t container, Fd network);
    // The container has ended, all its processes are gone. From any thread; closes nothing.
    void come_back(uint64_t container);

    // Whether the network namespace that the calling thread is in is as a new one; what it finds in
    // the first new one that it sees is what it looks for from then on.
    bool is_as_new(bool is_new);
    // The thread's way back from it.
    [[nodiscard]] Result<void> go_home() const;

    // Whether more have come back than there is room for; ends those.
    [[nodiscard]] bool is_untidy();
    void tidy();

  private:
    [[nodiscard]] std::optional<std::string> facts() const;

    Fd home_;
    Fd proc_;
    std::mutex mutex_;
    std::string facts_of_new_;
    std::unordered_map<uint64_t, Fd> lent_;
    std::vector<Fd> back_;
};

}  // namespace sigil::isolation
