// The process half of the recipe: what PID 1 and the command do between the last mount and execve.
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/auxv.h>

#include <algorithm>

#include "isolation/init_filter.h"
#include "isolation/launch_plan.h"
#include "isolation/terminal_filter.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kLastDescriptor = UINT_MAX;
constexpr uint64_t kFirstUnnamedDescriptor = 3;
constexpr uint32_t kUmask = 022;
constexpr uint64_t kInitCapabilities = uint64_t{1} << CAP_KILL;

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

// A session comes with a scheduling group of its own (sched_autogroup_create_attach() in
// kernel/sched/autogroup.c), which costs a start 80 us: the init has one for both, unless the
// command is to lead it for its terminal.
void plan_session(const Spec& spec, LaunchPlan& plan) {
    auto& steps = plan.target;
    if (spec.shares_terminal) {
        if (spec.signal_group)
            steps.push_back({.kind = StepKind::own_group, .flags = 1});
    } else if (spec.init && !spec.terminal) {
        steps.push_back({.kind = StepKind::own_group});
    } else {
        steps.push_back({.kind = StepKind::new_session});
    }
}

// After the session, which it becomes the terminal of, and while we are root still.
void plan_terminal(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    if (spec.terminal)
        plan.target.push_back(
            {.kind = StepKind::open_console,
             .fd = sources.terminal,
             .mode = sources.uid,
             .flags = uint64_t{spec.terminal->height} << 16 | spec.terminal->width,
             .origin = "--tty"});
}

// The filter is a part of the setup then. PID 1 and its command have the one: a filter costs a
// start some 30 us; and one that is made ahead of need has it before that. A terminal is mounted by
// the command's process, and a shared one has a filter more.
bool filters_setup(const Spec& spec, const ProcessSources& sources) {
    return (spec.init || sources.is_parked) && spec.no_new_privileges && spec.seccomp &&
           spec.seccomp->admits_launch && !spec.terminal && !spec.shares_terminal;
}

// seccomp(2): with no_new_privs it needs no privilege, so it comes last, where it filters least of
// the launch itself: an execve, and an exit should that fail. Else it needs CAP_SYS_ADMIN, and
// comes before that may be gone.
void plan_seccomp(const Spec& spec, std::vector<Step>& steps, LaunchPlan& plan) {
    if (spec.seccomp && spec.shares_terminal)
        steps.push_back({.kind = StepKind::seccomp, .filter = terminal_filter()});
    if (spec.seccomp)
        steps.push_back({.kind = StepKind::seccomp,
                         .flags = spec.seccomp->flags,
                         .filter = plan.keep(*spec.seccomp)});
}

void plan_privileges(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    auto& steps = plan.target;
    for (const Rlimit& limit : spec.rlimits)
        steps.push_back({.kind = StepKind::set_rlimit,
                         .fd = limit.resource,
                         .flags = limit.soft,
                         .device = limit.hard,
                         .origin = plan.keep(limit.origin)});
    if (sources.bounding != spec.capabilities)
        steps.push_back({.kind = StepKind::drop_bounding, .flags = spec.capabilities});
    if (!spec.no_new_privileges)
        plan_seccomp(spec, steps, plan);
    const bool stays_root =
        sources.uid == 0 && sources.gid == 0 && is_root() && !sources.in_user_namespace;
    steps.push_back({.kind = stays_root ? StepKind::set_groups : StepKind::set_ids,
                     .flags = sources.in_user_namespace ? kMayBeDenied : 0,
                     .ids = plan.keep(sources.uid, sources.gid, sources.groups)});
    // A user who is not root has none: setresuid(2) has emptied the sets.
    if (sources.uid == 0)
        steps.push_back({.kind = StepKind::set_capabilities, .flags = spec.capabilities});
}

void plan_target(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    auto& steps = plan.target;
    steps.push_back({.kind = StepKind::set_umask, .mode = kUmask});
    plan_session(spec, plan);
    plan_terminal(spec, sources, plan);
    steps.push_back({.kind = StepKind::change_directory, .path = plan.keep(spec.cwd)});
    plan_privileges(spec, sources, plan);
    if (!spec.init)  // after set_ids: a change of credentials clears the request (prctl(2))
        steps.push_back({.kind = StepKind::die_with_parent, .fd = sources.supervisor});
    plan_streams(sources, plan);
    plan_descriptors(spec.passed_fds, "--pass-fd", plan, {sources.channel});
    plan_signals(sources, plan);
    if (spec.no_new_privileges && !filters_setup(spec, sources))
        plan_seccomp(spec, steps, plan);
    plan_exec(spec, sources, plan);
}

// The init keeps no descriptor and one capability: it may signal a command of any user.
void plan_init(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    if (!spec.shares_terminal)
        plan.setup.push_back({.kind = StepKind::new_session});
    plan.setup.push_back({.kind = StepKind::die_with_parent, .fd = sources.supervisor});
    auto& steps = plan.init;
    steps.push_back({.kind = StepKind::close_on_exec, .flags = 0, .device = kLastDescriptor});
    steps.push_back({.kind = StepKind::set_capabilities, .flags = kInitCapabilities});
    if (!spec.no_new_privileges)  // else PID 1 has it already
        steps.push_back({.kind = StepKind::no_new_privileges});
    if (spec.seccomp && !filters_setup(spec, sources))
        steps.push_back({.kind = StepKind::seccomp, .filter = init_filter()});
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

const char* const* LaunchPlan::keep_options(const std::vector<std::string>& options) {
    std::vector<const char*> pointers;
    for (const std::string& option : options) {
        const size_t equals = option.find('=');
        pointers.push_back(keep(option.substr(0, equals)));
        pointers.push_back(equals == std::string::npos ? "" : keep(option.substr(equals + 1)));
    }
    pointers.push_back(nullptr);
    return pointers_.emplace_back(std::move(pointers)).data();
}

Step LaunchPlan::writing(std::string path, std::string text, std::string origin) {
    const auto length = static_cast<uint32_t>(text.size());
    return {.kind = StepKind::write_proc,
            .mode = length,
            .path = keep(std::move(path)),
            .source = keep(std::move(text)),
            .origin = keep(std::move(origin))};
}

const Ids* LaunchPlan::keep(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups) {
    const auto& kept = groups_.emplace_back(std::move(groups));
    return &ids_.emplace_back(Ids{uid, gid, kept.data(), static_cast<uint32_t>(kept.size())});
}

const sock_fprog* LaunchPlan::keep(const SeccompProgram& program) {
    // The kernel only reads them; sock_fprog says otherwise.
    return &filters_.emplace_back(
        sock_fprog{static_cast<unsigned short>(program.instructions.size()),
                   const_cast<sock_filter*>(program.instructions.data())});
}

// Closed at once, not by the execve: the command's own path could be /proc/self/fd/N.
void plan_descriptors(std::vector<int> passed, std::string_view origin, LaunchPlan& plan,
                      std::vector<int> left) {
    std::erase_if(left, [](int fd) { return fd < 0; });
    auto is_left = [&left](int fd) { return std::ranges::find(left, fd) != left.end(); };
    passed.insert(passed.end(), left.begin(), left.end());
    std::ranges::sort(passed);
    passed.erase(std::unique(passed.begin(), passed.end()), passed.end());
    uint64_t first = kFirstUnnamedDescriptor;
    auto close_up_to = [&](uint64_t last) {
        if (first <= last)
            plan.target.push_back(
                {.kind = StepKind::close_descriptors, .flags = first, .device = last});
    };
    for (int fd : passed) {
        close_up_to(static_cast<uint64_t>(fd) - 1);
        first = static_cast<uint64_t>(fd) + 1;
        if (is_left(fd))
            continue;
        plan.target.push_back({.kind = StepKind::keep_descriptor,
                               .fd = fd,
                               .origin = plan.keep(fmt::format("{} {}", origin, fd))});
    }
    close_up_to(kLastDescriptor);
}

void plan_streams(const ProcessSources& sources, LaunchPlan& plan) {
    int passed = 0;
    for (int number = 0; number < kStreams; ++number)
        if (sources.streams[static_cast<size_t>(number)] >= 0)
            plan.target.push_back(
                {.kind = sources.is_parked ? StepKind::move_passed : StepKind::move_descriptor,
                 .fd = sources.is_parked ? passed++ : sources.streams[static_cast<size_t>(number)],
                 .fd2 = number});
}

void plan_signals(const ProcessSources& sources, LaunchPlan& plan) {
    for (int signal : sources.ignored_signals)
        plan.target.push_back({.kind = StepKind::reset_signal, .fd = signal});
    plan.target.push_back({.kind = StepKind::unblock_signals});
}

void plan_exec(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    ExecArguments exec = {
        .candidates = plan.keep(command_candidates(spec.args[0], sources.env)),
        .argv = plan.keep(spec.args),
        .envp = plan.keep(sources.env),
    };
    plan.target.push_back({.kind = StepKind::exec_command,
                           .source = plan.keep(spec.args[0]),
                           .exec = plan.keep(exec)});
}

uint64_t bounding_of(const Spec& spec) {
    return spec.capabilities | (spec.init ? kInitCapabilities : 0);
}

void plan_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan) {
    // What PID 1 and the command have in common: the command inherits it.
    plan.setup.push_back({.kind = StepKind::enter, .place = Place::root});
    plan.setup.push_back({.kind = StepKind::new_keyring});
    if (spec.no_new_privileges)
        plan.setup.push_back({.kind = StepKind::no_new_privileges});
    // Those that come with the command need not.
    if (sources.is_parked)
        plan.setup.push_back({.kind = StepKind::drop_bounding, .flags = bounding_of(spec)});
    plan_target(spec, sources, plan);
    if (spec.init)
        plan_init(spec, sources, plan);
    if (filters_setup(spec, sources))
        plan_seccomp(spec, plan.setup, plan);
}

}  // namespace sigil::isolation
