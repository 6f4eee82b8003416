// The process half of a bundle's recipe, in the order that runc has made the standard: what needs
// the container's root first, then the user, then what the user may not undo.
#include <linux/seccomp.h>

#include <algorithm>
#include <cstring>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/launch_plan.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kUmask = 022;
constexpr int kFirstPreserved = 3;

// config.md, "consoleSize": both in characters.
void plan_console(const OciProcess& process, LaunchPlan& plan) {
    const ConsoleSize size = process.console_size.value_or(ConsoleSize{});
    plan.target.push_back({.kind = StepKind::open_console,
                           .mode = process.uid,
                           .flags = uint64_t{size.height} << 16 | size.width,
                           .origin = "process.terminal"});
}

// As runc and crun do: also what is a file, so that it can be opened by /dev/stdout.
void plan_own_streams(const OciProcess& process, const ProcessSources& sources, LaunchPlan& plan) {
    if (process.terminal || process.uid == 0)
        return;
    for (int number = 0; number < kStreams; ++number) {
        const int stream = sources.streams[static_cast<size_t>(number)];
        plan.target.push_back({.kind = StepKind::own_stream,
                               .fd = stream < 0 ? number : stream,
                               .mode = process.uid});
    }
}

void plan_filter(const ProcessSources& sources, LaunchPlan& plan) {
    if (!sources.filter)
        return;
    plan.target.push_back({.kind = StepKind::seccomp,
                           .flags = sources.filter->flags,
                           .filter = plan.keep(*sources.filter),
                           .origin = "linux.seccomp"});
    if (sources.filter->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
        plan.target.push_back({.kind = StepKind::pass_listener, .origin = "linux.seccomp"});
}

void plan_limits(const Spec& spec, LaunchPlan& plan) {
    for (const Rlimit& limit : spec.rlimits)
        plan.target.push_back({.kind = StepKind::set_rlimit,
                               .fd = limit.resource,
                               .flags = limit.soft,
                               .device = limit.hard,
                               .origin = plan.keep(limit.origin)});
}

// oom_score_adj(5): a user namespace's root may not lower it.
void plan_oom_score(const Oci& oci, LaunchPlan& plan) {
    if (!oci.process.oom_score_adj)
        return;
    Step step = plan.writing("self/oom_score_adj", std::to_string(*oci.process.oom_score_adj),
                             "process.oomScoreAdj");
    step.flags = oci.find(NamespaceKind::user) ? kMayBeDenied : 0;
    plan.target.push_back(step);
}

Result<void> plan_apparmor(const Oci& oci, const ProcessSources& sources, LaunchPlan& plan) {
    const std::string& profile = oci.process.apparmor_profile;
    if (profile.empty())
        return {};
    if (!sources.has_apparmor)
        return failure("process.apparmorProfile: '{}': this kernel runs without AppArmor",
                       printable(profile));
    // Its own file since Linux 5.8: the older one is shared by all security modules.
    Step step =
        plan.writing("self/attr/apparmor/exec", "exec " + profile, "process.apparmorProfile");
    step.device_name = "self/attr/exec";
    plan.target.push_back(step);
    return {};
}

Result<void> plan_selinux(const Oci& oci, const ProcessSources& sources, LaunchPlan& plan) {
    const std::string& label = oci.process.selinux_label;
    if (label.empty())
        return {};
    if (!sources.has_selinux)
        return failure("process.selinuxLabel: '{}': this kernel runs without SELinux",
                       printable(label));
    plan.target.push_back(plan.writing("self/attr/exec", label, "process.selinuxLabel"));
    return {};
}

// sched_setattr(2), its first version. The kernel's header for it collides with libc's.
struct SchedulerAttributes {
    uint32_t size = sizeof(SchedulerAttributes);
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

void plan_scheduler(const Scheduler& asked, LaunchPlan& plan) {
    const SchedulerAttributes attributes = {
        .policy = asked.policy,
        .flags = asked.flags,
        .nice = asked.nice,
        .priority = asked.priority,
        .runtime = asked.runtime,
        .deadline = asked.deadline,
        .period = asked.period,
    };
    std::vector<uint64_t> words(sizeof attributes / sizeof(uint64_t));
    std::memcpy(words.data(), &attributes, sizeof attributes);
    Step step = {.kind = StepKind::set_scheduler, .origin = "process.scheduler"};
    plan.keep_words(step, std::move(words));
    plan.target.push_back(step);
}

void plan_memory_policy(const MemoryPolicy& policy, LaunchPlan& plan) {
    constexpr unsigned kBits = 64;
    Step step = {.kind = StepKind::set_memory_policy,
                 .mode = static_cast<uint32_t>(policy.mode) | policy.flags,
                 .origin = "linux.memoryPolicy"};
    if (!policy.nodes.empty()) {
        const unsigned last = *std::ranges::max_element(policy.nodes);
        std::vector<uint64_t> bits(last / kBits + 1);
        for (unsigned node : policy.nodes)
            bits[node / kBits] |= uint64_t{1} << node % kBits;
        step.device = bits.size() * kBits + 1;  // the kernel takes one off (mm/mempolicy.c)
        plan.keep_words(step, std::move(bits));
    }
    plan.target.push_back(step);
}

void plan_resources(const Oci& oci, LaunchPlan& plan) {
    if (oci.process.scheduler)
        plan_scheduler(*oci.process.scheduler, plan);
    if (oci.process.io_priority)
        plan.target.push_back({.kind = StepKind::set_io_priority,
                               .flags = *oci.process.io_priority,
                               .origin = "process.ioPriority"});
    if (oci.memory_policy)
        plan_memory_policy(*oci.memory_policy, plan);
}

void plan_user(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    const OciProcess& process = spec.oci->process;
    const uint64_t in_user_namespace =
        sources.in_user_namespace || spec.oci->find(NamespaceKind::user) ? kMayBeDenied : 0;
    auto& steps = plan.target;
    const char* cwd = plan.keep(spec.cwd);
    steps.push_back({.kind = StepKind::drop_bounding,
                     .flags = process.capabilities.bounding,
                     .origin = "process.capabilities.bounding"});
    steps.push_back(
        {.kind = StepKind::enter_cwd, .path = cwd, .flags = kMayBeDenied, .origin = "process.cwd"});
    steps.push_back({.kind = StepKind::keep_capabilities, .flags = 1});
    steps.push_back({.kind = StepKind::become_user,
                     .flags = in_user_namespace,
                     .ids = plan.keep(process.uid, process.gid, process.additional_gids),
                     .origin = "process.user"});
    steps.push_back({.kind = StepKind::enter_cwd, .path = cwd, .origin = "process.cwd"});
    steps.push_back({.kind = StepKind::check_cwd, .origin = "process.cwd"});
    steps.push_back({.kind = StepKind::keep_capabilities, .flags = 0});
    const CapabilitySets& sets = process.capabilities;
    Step capabilities = {.kind = StepKind::set_capability_sets, .origin = "process.capabilities"};
    plan.keep_words(capabilities, {sets.effective, sets.permitted, sets.inheritable, sets.ambient});
    steps.push_back(capabilities);
}

std::vector<int> preserved(const Spec& spec, const ProcessSources& sources) {
    std::vector<int> passed = spec.passed_fds;
    for (unsigned index = 0; index < sources.preserved_fds; ++index)
        passed.push_back(kFirstPreserved + static_cast<int>(index));
    return passed;
}

// Whoever is let into a container that waits for its start finds nothing there that the caller of
// `create` has left open (CVE-2016-9962).
void plan_wait(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    std::vector<int> left = preserved(spec, sources);
    left.insert(left.end(), {sources.channel, sources.start_socket});
    plan_descriptors({}, "", plan, std::move(left));
    plan.target.push_back({.kind = StepKind::await_start, .fd = sources.start_socket});
}

}  // namespace

Result<void> plan_oci_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    const Oci& oci = *spec.oci;
    auto& steps = plan.target;
    if (spec.args.empty())
        return failure("process.args: nothing to run");
    steps.push_back({.kind = StepKind::enter, .place = Place::root});
    steps.push_back({.kind = StepKind::new_session});
    if (oci.process.terminal)
        plan_console(oci.process, plan);
    plan_own_streams(oci.process, sources, plan);
    if (!sources.no_new_keyring)
        steps.push_back({.kind = StepKind::new_keyring});
    plan_limits(spec, plan);
    plan_oom_score(oci, plan);
    TRY(plan_apparmor(oci, sources, plan));
    if (spec.no_new_privileges)
        steps.push_back({.kind = StepKind::no_new_privileges, .origin = "process.noNewPrivileges"});
    plan_resources(oci, plan);
    TRY(plan_selinux(oci, sources, plan));
    // Without no_new_privs a filter needs CAP_SYS_ADMIN (seccomp(2)): here, or never.
    if (!spec.no_new_privileges)
        plan_filter(sources, plan);
    steps.push_back({.kind = StepKind::set_umask, .mode = oci.process.umask.value_or(kUmask)});
    plan_user(spec, sources, plan);
    if (oci.personality)
        steps.push_back({.kind = StepKind::set_personality,
                         .flags = *oci.personality,
                         .origin = "linux.personality"});
    if (sources.supervisor >= 0)
        steps.push_back({.kind = StepKind::die_with_parent, .fd = sources.supervisor});
    plan_streams(sources, plan);
    plan_signals(sources, plan);
    plan_exec(spec, sources, plan);
    const Step execution = steps.back();
    steps.pop_back();
    if (sources.is_staged)
        steps.push_back(
            {.kind = StepKind::find_command, .source = execution.source, .exec = execution.exec});
    // Another process of the container, `exec`'s, may neither look into it nor take its
    // descriptors.
    if (sources.is_staged)
        steps.push_back({.kind = StepKind::set_undumpable});
    if (sources.start_socket >= 0)
        plan_wait(spec, sources, plan);
    plan_descriptors(preserved(spec, sources), "preserved descriptor", plan, {sources.channel});
    // The stage was executed with it open; the command is not (a failure of its execve is told
    // there).
    if (sources.channel >= 0)
        steps.push_back({.kind = StepKind::close_on_exec,
                         .flags = static_cast<uint64_t>(sources.channel),
                         .device = static_cast<uint64_t>(sources.channel)});
    // With no_new_privs the filter comes last: it has to allow the execve alone.
    if (spec.no_new_privileges)
        plan_filter(sources, plan);
    steps.push_back(execution);
    return {};
}

}  // namespace sigil::isolation
