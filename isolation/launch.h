// The parent half of a launch: opens what the plan needs, makes the cgroup, clones, and comes back
// when the command's execve has succeeded or a step has failed. It blocks, so where there is more
// than one container it runs on a launcher thread, never on the reactor's.
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
#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/process.h"
#include "core/spec.h"
#include "isolation/bootstrap.h"
#include "isolation/cgroup.h"
#include "isolation/cgroup_host.h"
#include "isolation/cgroup_parents.h"
#include "isolation/launch_plan.h"

namespace sigil::isolation {

class LaunchSite;

// What launches of one supervisor share.
struct LaunchContext {
    std::unique_ptr<CgroupHost> cgroups;  // null: the machine has no cgroup v2
    std::unique_ptr<CgroupParents> cgroup_parents;
    Fd supervisor;  // its own pidfd
    Fd init_image;
    std::vector<int> ignored_signals;  // inherited as SIG_IGN

    // `group` and `record`: see CgroupParents.
    static Result<LaunchContext> open(bool with_init, std::string group = {},
                                      RunRecord* record = nullptr);
};

using Time = std::chrono::nanoseconds;  // of CLOCK_MONOTONIC

struct LaunchTimes {
    Time cloned{};
    Time isolated{};
    Time executed{};
};

// One container to be launched. What it refers to must live until the launch has ended.
struct LaunchRequest {
    const Spec& spec;
    const std::string& name;
    // Of the supervisor's main thread: what becomes the command's streams.
    Streams streams = kInheritedStreams;
};

// What a launch leaves. With an error there may be a process all the same: it has ended, or is
// about to, and its owner still has to reap it and remove the cgroup.
struct LaunchOutcome {
    // Without a pidfd where the launcher's descriptors are not the reactor's: the pid is the
    // process's until it is reaped, so that whoever reaps can open one.
    std::optional<Process> process;
    std::optional<Cgroup> cgroup;
    LaunchTimes times;
    std::optional<Error> error;
};

class Launch {
  public:
    // `site`: where the calling thread stands; null: in the supervisor's own mount namespace and
    // with its descriptors.
    Launch(const LaunchContext& context, const LaunchRequest& request, LaunchSite* site = nullptr)
        : context_(context), request_(request), site_(site) {}
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    LaunchOutcome run();
    // From any thread, before the outcome was taken over: the launch fails at its next step, and
    // the child is killed if it is there.
    void cancel();

  private:
    struct Prepared;
    Result<void> prepare(LaunchOutcome& outcome);
    Result<void> open_root(Prepared& prepared, OpenedSources& sources);
    Result<void> open_streams(Prepared& prepared, ProcessSources& process);
    Result<void> clone(LaunchOutcome& outcome);
    Error failed_step(LaunchOutcome& outcome) const;

    const LaunchContext& context_;
    const LaunchRequest& request_;
    LaunchSite* site_;
    LaunchReport report_;
    std::atomic<pid_t> pid_ = -1;  // written by the kernel before the child runs
    std::unique_ptr<Prepared, void (*)(Prepared*)> prepared_{nullptr, nullptr};
};

}  // namespace sigil::isolation
