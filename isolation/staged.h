// The parent half of a launch that goes through the stage (stage/stage.cc): the child is cloned
// sharing memory, executes the stage at once, and the parent goes on. What is said meanwhile:
// meeting.h.
#pragma once

#include <optional>
#include <span>

#include "core/error.h"
#include "core/fd.h"
#include "core/process.h"
#include "isolation/bootstrap.h"
#include "isolation/launch_plan.h"
#include "isolation/meeting.h"

namespace sigil::isolation {

// What the child says.
struct StagedWord {
    Meeting meeting = Meeting::failed;
    StageMessage message = {};
    Fd passed;
};

class StagedChild {
  public:
    // Makes the channel; the planner may name its child's end.
    // `interruption`: of interruption.h; what interrupts next() is an error.
    static Result<StagedChild> open(int interruption);
    // The child's end: its number in the child is the same.
    [[nodiscard]] int channel() const { return child_end_.get(); }

    struct Request {
        const LaunchPlan& plan;
        int root = -1;              // the root's tree
        uint64_t clone_flags = 0;   // CLONE_NEW*
        int cgroup = -1;            // its directory; none: the parent's
        bool shares_memory = true;  // until it executes the stage; else it begins as a copy
        int user_namespace = -1;    // one to be in, which then owns the new ones
        // Of the plan's steps the setup alone is done: the others come by send_rest(), and may name
        // descriptors that the plan names here.
        bool is_parked = false;
    };
    // Returns when the stage runs.
    Result<Process> start(const Request& request);

    // Blocks until the child says something. Nothing: the end of the channel, so the command's
    // execve has succeeded, or the child has died without a word.
    Result<std::optional<StagedWord>> next();
    Result<void> go_on();
    // What a parked one goes on with: the target and the init of that plan, and what the target's
    // steps of the kind move_passed name by its place among `passed`.
    Result<void> send_rest(const LaunchPlan& plan, std::span<const int> passed);
    // Whether the child has closed its end: it is dead.
    [[nodiscard]] bool is_gone() const;

    // The same of who starts a created container.
    static Result<std::optional<StagedWord>> next(int connection);

  private:
    Fd parent_end_;
    Fd child_end_;
    int interruption_ = -1;
};

}  // namespace sigil::isolation
