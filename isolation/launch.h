// The parent half of a launch: opens what the plan needs, makes the cgroup, clones, and comes back
// when the command's execve has succeeded or a step has failed. It blocks, so it runs on a launcher
// thread, never on the reactor's.
//
//     launcher thread                                           reactor thread
//       Launch::run()
//         open rootfs, binds, users; plan; cgroup
//         clone3(VM|VFORK|PIDFD|INTO_CGROUP|NEW*) ─ parked       (cancel() may kill it)
//         ◀ execve or report
//       outcome ─────────────────────────────────────────────▶ owns process and cgroup, waits
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/process.h"
#include "core/spec.h"
#include "isolation/bootstrap.h"
#include "isolation/cgroup.h"
#include "isolation/cgroup_host.h"

namespace sigil::isolation {

// What launches of one supervisor share.
struct LaunchContext {
    std::optional<CgroupHost> cgroups;
    Fd supervisor;  // its own pidfd
    Fd init_image;
    std::vector<int> ignored_signals;  // inherited as SIG_IGN

    static Result<LaunchContext> open(bool with_init);
};

using Time = std::chrono::nanoseconds;  // of CLOCK_MONOTONIC

struct LaunchTimes {
    Time cloned{};
    Time isolated{};
    Time executed{};
};

// What a launch leaves. With an error there may be a process all the same: it has ended, or is
// about to, and its owner still has to reap it and remove the cgroup.
struct LaunchOutcome {
    std::optional<Process> process;
    std::optional<Cgroup> cgroup;
    Fd init_status;  // the eventfd that the init writes the command's status to
    LaunchTimes times;
    std::optional<Error> error;
};

class Launch {
  public:
    Launch(const LaunchContext& context, const Spec& spec) : context_(context), spec_(spec) {}
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    LaunchOutcome run();
    // From any thread: the launch fails at its next step, and the child is killed if it is there.
    void cancel();

  private:
    Result<void> prepare(LaunchOutcome& outcome);
    Result<void> clone(LaunchOutcome& outcome);
    Error failed_step(LaunchOutcome& outcome) const;

    struct Prepared;
    const LaunchContext& context_;
    const Spec& spec_;
    LaunchReport report_;
    std::atomic<int> pidfd_ = -1;  // written by the kernel before the child runs
    std::unique_ptr<Prepared, void (*)(Prepared*)> prepared_{nullptr, nullptr};
};

}  // namespace sigil::isolation
