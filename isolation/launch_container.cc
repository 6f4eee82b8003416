// What a container of `sigil run` is made of beside its plan: its users, its root, and the cgroup
// with its device rules.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/capabilities.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/container_note.h"
#include "isolation/id_map.h"
#include "isolation/launch.h"
#include "isolation/launch_prepared.h"
#include "isolation/root_tree.h"
#include "isolation/shared_roots.h"
#include "isolation/users.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kTerminalGroup = 5;  // tty, of devpts

// The command's environment: a standard PATH, HOME and the like where the user says nothing.
std::vector<std::string> complete_environment(const Spec& spec, const User& user,
                                              const std::string& hostname) {
    std::vector<std::string> env = spec.env;
    auto add = [&env](std::string_view name, std::string_view value) {
        const std::string prefix = std::string(name) + "=";
        auto is_set = [&prefix](const std::string& entry) { return entry.starts_with(prefix); };
        if (std::ranges::none_of(env, is_set))
            env.push_back(prefix + std::string(value));
    };
    add("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add("HOME", user.home);
    add("HOSTNAME", hostname);
    add("container", "sigil");
    return env;
}

// Whether more than the standard devices could be opened or made otherwise: else no device rule
// decides anything, as the root is mounted nodev. With any capability beyond the usual ones, nodes
// can be made, or filesystems mounted that have them.
bool needs_device_rules(const Spec& spec) {
    auto may_hold_devices = [](const Mount& mount) { return mount.type != "tmpfs"; };
    return !spec.privileged &&
           (!spec.devices.empty() || (spec.capabilities & ~default_capabilities()) != 0 ||
            std::ranges::any_of(spec.mounts, may_hold_devices));
}

Result<void> restrict_devices(DeviceFilters& filters, int cgroup, const Spec& spec) {
    std::vector<DeviceRule> rules;
    for (const HostDevice& device : spec.devices)
        rules.push_back(device.rule);
    if (cgroup >= 0 && TRY(filters.restrict(cgroup, rules), "restrict the devices"))
        return {};
    for (const HostDevice& device : spec.devices)
        if (!device.rule.read || !device.rule.write)
            return failure(
                "{}: it needs a cgroup and a BPF program to allow but a part, and sigil "
                "has none here",
                device.origin);
    return {};
}

// What asks for a cgroup, for an error; empty: nothing does.
std::string cgroup_option(const Spec& spec) {
    const Resources& limits = spec.resources;
    const std::pair<bool, const char*> options[] = {
        {limits.memory.has_value(), "--memory"},
        {limits.memory_high.has_value(), "--memory-high"},
        {limits.memory_swap.has_value(), "--memory-swap"},
        {limits.oom_group, "--oom-group"},
        {limits.cpu_quota.has_value(), "--cpus"},
        {!limits.cpuset_cpus.empty(), "--cpuset-cpus"},
        {limits.pids.has_value(), "--pids-limit"},
        {!limits.io_max.empty(), "--io-max"},
        {!limits.files.empty(), "--cgroup-set"},
        {!spec.cgroup_parent.empty(), "--cgroup-parent"},
    };
    for (const auto& [is_given, option] : options)
        if (is_given)
            return option;
    return {};
}

}  // namespace

// Of a container with users of its own; the thread stands in the host's mounts.
Result<void> Launch::make_users(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    if (context_.own_users)
        return failure(
            "--userns: sigil is in a user namespace itself, whose users containers have");
    IdMaps users = {.uids = spec.uid_mappings, .gids = spec.gid_mappings};
    if (spec.user_namespace == UserNamespace::automatic) {
        outcome.users = TRY(context_.user_ranges->take(), "--userns auto");
        const FirstIds first = outcome.users.first();
        users.uids = {{0, first.uid, kIdsOfAContainer}};
        users.gids = {{0, first.gid, kIdsOfAContainer}};
    }
    prepared_->user_namespace = TRY(make_user_namespace(users.uids, users.gids), "--userns");
    prepared_->users = std::move(users);
    return {};
}

// Null: all there are on the machine.
const IdMaps* Launch::users() const {
    if (prepared_->users)
        return &*prepared_->users;
    return context_.own_users ? &*context_.own_users : nullptr;
}

// Opens the root, unless the thread stands in one that the container can share: nobody can that is
// in a user namespace, as no procfs is to be seen there (see plan_mounts).
Result<void> Launch::open_root(LaunchOutcome& outcome, OpenedSources& sources) {
    const Spec& spec = request_.spec;
    Prepared& prepared = *prepared_;
    sources.joins_user_namespace = spec.user_namespace != UserNamespace::host;
    sources.in_user_namespace = sources.joins_user_namespace || context_.own_users;
    if (site_ && TRY(site_->enter(spec, !sources.in_user_namespace))) {
        sources.binds.resize(spec.mounts.size());
        if (!spec.user.empty())
            prepared.trees.root = TRY(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
        return {};
    }
    if (sources.joins_user_namespace)
        TRY(make_users(outcome));
    if (const IdMaps* users = this->users())
        sources.maps_terminal_group = maps(users->gids, kTerminalGroup);
    prepared.trees =
        TRY(RootTrees::open(spec, spec.mounts.size(), prepared.user_namespace.get(), sources));
    return {};
}

// The command's user, by the container's own passwd and group.
Result<void> Launch::take_user(ProcessSources& process, const std::string& hostname) const {
    const Spec& spec = request_.spec;
    User user = TRY(find_user(prepared_->trees.root.get(), spec.user), "--user");
    process.env = complete_environment(spec, user, hostname);
    if (const IdMaps* users = this->users()) {
        if (!maps(users->uids, user.uid))
            return failure("--user: the container's user namespace has no user {}", user.uid);
        if (!maps(users->gids, user.gid))
            return failure("--user: the container's user namespace has no group {}", user.gid);
        std::erase_if(user.groups, [&](uint32_t group) {
            return !users->may_set_groups || !maps(users->gids, group);
        });
    }
    process.uid = user.uid;
    process.gid = user.gid;
    process.groups = std::move(user.groups);
    return {};
}

// A pipe has mode 0600 and is its maker's: a command that is another user's could not open
// /dev/stdout. What has a name stays whose it is, and so does a pipe that cannot be given.
void Launch::give_pipes(const ProcessSources& process) const {
    constexpr gid_t kSameGroup = static_cast<gid_t>(-1);
    const uid_t owner =
        prepared_->users ? outside(prepared_->users->uids, process.uid) : process.uid;
    for (int number = 0; number < kStreams; ++number) {
        const int own = process.streams[static_cast<size_t>(number)];
        const int stream = own < 0 ? number : own;
        const auto facts = sys::stat(stream, "", AT_EMPTY_PATH);
        if (!facts || !S_ISFIFO(facts->stx_mode) || facts->stx_uid == owner)
            continue;
        const auto type = sys::filesystem_type(stream);
        if (type && *type == PIPEFS_MAGIC)
            (void)sys::fchownat(stream, "", owner, kSameGroup, AT_EMPTY_PATH);
    }
}

Result<void> Launch::make_cgroup(LaunchOutcome& outcome) {
    const Spec& spec = request_.spec;
    auto made =
        Cgroup::create(context_.cgroups.get(), *context_.cgroup_parents, spec, request_.name);
    const std::string option = cgroup_option(spec);
    if (!made && context_.own_users && !option.empty())
        return tl::unexpected(std::move(made).error().in(option + ": sigil has no cgroup for it"));
    outcome.cgroup = TRY(std::move(made));
    const int directory = outcome.cgroup ? outcome.cgroup->directory() : -1;
    if (needs_device_rules(spec))
        TRY(restrict_devices(*context_.device_filters, directory, spec));
    return directory >= 0 ? write_note(directory, note_of(spec)) : Result<void>();
}

}  // namespace sigil::isolation
