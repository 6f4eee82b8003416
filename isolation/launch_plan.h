// A launch as data: the steps that the child will interpret, and everything they point to. Built by
// the parent, before the clone; read by the child, which may allocate nothing. Pure: what is
// written here can be looked at without root.
#pragma once

#include <deque>
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
    int root_tree = -1;  // the root filesystem's detached clone
    struct Bind {
        int tree = -1;
        bool is_directory = true;
    };
    std::vector<Bind> binds;  // one for each of the spec's mounts; unused unless it is a bind
    bool has_cgroup2 = true;  // the kernel has the filesystem
};

// The mounts, in the order that the kernel demands; appended to plan.setup.
Result<void> plan_mounts(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan);

struct ProcessSources {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> groups;
    std::vector<std::string> env;
    std::vector<int> ignored_signals;  // that the supervisor inherited as ignored
    int supervisor = -1;               // its pidfd
    int init_image = -1;
    int init_status = -1;  // the eventfd that the init reports to
};

// The process: appended to plan.setup (PID 1's death with its parent), plan.target and plan.init.
void plan_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan);

}  // namespace sigil::isolation
