// The filesystem half of a bundle's recipe. Read plan_oci_mounts from top to bottom. Its mounts are
// made before the root is changed, because their sources are the host's: a device, the layers of an
// overlay, and in a user namespace the full procfs and sysfs without which the kernel makes none.
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/launch_plan.h"
#include "isolation/meeting.h"
#include "isolation/mount_options.h"
#include "isolation/oci_plan.h"

namespace sigil::isolation {
namespace {

// A mount of a bundle, read.
struct Parsed {
    const Mount& mount;
    std::string target;
    MountExtensions extensions;
    MountFlags flags;
};

// Files of /proc that others may stand in for (lxcfs); everything else there is the kernel's word
// (CVE-2019-19921). The list is runc's.
constexpr std::array<std::string_view, 11> kCoverable = {
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
};

// Made from a descriptor that stays: what is done in them later is not led astray, and they get the
// mode of the directory beneath. The rest is mount(2)'s.
constexpr std::array<std::string_view, 6> kByDescriptor = {"cgroup2", "devpts", "mqueue",
                                                           "proc",    "sysfs",  "tmpfs"};

bool is_by_descriptor(std::string_view type) {
    return std::ranges::find(kByDescriptor, type) != kByDescriptor.end();
}

constexpr size_t kLongestValue = 255;  // that fsconfig(2) takes

struct FlagWord {
    uint64_t flag;
    const char* word;
};

// Of the filesystem, not of the mount: fsconfig(2) takes them as words.
constexpr std::array kSuperblockWords = {
    FlagWord{MS_SYNCHRONOUS, "sync"},
    FlagWord{MS_DIRSYNC, "dirsync"},
    FlagWord{MS_MANDLOCK, "mand"},
    FlagWord{MS_LAZYTIME, "lazytime"},
};

Result<Parsed> parse(const Mount& as_written) {
    Mount mount = as_written;
    Parsed parsed = {.mount = as_written, .target = TRY(clean_destination(mount))};
    parsed.extensions = take_extensions(mount);
    const bool binds = is_bind(mount);
    parsed.flags = TRY(parse_mount_options(mount.options, binds), "{}.options", mount.origin);
    if (parsed.extensions.copy_up && (binds || mount.type != "tmpfs"))
        return failure("{}.options: 'tmpcopyup' is for a tmpfs", mount.origin);
    if (parsed.extensions.id_mapped && !binds)
        return failure("{}.options: only a bind's IDs can be mapped", mount.origin);
    if (!binds && mount.type.empty())
        return failure("{}.type: missing, and the options name no bind", mount.origin);
    return parsed;
}

bool is_proc_or_below(std::string_view target) {
    return target == "/proc" || target.starts_with("/proc/");
}

// Only a procfs goes on /proc, and only files that are known to be harmless below it.
Result<uint64_t> proc_permission(const Parsed& parsed, const OpenedSources::Bind& bind) {
    const Mount& mount = parsed.mount;
    if (!is_proc_or_below(parsed.target))
        return 0;
    if (parsed.target == "/proc") {
        if (bind.tree >= 0 ? bind.is_proc : !is_bind(mount) && mount.type == "proc")
            return kMayCoverProc;
        return failure("{}.destination: only a procfs can be mounted on /proc", mount.origin);
    }
    if (std::ranges::find(kCoverable, parsed.target) != kCoverable.end())
        return kMayCoverProc;
    return failure("{}.destination: '{}' is inside /proc, which is the kernel's", mount.origin,
                   printable(parsed.target));
}

// FormatMountLabel's rule (SELinux): a filesystem without labels of its own gets the container's.
// The kernel labels procfs, sysfs and cgroupfs itself.
bool takes_label(std::string_view type) {
    return type != "proc" && type != "sysfs" && !type.starts_with("cgroup");
}

std::vector<std::string> options_of(const Parsed& parsed, const Oci& oci) {
    std::vector<std::string> options;
    // What mountinfo and df(1) call it.
    const std::string& source = parsed.mount.source;
    if (!source.empty() && source.size() <= kLongestValue)
        options.push_back("source=" + source);
    for (const FlagWord& row : kSuperblockWords)
        if (parsed.flags.mount_flags & row.flag)
            options.emplace_back(row.word);
    std::string_view rest = parsed.flags.data;
    while (!rest.empty())
        if (const std::string_view option = take_part(rest, ','); !option.empty())
            options.emplace_back(option);
    if (!oci.mount_label.empty() && takes_label(parsed.mount.type))
        options.push_back("context=" + oci.mount_label);
    return options;
}

// The kernel makes a sysfs, or a procfs, only for who owns the namespace that it shows.
const char* host_instead(const std::string& type, const Oci& oci) {
    if (!oci.find(NamespaceKind::user))
        return nullptr;
    return type == "sysfs" ? "/sys" : type == "proc" ? "/proc" : nullptr;
}

void plan_by_descriptor(const Parsed& parsed, const Oci& oci, uint64_t permission, const char* type,
                        LaunchPlan& plan) {
    const bool is_kernels = parsed.mount.type == "proc" || parsed.mount.type == "sysfs";
    Step step = {.kind = StepKind::new_filesystem,
                 .place = parsed.target == "/dev" ? Place::dev : Place::none};
    step.path = plan.keep(parsed.target);
    step.source = type;
    step.mode = static_cast<uint32_t>(parsed.flags.propagation);
    step.flags = parsed.flags.attributes_set;
    // Nodes are made in it first.
    if (step.place == Place::dev)
        step.flags &= ~uint64_t{MOUNT_ATTR_RDONLY};
    step.device = permission | (is_kernels ? kPlainDirectory : 0) |
                  (parsed.extensions.copy_up ? kCopyUp : 0) |
                  (parsed.mount.type == "tmpfs" ? kKeepMode : 0);
    step.device_name = host_instead(parsed.mount.type, oci);
    step.options = plan.keep_options(options_of(parsed, oci));
    step.origin = plan.keep(parsed.mount.origin);
    plan.setup.push_back(step);
}

void plan_by_mount(const Parsed& parsed, const Oci& oci, uint64_t permission, LaunchPlan& plan) {
    std::string data = parsed.flags.data;
    if (!oci.mount_label.empty() && takes_label(parsed.mount.type))
        data += fmt::format("{}context=\"{}\"", data.empty() ? "" : ",", oci.mount_label);
    plan.setup.push_back(
        {.kind = StepKind::mount_in_root,
         .mode = static_cast<uint32_t>(parsed.flags.propagation),
         .path = plan.keep(parsed.target),
         .source = parsed.mount.source.empty() ? nullptr : plan.keep(parsed.mount.source),
         .device_name = plan.keep(parsed.mount.type),
         .data = data.empty() ? nullptr : plan.keep(std::move(data)),
         .flags = parsed.flags.mount_flags,
         .device = permission,
         .origin = plan.keep(parsed.mount.origin)});
}

void plan_bind(const Parsed& parsed, const OpenedSources::Bind& bind, uint64_t permission,
               LaunchPlan& plan) {
    plan.setup.push_back({.kind = StepKind::bind_tree,
                          .fd = bind.tree,
                          .mode = bind.is_directory ? uint32_t{S_IFDIR} : uint32_t{S_IFREG},
                          .path = plan.keep(parsed.target),
                          .device = permission,
                          .origin = plan.keep(parsed.mount.origin)});
}

Result<void> plan_mount(const Mount& mount, const OpenedSources& sources,
                        const OpenedSources::Bind& bind, const Oci& oci, LaunchPlan& plan) {
    Parsed parsed = TRY(parse(mount));
    const uint64_t permission = TRY(proc_permission(parsed, bind));
    if (bind.tree >= 0) {
        plan_bind(parsed, bind, permission, plan);
        return {};
    }
    const bool is_cgroup = mount.type == "cgroup" || mount.type == "cgroup2";
    if (is_cgroup && !sources.has_cgroup2)
        return failure("{}: this machine has no cgroup v2", mount.origin);
    if (is_cgroup && !oci.find(NamespaceKind::cgroup))
        return failure("{}: the container has neither a cgroup namespace nor a cgroup of its own",
                       mount.origin);
    if (is_cgroup)  // cgroup v1 is nobody's any more: the unified hierarchy goes by both names
        plan_by_descriptor(parsed, oci, permission, "cgroup2", plan);
    else if (is_by_descriptor(mount.type))
        plan_by_descriptor(parsed, oci, permission, plan.keep(mount.type), plan);
    else
        plan_by_mount(parsed, oci, permission, plan);
    return {};
}

Result<uint64_t> final_propagation(const Oci& oci) {
    struct Row {
        std::string_view name;
        uint64_t flags;
    };
    static constexpr std::array kRows = {
        Row{"shared", MS_SHARED},         Row{"rshared", MS_SHARED | MS_REC},
        Row{"slave", MS_SLAVE},           Row{"rslave", MS_SLAVE | MS_REC},
        Row{"private", MS_PRIVATE},       Row{"rprivate", MS_PRIVATE | MS_REC},
        Row{"unbindable", MS_UNBINDABLE}, Row{"runbindable", MS_UNBINDABLE | MS_REC},
    };
    if (oci.rootfs_propagation.empty())
        return 0;
    auto row = std::ranges::find(kRows, std::string_view(oci.rootfs_propagation), &Row::name);
    if (row == kRows.end())
        return failure("linux.rootfsPropagation: '{}' is none", printable(oci.rootfs_propagation));
    return row->flags;
}

void plan_new_root(const OpenedSources& sources, uint64_t propagation, LaunchPlan& plan) {
    auto& steps = plan.setup;
    steps.push_back({.kind = StepKind::set_umask, .mode = 0});
    // Nothing goes out to the host, whatever the root has in the end; what the host mounts comes in
    // with binds, unless private is asked for.
    const bool is_private = propagation & (MS_PRIVATE | MS_UNBINDABLE);
    steps.push_back({.kind = StepKind::set_propagation,
                     .flags = uint64_t{MS_REC} | (is_private ? MS_PRIVATE : MS_SLAVE)});
    steps.push_back({.kind = StepKind::attach_root, .fd = sources.root_tree});
}

void plan_change_root(const OpenedSources& sources, uint64_t propagation, LaunchPlan& plan) {
    auto& steps = plan.setup;
    if (sources.no_pivot) {
        steps.push_back({.kind = StepKind::hide_host, .path = "/sys"});
        steps.push_back({.kind = StepKind::hide_host, .path = "/proc"});
        steps.push_back({.kind = StepKind::change_root});
    } else {
        steps.push_back({.kind = StepKind::pivot_root});
        steps.push_back({.kind = StepKind::detach_old_root});
    }
    if (propagation)
        steps.push_back({.kind = StepKind::set_propagation,
                         .flags = propagation,
                         .origin = "linux.rootfsPropagation"});
}

void plan_restrictions(const Spec& spec, bool dev_is_read_only, LaunchPlan& plan) {
    auto& steps = plan.setup;
    auto add = [&](StepKind kind, const std::vector<std::string>& paths, const char* name) {
        for (size_t index = 0; index < paths.size(); ++index)
            steps.push_back({.kind = kind,
                             .path = plan.keep(paths[index]),
                             .origin = plan.keep(fmt::format("{}[{}]", name, index))});
    };
    if (dev_is_read_only)
        steps.push_back({.kind = StepKind::read_only_mount, .place = Place::dev});
    add(StepKind::protect_path, spec.oci->readonly_paths, "linux.readonlyPaths");
    add(StepKind::mask_path, spec.oci->masked_paths, "linux.maskedPaths");
    if (spec.read_only_root)
        steps.push_back({.kind = StepKind::read_only_root, .origin = "root.readonly"});
}

// The last mount on it counts.
const Mount* mount_on(const Spec& spec, std::string_view target) {
    const Mount* found = nullptr;
    for (const Mount& mount : spec.mounts)
        if (auto clean = clean_destination(mount); clean && *clean == target)
            found = &mount;
    return found;
}

bool has_word(const Mount& mount, std::string_view word) {
    return std::ranges::find(mount.options, word) != mount.options.end();
}

bool writes_to_proc(const Oci& oci) {
    return !oci.sysctl.empty() || oci.process.oom_score_adj ||
           !oci.process.apparmor_profile.empty() || !oci.process.selinux_label.empty();
}

}  // namespace

Result<void> plan_oci_mounts(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan) {
    const Oci& oci = *spec.oci;
    if (!oci.find(NamespaceKind::mount))
        return failure(
            "linux.namespaces: without a mount namespace the container's mounts would "
            "be the host's");
    auto& steps = plan.setup;
    const uint64_t propagation = TRY(final_propagation(oci));
    plan_new_root(sources, propagation, plan);
    if (writes_to_proc(oci))
        steps.push_back({.kind = StepKind::open_proc});
    plan_oci_early_namespaces(oci, plan);
    for (size_t index = 0; index < spec.mounts.size(); ++index)
        TRY(plan_mount(spec.mounts[index], sources, sources.binds[index], oci, plan));
    const Mount* dev = mount_on(spec, "/dev");
    const bool makes_dev = !dev || !is_bind(*dev);
    if (makes_dev)
        TRY(plan_oci_devices(oci, sources.has_kcore, plan));
    if (!oci.masked_paths.empty())
        steps.push_back({.kind = StepKind::open_null_mask});
    // createContainer hooks see the host's root still.
    if (sources.meets_at_mounts)
        steps.push_back(
            {.kind = StepKind::meet_parent, .flags = static_cast<uint64_t>(Meeting::mounts)});
    plan_change_root(sources, propagation, plan);
    TRY(plan_oci_names(spec, plan));
    TRY(plan_oci_sysctl(oci, plan));
    const bool dev_waits = dev && makes_dev && is_by_descriptor(dev->type) && has_word(*dev, "ro");
    plan_restrictions(spec, dev_waits, plan);
    return {};
}

}  // namespace sigil::isolation
