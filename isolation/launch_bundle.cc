// A bundle's container, or a process beside its own: what config.json asks for, as a plan; launched
// as any other container where that will do, else through the stage (staged.h).
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/bundle_cgroup.h"
#include "isolation/device_filter.h"
#include "isolation/id_map.h"
#include "isolation/launch.h"
#include "isolation/launch_prepared.h"
#include "isolation/mount_points.h"
#include "isolation/net_devices.h"
#include "isolation/shared_roots.h"
#include "isolation/users.h"

namespace sigil::isolation {
namespace {

// As runc and crun have it: what config.json says, and HOME where it says nothing.
Result<std::vector<std::string>> bundle_environment(const Spec& spec, int root) {
    std::vector<std::string> env = spec.env;
    auto is_home = [](const std::string& entry) { return entry.starts_with("HOME="); };
    if (std::ranges::any_of(env, is_home))
        return env;
    const OciProcess& process = spec.oci->process;
    const User user = TRY(find_user(root, fmt::format("{}:{}", process.uid, process.gid)));
    env.push_back("HOME=" + user.home);
    return env;
}

// The kernel's own word (apparmor(7), selinuxfs).
bool runs_apparmor() {
    auto enabled = sys::read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled");
    return enabled && enabled->starts_with('Y');
}

bool runs_selinux() {
    auto type = sys::filesystem_type("/sys/fs/selinux");
    return type && *type == SELINUX_MAGIC;
}

const char* why_no_resource_control() {
    const auto type = sys::filesystem_type("/sys/fs/resctrl");
    return type && *type == RDTGROUP_SUPER_MAGIC
               ? "sigil does not set up resource control (resctrl)"
               : "no resctrl is mounted at /sys/fs/resctrl, and sigil would not set it up";
}

bool is_new(const Oci& oci, NamespaceKind kind) {
    const Namespace* space = oci.find(kind);
    return space && space->path.empty();
}

int joined_user_namespace(const std::vector<JoinedNamespace>& joined) {
    for (const JoinedNamespace& space : joined)
        if (space.kind == NamespaceKind::user)
            return space.fd.get();
    return -1;
}

// Of one that has ended, and was not reaped yet.
Error untimely_end(const Process& process) {
    siginfo_t info = {};
    if (::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | WNOWAIT) != 0)
        return Error::from_errno(errno, "waitid");
    return Error::because(info.si_code == CLD_EXITED
                              ? fmt::format("its process has ended with exit code {} before the "
                                            "container was ready",
                                            info.si_status)
                              : fmt::format("its process was killed by {} before the container was "
                                            "ready",
                                            signal_name(info.si_status)));
}

bool asks_for_limits(const Resources& resources) {
    return !needed_controllers(resources).empty() || !resources.files.empty();
}

// Errors of a cgroup2 that we may not write to: a container without limits goes without.
bool is_forbidden(const Error& error) {
    return error.is(EACCES) || error.is(EPERM) || error.is(EROFS);
}

}  // namespace

bool Launch::needs_stage() const {
    const Oci& oci = *request_.spec.oci;
    const Hooks& hooks = oci.hooks;
    // Those of its end too: they run if it was there, and that is known of a launch which waits.
    const bool has_hooks = std::ranges::any_of(
        std::array{&hooks.prestart, &hooks.create_runtime, &hooks.create_container,
                   &hooks.start_container, &hooks.poststop},
        [](const std::vector<Hook>* of_one_kind) { return !of_one_kind->empty(); });
    return (request_.bundle && !request_.bundle->is_supervised) || has_hooks ||
           is_new(oci, NamespaceKind::user) || makes_time_namespace(oci) || oci.process.terminal ||
           (prepared_->filter && prepared_->filter->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) ||
           !prepared_->joined.empty() || !oci.net_devices.empty();
}

// The cgroup first: without a cgroup namespace the container's mounts show its directory.
Result<void> Launch::prepare_bundle(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    const Oci& oci = *spec.oci;
    prepared_ = {new Prepared, [](Prepared* prepared) { delete prepared; }};
    Prepared& prepared = *prepared_;
    if (oci.intel_rdt)
        return failure("linux.intelRdt: {}", why_no_resource_control());
    if (site_)
        TRY(site_->enter(spec, false));  // to the host's mounts: no bundle shares a root
    prepared.filter = oci.seccomp ? TRY(context_.seccomp_programs->of(*oci.seccomp)) : spec.seccomp;
    ProcessSources process = {
        .uid = oci.process.uid,
        .gid = oci.process.gid,
        .ignored_signals = context_.ignored_signals,
        .supervisor = context_.supervisor.get(),
        .has_apparmor = !oci.process.apparmor_profile.empty() && runs_apparmor(),
        .has_selinux = !oci.process.selinux_label.empty() && runs_selinux(),
        .filter = prepared.filter.get(),
    };
    if (request_.bundle) {
        process.preserved_fds = request_.bundle->preserve_fds;
        process.no_new_keyring = request_.bundle->no_new_keyring;
    }
    const bool joins = request_.bundle && request_.bundle->join;
    if (!joins)
        prepared.joined = TRY(open_namespaces(oci.namespaces));
    if (needs_stage()) {
        if (!request_.bundle)
            return failure(
                "hooks, a terminal, a user namespace, namespaces to join and network devices need "
                "a run of this bundle alone: 'sigil run --bundle'");
        const BundleOptions& options = *request_.bundle;
        prepared.child.emplace(TRY(StagedChild::open(options.interruption)));
        process.is_staged = true;
        process.channel = prepared.child->channel();
        process.start_socket = options.start_socket;
        // The stage has no pidfd of its supervisor's, but a channel that ends with it.
        process.supervisor = options.is_supervised ? process.channel : -1;
    }
    return joins ? plan_joining(process) : plan_container(outcome, process);
}

Result<void> Launch::plan_container(LaunchOutcome& outcome, ProcessSources& process) {
    const Spec& spec = request_.spec;
    const Oci& oci = *spec.oci;
    Prepared& prepared = *prepared_;
    TRY(make_bundle_cgroup(outcome));
    OpenedSources sources;
    prepared.trees = TRY(
        RootTrees::open_bundle(spec, outcome.cgroup ? outcome.cgroup->directory() : -1, sources));
    if (is_new(oci, NamespaceKind::user))
        make_mount_points(spec, prepared.trees.root.get());
    sources.has_cgroup2 = context_.cgroups != nullptr;
    sources.has_kcore = sys::stat(AT_FDCWD, "/proc/kcore").has_value();
    sources.no_pivot = request_.bundle && request_.bundle->no_pivot;
    sources.meets_at_mounts = !oci.hooks.create_container.empty();
    process.env = TRY(bundle_environment(spec, prepared.trees.root.get()));
    TRY(open_streams(prepared, process));
    auto& steps = prepared.plan.setup;
    for (const JoinedNamespace& space : prepared.joined)
        // Those two its parent joins for it.
        if (space.kind != NamespaceKind::pid && space.kind != NamespaceKind::user)
            steps.push_back({.kind = StepKind::join_namespace,
                             .fd = space.fd.get(),
                             .flags = space.flag,
                             .origin = space.origin.c_str()});
    if (prepared.child)
        steps.push_back(
            {.kind = StepKind::meet_parent, .flags = static_cast<uint64_t>(Meeting::namespaces)});
    TRY(plan_oci_mounts(spec, sources, prepared.plan));
    return plan_oci_process(spec, process, prepared.plan);
}

// The process of `exec`: in the container's namespaces, with nothing to mount.
Result<void> Launch::plan_joining(ProcessSources& process) {
    const JoinTarget& target = *request_.bundle->join;
    Prepared& prepared = *prepared_;
    const uint64_t foreign = TRY(foreign_namespaces(target.process.pid));
    const Fd root =
        TRY(sys::open(AT_FDCWD, fmt::format("/proc/{}/root", target.process.pid).c_str(),
                      O_PATH | O_DIRECTORY),
            "open the container's root");
    process.env = TRY(bundle_environment(request_.spec, root.get()));
    TRY(open_streams(prepared, process));
    process.in_user_namespace = foreign & CLONE_NEWUSER || TRY(own_users());
    auto& steps = prepared.plan.setup;
    // Processes of the container can see this one from here on.
    steps.push_back({.kind = StepKind::set_undumpable});
    if (foreign & ~uint64_t{CLONE_NEWPID})
        steps.push_back({.kind = StepKind::join_namespace,
                         .fd = target.process.pidfd.get(),
                         .flags = foreign & ~uint64_t{CLONE_NEWPID}});
    steps.push_back({.kind = StepKind::open_root});
    steps.push_back(
        {.kind = StepKind::meet_parent, .flags = static_cast<uint64_t>(Meeting::namespaces)});
    if (foreign & CLONE_NEWUSER)
        steps.push_back({.kind = StepKind::become_user,
                         .flags = kMayBeDenied,
                         .ids = prepared.plan.keep(0, 0, {})});
    if (foreign & CLONE_NEWPID)
        prepared.joined.push_back({NamespaceKind::pid, CLONE_NEWPID,
                                   TRY(sys::pidfd_open(target.process.pid)), "the container"});
    const OciProcess& wanted = request_.spec.oci->process;
    if (wanted.oom_score_adj || process.has_apparmor || process.has_selinux)
        steps.push_back({.kind = StepKind::open_proc});
    return plan_oci_process(request_.spec, process, prepared.plan);
}

Result<void> Launch::make_bundle_cgroup(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    const Oci& oci = *spec.oci;
    const CgroupHost* host = context_.cgroups.get();
    if (!request_.bundle) {
        outcome.cgroup = TRY(Cgroup::create(host, *context_.cgroup_parents, spec, request_.name));
    } else {
        if (!host) {
            if (asks_for_limits(spec.resources))
                return failure("linux.resources: no cgroup v2 is mounted on this machine");
            return {};
        }
        if (request_.bundle->systemd_cgroup)
            return make_systemd_cgroup(outcome);
        const std::string path =
            TRY(bundle_cgroup_path(oci.cgroups_path, host->own(), request_.name));
        TRY(request_.bundle->attendant->making_cgroup(path));
        auto made = Cgroup::create_at(host, path, spec.resources);
        if (!made && is_forbidden(made.error()) && !asks_for_limits(spec.resources)) {
            TRY(request_.bundle->attendant->making_cgroup({}));
            return {};
        }
        outcome.cgroup = TRY(std::move(made));
    }
    return outcome.cgroup ? finish_cgroup(*outcome.cgroup) : Result<void>();
}

// The scope is written down before it is there: whoever deletes the container stops it.
Result<void> Launch::make_systemd_cgroup(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    LaunchAttendant& attendant = *request_.bundle->attendant;
    SystemdHelper helper = TRY(SystemdHelper::find());
    helper.interruption = request_.bundle->interruption;
    const SystemdUnit unit =
        TRY(systemd_unit(spec.oci->cgroups_path, request_.name, helper.is_user));
    TRY(attendant.making_unit(unit.scope, helper.is_user));
    auto scope = SystemdScope::start(helper, unit, "sigil container " + request_.name,
                                     systemd_properties(spec.resources));
    if (!scope && scope.error().is(EEXIST))  // another's: nobody may stop it for ours
        TRY(attendant.making_unit({}, helper.is_user));
    prepared_->scope = TRY(std::move(scope));
    const std::string& path = prepared_->scope->cgroup();
    TRY(attendant.making_cgroup(path));
    outcome.cgroup = TRY(Cgroup::open_at(context_.cgroups.get(), path),
                         "--systemd-cgroup: {} of {}", path, unit.scope);
    TRY(outcome.cgroup->apply(spec.resources));
    return finish_cgroup(*outcome.cgroup);
}

Result<void> Launch::finish_cgroup(Cgroup& cgroup) {
    const Spec& spec = request_.spec;
    TRY(restrict_devices(cgroup.directory(), spec.oci->device_rules));
    if (const auto owner = bundle_cgroup_owner(spec))
        TRY(delegate_cgroup(cgroup.directory(), *owner), "linux.cgroupsPath");
    return {};
}

Result<void> Launch::clone_staged(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    const JoinTarget* join = request_.bundle->join;
    StagedChild& child = *prepared_->child;
    const int own_cgroup = outcome.cgroup ? outcome.cgroup->directory() : -1;
    outcome.times.cloned = sys::monotonic_now();
    {
        const auto entered =
            TRY(EnteredNamespaces::enter(prepared_->joined, join ? nullptr : spec.oci.get()));
        outcome.process = TRY(child.start({
                                  .plan = prepared_->plan,
                                  .root = prepared_->trees.root.get(),
                                  .clone_flags = join ? 0 : new_namespace_flags(spec),
                                  .cgroup = join ? join->cgroup : own_cgroup,
                                  .shares_memory = join || !makes_time_namespace(*spec.oci),
                                  .user_namespace = joined_user_namespace(prepared_->joined),
                              }),
                              "create the container");
    }
    pid_.store(outcome.process->pid, std::memory_order_seq_cst);
    if (prepared_->scope)
        prepared_->scope->release();  // its cgroup has a process of its own now
    auto accompanied = accompany(outcome);
    if (!accompanied)  // it may be past the last meeting, and about to run the command
        (void)sys::pidfd_send_signal(outcome.process->pidfd.get(), SIGKILL);
    return accompanied;
}

// From one meeting to the next, until the container is ready or its command runs.
Result<void> Launch::accompany(LaunchOutcome& outcome) {
    StagedChild& child = *prepared_->child;
    for (;;) {
        auto word = TRY(child.next());
        if (!word)
            break;
        TRY(heed(*word, outcome));
        if (word->meeting == Meeting::ready)
            return {};
        TRY(child.go_on(), "talk with the container");
    }
    // It has executed the command; or it is gone without a word, killed from outside: whoever waits
    // for its end sees that, but nobody does for one that is to wait for its start.
    outcome.times.executed = sys::monotonic_now();
    if (request_.bundle->start_socket >= 0)
        return tl::unexpected(untimely_end(*outcome.process));
    return {};
}

// What the child has come to.
Result<void> Launch::heed(StagedWord& word, LaunchOutcome& outcome) {
    const Oci& oci = *request_.spec.oci;
    if (word.meeting == Meeting::failed)
        return tl::unexpected(failed_step(outcome, word.message));
    const bool joins = request_.bundle->join != nullptr;
    if (word.meeting == Meeting::namespaces && !joins && is_new(oci, NamespaceKind::user))
        TRY(write_id_maps(outcome.process->pid, oci.uid_mappings, oci.gid_mappings));
    if (word.meeting == Meeting::namespaces && !joins)
        TRY(move_net_devices(oci.net_devices, outcome.process->pid));
    outcome.times.isolated = sys::monotonic_now();
    return request_.bundle->attendant->meet(word.meeting, outcome, std::move(word.passed));
}

}  // namespace sigil::isolation
