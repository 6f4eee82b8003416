// Containers made ahead of need: all is there but the command. PID 1 has done the setup of its
// launch (namespaces, mounts, cgroup, filter) and waits, in a few KB of its own, for the rest of
// the plan (meeting.h). What a start then takes is the command's process and its execve.
//
// Which ones are made is learned: each start that could have used one says of what shape it is, and
// is replaced by one more of that shape, while no start is under way.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"
#include "isolation/cgroup.h"
#include "isolation/staged.h"

namespace sigil::isolation {

// The first letter of the names that their cgroups are made with: no container's own name begins
// so.
inline constexpr char kParkedMark = '.';

// What containers have in common that one made ahead can become any of.
struct ParkedShape {
    Spec spec;         // without what comes with the command
    std::string root;  // LaunchSite's key of it
    bool operator==(const ParkedShape&) const = default;
};

// Nothing: one like this is made when it is asked for, as it has something of its own that cannot
// be given to it later.
std::optional<Spec> parked_spec(const Spec& spec);

// One of them: its owner's, who kills and reaps it.
struct ParkedContainer {
    std::string root;    // as ParkedShape has it
    std::string places;  // which directories it has its mounts on: LaunchSite::places()
    pid_t pid = -1;
    std::optional<Cgroup> cgroup;
    StagedChild child;
    int channel = -1;  // the child's number for its end
    Fd network;        // its network namespace, if another may have it afterwards
    std::shared_ptr<const ParkedShape> shape;  // that of ParkedContainers
};

// Kills them and waits until nothing of them is left.
void discard(std::list<ParkedContainer> containers);
void discard(ParkedContainer container);

// How many are kept ready where so many are asked for: each has descriptors (RLIMIT_NOFILE).
size_t most_parked(size_t asked);

class ParkedContainers {
  public:
    // `make` makes one of that spec, and tells in which root it is; called by run().
    using Make = std::function<Result<ParkedContainer>(const Spec&)>;
    // Keeps most_parked(count) ready.
    ParkedContainers(size_t count, Make make);

    // One of that shape, if its mounts are still in their places; none where none is ready: never
    // waits. More of it will be made.
    std::optional<ParkedContainer> take(const ParkedShape& shape, const std::string& places);
    // None is made while starts are under way, nor right after one: what was started comes first.
    void set_busy(bool is_busy);
    // Makes them, in the calling thread, until stop(); then discards what is left.
    void run();
    void stop();

  private:
    using Shape = std::shared_ptr<const ParkedShape>;
    Shape known(const ParkedShape& shape) const;
    [[nodiscard]] bool is_wanted() const;
    std::list<ParkedContainer> take_surplus();
    Result<ParkedContainer> make(const Shape& shape) const;

    const size_t count_;
    const Make make_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<ParkedContainer> ready_;  // the oldest first
    std::list<ParkedContainer> dead_;
    Shape wanted_;
    bool is_busy_ = false;
    std::chrono::steady_clock::time_point idle_since_;
    bool is_over_ = false;
};

}  // namespace sigil::isolation
