// Containers made ahead of need: both halves of such a launch (parked.h).
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <iterator>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/container_note.h"
#include "isolation/launch.h"
#include "isolation/launch_prepared.h"
#include "isolation/shared_roots.h"

namespace sigil::isolation {
namespace {

// Its cgroup was made before it had a name.
Result<void> note_name(const CgroupHost& host, const Cgroup& cgroup, const Spec& spec,
                       const std::string& name) {
    ContainerNote note = note_of(spec);
    note.name = name;
    const Fd directory =
        TRY(sys::open(host.root(), CgroupHost::relative(cgroup.path()), O_RDONLY | O_DIRECTORY));
    return write_note(directory.get(), note);
}

}  // namespace

Result<ParkedContainer> Launch::park() {
    is_parking_ = true;
    LaunchOutcome outcome;
    TRY(prepare(outcome));
    Prepared& prepared = *prepared_;
    ParkedContainer parked = {.root = site_->root(),
                              .places = site_->places(request_.spec),
                              .channel = prepared.child->channel()};
    if (parked.root.empty())
        return failure("its root is not shared");
    const Process process =
        TRY(prepared.child->start({.plan = prepared.plan,
                                   .clone_flags = new_namespace_flags(request_.spec),
                                   .cgroup = outcome.cgroup ? outcome.cgroup->directory() : -1,
                                   .is_parked = true}));
    parked.pid = process.pid;
    parked.cgroup = std::move(outcome.cgroup);
    parked.child = std::move(*prepared.child);
    parked.network = take_network();
    auto word = parked.child.next();
    if (!word || !*word || (*word)->meeting != Meeting::parked) {
        discard(std::move(parked));
        return failure("it has ended before it was ready");
    }
    // Else one was renamed, or made, while mounts were put on it.
    if (site_->places(request_.spec) != parked.places) {
        discard(std::move(parked));
        return failure("its mounts may be in other places");
    }
    if (parked.cgroup)
        parked.cgroup->close_directory();
    return parked;
}

// True: a container that was ready has got all that its command needs. False: there is none, or it
// could not be told, and has nothing of this one yet.
bool Launch::take_parked(LaunchOutcome& outcome, ProcessSources process,
                         const std::string& hostname) {
    const Spec& spec = request_.spec;
    if (!site_ || request_.notify_mount >= 0 || context_.own_users)
        return false;
    auto parked = site_->take_parked(spec, hostname);
    if (!parked)
        return false;
    process.channel = parked->channel;
    process.bounding = bounding_of(spec);
    process.is_parked = true;
    LaunchPlan plan;
    plan_process(spec, process, plan);
    outcome.times.cloned = outcome.times.isolated = sys::monotonic_now();
    if (!hand_over(*parked, plan, process.streams)) {
        discard(std::move(*parked));
        return false;
    }
    outcome.process = Process{parked->pid, Fd()};
    outcome.cgroup = std::move(parked->cgroup);
    pid_.store(parked->pid, std::memory_order_seq_cst);
    if (report_.cancelled.load(std::memory_order_seq_cst))
        (void)::kill(parked->pid, SIGKILL);
    prepared_->plan = std::move(plan);
    prepared_->network = std::move(parked->network);
    prepared_->parked = std::move(parked);
    return true;
}

Result<void> Launch::hand_over(ParkedContainer& parked, const LaunchPlan& plan,
                               const Streams& streams) const {
    if (parked.cgroup)
        TRY(note_name(*context_.cgroups, *parked.cgroup, request_.spec, request_.name));
    static_assert(kStreams <= kMostPassed);
    std::vector<int> passed;  // as plan_streams() counts them
    std::ranges::copy_if(streams, std::back_inserter(passed), [](int fd) { return fd >= 0; });
    return parked.child.send_rest(plan, passed);
}

Result<void> Launch::await_command(LaunchOutcome& outcome) {
    for (;;) {
        auto word = prepared_->parked->child.next();
        if (!word) {
            (void)::kill(outcome.process->pid, SIGKILL);  // its command may run already
            return tl::unexpected(std::move(word).error());
        }
        if (!*word)
            break;
        if ((*word)->meeting == Meeting::failed)
            return tl::unexpected(failed_step(outcome, (*word)->message));
        outcome.times.executed = time_of((*word)->message.executed_ns);
    }
    // Without an init, or if somebody has killed it: that is its supervisor's to see.
    if (outcome.times.executed == Time{})
        outcome.times.executed = sys::monotonic_now();
    return {};
}

}  // namespace sigil::isolation
