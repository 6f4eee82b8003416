// The process half of the recipe: what PID 1 and the command do between the last mount and execve.
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/auxv.h>

#include <algorithm>

#include "isolation/launch_plan.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kLastDescriptor = UINT_MAX;
constexpr uint64_t kFirstUnnamedDescriptor = 3;
constexpr uint32_t kUmask = 022;

// Whether the supervisor's ids are all 0 already; exec has made the saved ones equal to the
// effective.
bool is_root() {
    for (unsigned long id : {AT_UID, AT_EUID, AT_GID, AT_EGID})
        if (::getauxval(id) != 0)
            return false;
    return true;
}

// Paths that execvp(3) would try.
std::vector<std::string> command_candidates(const std::string& command,
                                            const std::vector<std::string>& env) {
    if (command.find('/') != std::string::npos)
        return {command};
    constexpr std::string_view kPath = "PATH=";
    std::string_view path;
    for (const std::string& variable : env)
        if (variable.starts_with(kPath))
            path = std::string_view(variable).substr(kPath.size());
    std::vector<std::string> candidates;
    for (bool more = !path.empty(); more;) {
        const size_t colon = path.find(':');
        std::string_view directory = path.substr(0, colon);
        candidates.push_back(directory.empty() ? command : std::string(directory) + "/" + command);
        more = colon != std::string_view::npos;
        path.remove_prefix(more ? colon + 1 : path.size());
    }
    return candidates;
}

void plan_session(const Spec& spec, LaunchPlan& plan) {
    if (!spec.shares_terminal)
        plan.target.push_back({.kind = StepKind::new_session});
    else if (spec.signal_group)
        plan.target.push_back({.kind = StepKind::own_group, .flags = 1});
}

void plan_privileges(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    auto& steps = plan.target;
    for (const Rlimit& limit : spec.rlimits)
        steps.push_back({.kind = StepKind::set_rlimit,
                         .fd = limit.resource,
                         .flags = limit.soft,
                         .device = limit.hard,
                         .origin = plan.keep("--ulimit " + limit.name)});
    steps.push_back({.kind = StepKind::drop_bounding, .flags = spec.capabilities});
    const bool stays_root = sources.uid == 0 && sources.gid == 0 && is_root();
    steps.push_back({.kind = stays_root ? StepKind::set_groups : StepKind::set_ids,
                     .ids = plan.keep(sources.uid, sources.gid, sources.groups)});
    // A user who is not root has none: setresuid(2) has emptied the sets.
    if (sources.uid == 0)
        steps.push_back({.kind = StepKind::set_capabilities, .flags = spec.capabilities});
}

// Closed at once, not by the execve: the command's own path could be /proc/self/fd/N.
void plan_descriptors(const Spec& spec, LaunchPlan& plan) {
    std::vector<int> passed = spec.passed_fds;
    std::ranges::sort(passed);
    uint64_t first = kFirstUnnamedDescriptor;
    auto close_up_to = [&](uint64_t last) {
        if (first <= last)
            plan.target.push_back(
                {.kind = StepKind::close_descriptors, .flags = first, .device = last});
    };
    for (int fd : passed) {
        close_up_to(static_cast<uint64_t>(fd) - 1);
        first = static_cast<uint64_t>(fd) + 1;
        plan.target.push_back({.kind = StepKind::keep_descriptor,
                               .fd = fd,
                               .origin = plan.keep(fmt::format("--pass-fd {}", fd))});
    }
    close_up_to(kLastDescriptor);
}

void plan_streams(const ProcessSources& sources, LaunchPlan& plan) {
    for (int number = 0; number < kStreams; ++number)
        if (sources.streams[static_cast<size_t>(number)] >= 0)
            plan.target.push_back({.kind = StepKind::move_descriptor,
                                   .fd = sources.streams[static_cast<size_t>(number)],
                                   .fd2 = number});
}

void plan_target(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    auto& steps = plan.target;
    steps.push_back({.kind = StepKind::set_umask, .mode = kUmask});
    plan_session(spec, plan);
    steps.push_back({.kind = StepKind::change_directory, .path = plan.keep(spec.cwd)});
    plan_privileges(spec, sources, plan);
    if (!spec.init)  // after set_ids: a change of credentials clears the request (prctl(2))
        steps.push_back({.kind = StepKind::die_with_parent, .fd = sources.supervisor});
    plan_streams(sources, plan);
    plan_descriptors(spec, plan);
    for (int signal : sources.ignored_signals)
        steps.push_back({.kind = StepKind::reset_signal, .fd = signal});
    steps.push_back({.kind = StepKind::unblock_signals});
    ExecArguments exec = {
        .candidates = plan.keep(command_candidates(spec.args[0], sources.env)),
        .argv = plan.keep(spec.args),
        .envp = plan.keep(sources.env),
    };
    steps.push_back({.kind = StepKind::exec_command,
                     .source = plan.keep(spec.args[0]),
                     .exec = plan.keep(exec)});
}

// The init keeps no descriptor and one capability: it may signal a command of any user.
void plan_init(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    if (!spec.shares_terminal)
        plan.setup.push_back({.kind = StepKind::new_session});
    plan.setup.push_back({.kind = StepKind::die_with_parent, .fd = sources.supervisor});
    auto& steps = plan.init;
    steps.push_back({.kind = StepKind::close_on_exec, .flags = 0, .device = kLastDescriptor});
    steps.push_back({.kind = StepKind::set_capabilities, .flags = uint64_t{1} << CAP_KILL});
    if (!spec.no_new_privileges)  // else PID 1 has it already
        steps.push_back({.kind = StepKind::no_new_privileges});
    ExecArguments exec = {
        .candidates = nullptr,
        .argv = plan.keep(std::vector<std::string>{"sigil-init", spec.signal_group ? "g" : "-"}),
        .envp = plan.keep(std::vector<std::string>{}),
    };
    steps.push_back(
        {.kind = StepKind::exec_init, .fd = sources.init_image, .exec = plan.keep(exec)});
}

}  // namespace

const char* const* LaunchPlan::keep(const std::vector<std::string>& words) {
    std::vector<const char*> pointers;
    pointers.reserve(words.size() + 1);
    for (const std::string& word : words)
        pointers.push_back(keep(word));
    pointers.push_back(nullptr);
    return pointers_.emplace_back(std::move(pointers)).data();
}

const Ids* LaunchPlan::keep(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups) {
    const auto& kept = groups_.emplace_back(std::move(groups));
    return &ids_.emplace_back(Ids{uid, gid, kept.data(), static_cast<uint32_t>(kept.size())});
}

void plan_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    // What PID 1 and the command have in common: the command inherits it.
    plan.setup.push_back({.kind = StepKind::enter, .place = Place::root});
    plan.setup.push_back({.kind = StepKind::new_keyring});
    if (spec.no_new_privileges)
        plan.setup.push_back({.kind = StepKind::no_new_privileges});
    plan_target(spec, sources, plan);
    if (spec.init)
        plan_init(spec, sources, plan);
}

}  // namespace sigil::isolation
