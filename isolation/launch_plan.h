// A launch as data: the steps that the child will interpret, and everything they point to. Built by
// the parent, before the clone; read by the child, which may allocate nothing. Pure: what is
// written here can be looked at without root.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/spec.h"
#include "isolation/step.h"

namespace sigil::isolation {

class LaunchPlan {
  public:
    std::vector<Step> setup;
    std::vector<Step> target;
    std::vector<Step> init;

    // Keeps what steps point to, at an address that does not change.
    const char* keep(std::string text) { return strings_.emplace_back(std::move(text)).c_str(); }
    const char* const* keep(const std::vector<std::string>& words);
    const Ids* keep(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups);
    const ExecArguments* keep(ExecArguments arguments) { return &execs_.emplace_back(arguments); }

  private:
    std::deque<std::string> strings_;
    std::deque<std::vector<const char*>> pointers_;
    std::deque<std::vector<uint32_t>> groups_;
    std::deque<Ids> ids_;
    std::deque<ExecArguments> execs_;
};

// What the plan needs opened beforehand, by number: the planner itself touches nothing.
struct OpenedSources {
    int root_tree = -1;  // the root filesystem's detached clone; none: the root is a shared one
    struct Bind {
        int tree = -1;
        bool is_directory = true;
    };
    std::vector<Bind> binds;  // one for each of the spec's mounts; unused unless it is a bind
    bool has_cgroup2 = true;  // the kernel has the filesystem
    int network = -1;         // a network namespace that is ready; none: it is to be made
};

// The mounts, in the order that the kernel demands; appended to plan.setup. Without a root tree the
// container starts in a root that plan_shared_root() has made, with its mounts.
Result<void> plan_mounts(const Spec& spec, const std::string& hostname,
                         const OpenedSources& sources, LaunchPlan& plan);

// How many of the spec's mounts, from the first on, containers with that root can share. Nothing:
// it has a bind that must be each container's own, so no root can be shared (see SharedRoots).
std::optional<size_t> shareable_mounts(const Spec& spec);
// The steps that make a root to share in a new mount namespace.
Result<void> plan_shared_root(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan);

// Descriptors, above 2, that become the command's stdin, stdout and stderr; -1: inherited.
inline constexpr int kStreams = 3;
using Streams = std::array<int, kStreams>;
inline constexpr Streams kInheritedStreams = {-1, -1, -1};

struct ProcessSources {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> groups;
    std::vector<std::string> env;
    std::vector<int> ignored_signals;  // that the supervisor inherited as ignored
    int supervisor = -1;               // its pidfd
    int init_image = -1;
    Streams streams = kInheritedStreams;
};

// The process: appended to plan.setup (PID 1's death with its parent), plan.target and plan.init.
void plan_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan);

}  // namespace sigil::isolation
