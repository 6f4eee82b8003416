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

#include <linux/sched.h>

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
#include "isolation/device_filter.h"
#include "isolation/launch_plan.h"
#include "isolation/meeting.h"
#include "isolation/parked.h"
#include "isolation/rootless.h"
#include "isolation/seccomp_programs.h"
#include "isolation/user_ranges.h"

namespace sigil::isolation {

class LaunchSite;
struct StagedWord;

// What launches of one supervisor share.
struct LaunchContext {
    std::unique_ptr<CgroupHost> cgroups;  // null: the machine has no cgroup v2
    std::unique_ptr<CgroupParents> cgroup_parents;
    Fd supervisor;  // its own pidfd
    Fd init_image;
    std::vector<int> ignored_signals;  // inherited as SIG_IGN
    // The bounding set of the launchers' threads; nothing: the supervisor's. See bounding_of().
    std::optional<uint64_t> bounding;
    std::unique_ptr<DeviceFilters> device_filters;
    std::unique_ptr<SeccompPrograms> seccomp_programs;
    std::unique_ptr<UserRanges> user_ranges;
    std::optional<IdMaps> own_users;  // of a supervisor in a user namespace
    // WATCHDOG_USEC of containers that tell of their readiness; empty: none.
    std::string watchdog_usec;

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

struct LaunchOutcome;

// What has to be done while a bundle's launch waits: hooks, the terminal, what is written down.
class LaunchAttendant {
  public:
    virtual ~LaunchAttendant() = default;
    // The child has come that far, and goes on when this returns; a failure ends it. `passed`: with
    // Meeting::console and Meeting::listener. Not through the stage nothing is met.
    virtual Result<void> meet(Meeting meeting, const LaunchOutcome& so_far, Fd passed) = 0;
    // The cgroup of that path is about to be made.
    virtual Result<void> making_cgroup(const std::string& path) = 0;
    // The same of a scope of systemd; `is_user`: of the user's own.
    virtual Result<void> making_unit(const std::string& scope, bool is_user) = 0;
};

// A container that a process is to be put into.
struct JoinTarget {
    const Process& process;  // its first
    int cgroup = -1;         // the directory of the cgroup to be in; none: the caller's
};

// How a bundle is launched by a verb of its own, instead of as one of many.
struct BundleOptions {
    LaunchAttendant* attendant = nullptr;  // never null
    // It ends with its supervisor, and is launched as any other where nothing has to be done while
    // its launch waits. Else it may outlive it, and goes through the stage (staged.h).
    bool is_supervised = false;
    int start_socket = -1;        // the child waits there before its execve; -1: it does not
    bool systemd_cgroup = false;  // systemd makes the cgroup (systemd_cgroup.h)
    unsigned preserve_fds = 0;    // descriptors from 3 on that the command gets
    bool no_pivot = false;
    bool no_new_keyring = false;
    int interruption = -1;             // of interruption.h: gives the launch up
    const JoinTarget* join = nullptr;  // no container is made: the command joins that one
};

// One container to be launched. What it refers to must live until the launch has ended.
struct LaunchRequest {
    const Spec& spec;
    const std::string& name;
    // Of the supervisor's main thread: what becomes the command's streams.
    Streams streams = kInheritedStreams;
    // Of a container with spec.oci.
    const BundleOptions* bundle = nullptr;
    // Of the supervisor's main thread: the mount of notify_socket.h; -1: none.
    int notify_mount = -1;
};

// What a launch leaves. With an error there may be a process all the same: it has ended, or is
// about to, and its owner still has to reap it and remove the cgroup.
struct LaunchOutcome {
    // Without a pidfd where the launcher's descriptors are not the reactor's: the pid is the
    // process's until it is reaped, so that whoever reaps can open one.
    std::optional<Process> process;
    std::optional<Cgroup> cgroup;
    UserRanges::Taken users;  // the container's until it is gone
    LaunchTimes times;
    Fd terminal;  // the master of spec.terminal
    std::optional<Error> error;
};

// Why the execve of a container's command failed that has waited for its start.
Error execution_failure(const StageMessage& message, const Spec& spec);

class Launch {
  public:
    // `site`: where the calling thread stands; null: in the supervisor's own mount namespace and
    // with its descriptors.
    Launch(const LaunchContext& context, const LaunchRequest& request, LaunchSite* site = nullptr)
        : context_(context), request_(request), site_(site) {}
    Launch(const Launch&) = delete;
    Launch& operator=(const Launch&) = delete;

    LaunchOutcome run();
    // After run(): the network namespace that the container was given, if another may have it
    // afterwards (network_shelf.h).
    Fd take_network();
    // Instead of run(): makes the container, but for the command; the request's spec is a
    // parked_spec().
    Result<ParkedContainer> park();
    // From any thread, before the outcome was taken over: the launch fails at its next step, and
    // the child is killed if it is there.
    void cancel();

  private:
    struct Prepared;
    Result<void> prepare(LaunchOutcome& outcome);
    Result<void> prepare_bundle(LaunchOutcome& outcome);
    Result<void> make_bundle_cgroup(LaunchOutcome& outcome);
    Result<void> make_systemd_cgroup(LaunchOutcome& outcome);
    Result<void> finish_cgroup(Cgroup& cgroup);
    Result<void> plan_container(LaunchOutcome& outcome, ProcessSources& process);
    Result<void> plan_joining(ProcessSources& process);
    Result<void> clone_staged(LaunchOutcome& outcome);
    Result<void> accompany(LaunchOutcome& outcome);
    Result<void> heed(StagedWord& word, LaunchOutcome& outcome);
    [[nodiscard]] bool needs_stage() const;
    Result<void> make_users(LaunchOutcome& outcome);
    Result<void> open_root(LaunchOutcome& outcome, OpenedSources& sources);
    Result<void> take_user(ProcessSources& process, const std::string& hostname) const;
    Result<void> make_cgroup(LaunchOutcome& outcome);
    [[nodiscard]] const IdMaps* users() const;
    Result<void> open_streams(Prepared& prepared, ProcessSources& process);
    void give_pipes(const ProcessSources& process) const;
    Result<void> open_notify(Prepared& prepared, OpenedSources& sources, ProcessSources& process);
    bool take_parked(LaunchOutcome& outcome, ProcessSources process, const std::string& hostname);
    Result<void> hand_over(ParkedContainer& parked, const LaunchPlan& plan,
                           const Streams& streams) const;
    Result<void> await_command(LaunchOutcome& outcome);
    Result<void> clone(LaunchOutcome& outcome);
    void await_others(pid_t pid) const;
    long start_child(clone_args& arguments, int cgroup, const Bootstrap& bootstrap);
    Result<void> receive_terminal(LaunchOutcome& outcome);
    Error failed_step(LaunchOutcome& outcome) const;
    // The same of one that the child has told.
    Error failed_step(LaunchOutcome& outcome, const StageMessage& message);

    const LaunchContext& context_;
    const LaunchRequest request_;
    LaunchSite* site_;
    bool is_parking_ = false;
    LaunchReport report_;
    std::atomic<pid_t> pid_ = -1;  // written by the kernel before the child runs
    std::unique_ptr<Prepared, void (*)(Prepared*)> prepared_{nullptr, nullptr};
};

}  // namespace sigil::isolation
