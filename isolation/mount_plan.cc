// The filesystem half of the recipe. Read plan_mounts from top to bottom: it is the order in which
// a container's root comes to be.
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/default_devices.h"
#include "isolation/launch_plan.h"
#include "isolation/mount_options.h"
#include "isolation/notify_socket.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kLocked = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr uint64_t kLockedAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
// 64 MB each for /dev and /dev/shm, which is a directory of it.
constexpr const char* kDevOptions[] = {"mode", "755", "size", "131072k", nullptr};
constexpr uint32_t kSharedMemoryMode = 01777;

constexpr const char* kMaskedInSys = "firmware";

struct Masked {
    Place place;
    const char* name;
    bool is_directory;
};

// What Docker, podman and containerd hide: the host's hardware, keys, timers and memory.
constexpr std::array kMasked = {
    Masked{Place::proc, "acpi", true},
    Masked{Place::proc, "asound", true},
    Masked{Place::proc, "interrupts", false},
    Masked{Place::proc, "kcore", false},
    Masked{Place::proc, "keys", false},
    Masked{Place::proc, "latency_stats", false},
    Masked{Place::proc, "sched_debug", false},
    Masked{Place::proc, "scsi", true},
    Masked{Place::proc, "timer_list", false},
    Masked{Place::proc, "timer_stats", false},
    Masked{Place::sys, "devices/virtual/powercap", true},
    Masked{Place::sys, kMaskedInSys, true},
};

constexpr std::array kReadOnlyInProc = {"bus", "fs", "irq", "sys", "sysrq-trigger"};

void plan_root(const OpenedSources& sources, LaunchPlan& plan) {
    plan.setup.push_back({.kind = StepKind::make_mounts_private});
    plan.setup.push_back({.kind = StepKind::attach_root, .fd = sources.root_tree});
}

void plan_pivot(LaunchPlan& plan) {
    plan.setup.push_back({.kind = StepKind::pivot_root});
    plan.setup.push_back({.kind = StepKind::detach_old_root});
}

// Names are relative to /dev, which is an empty tmpfs of ours: no link leads out of it.
void plan_device(const HostDevice& device, const OpenedSources& sources, LaunchPlan& plan) {
    const std::string path = device.node.path.substr(sizeof kDevPrefix - 1);
    for (size_t slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1))
        plan.setup.push_back({.kind = StepKind::make_directory,
                              .mode = 0755,
                              .path = plan.keep(path.substr(0, slash))});
    const Device& node = device.node;
    plan.setup.push_back({.kind = StepKind::make_device,
                          .mode = (node.type == 'b' ? S_IFBLK : S_IFCHR) | node.mode,
                          .path = plan.keep(path),
                          .source = sources.in_user_namespace ? plan.keep(device.source) : nullptr,
                          .device = makedev(node.major, node.minor),
                          .ids = node.uid || node.gid ? plan.keep(node.uid, node.gid, {}) : nullptr,
                          .origin = plan.keep(device.origin)});
}

void plan_dev(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan) {
    auto& steps = plan.setup;
    steps.push_back({.kind = StepKind::new_mount,
                     .place = Place::dev,
                     .path = "dev",
                     .source = "tmpfs",
                     .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_STRICTATIME,
                     .options = kDevOptions});
    steps.push_back({.kind = StepKind::enter, .place = Place::dev});
    for (const DefaultDevice& device : kDefaultDevices)
        steps.push_back({.kind = StepKind::make_device,
                         .mode = S_IFCHR | kDefaultDeviceMode,
                         .path = device.name(),
                         .source = sources.in_user_namespace ? device.path : nullptr,
                         .device = makedev(device.major, device.minor)});
    for (const HostDevice& device : spec.devices)
        plan_device(device, sources, plan);
    auto link = [&steps](const DefaultLink& wanted) {
        steps.push_back(
            {.kind = StepKind::make_link, .path = wanted.name, .source = wanted.target});
    };
    std::ranges::for_each(kDefaultLinks, link);
    link(kPtmxLink);
    link(kCoreLink);
    auto below = [&steps](const char* name, const char* type, uint64_t flags, const char* data) {
        steps.push_back({.kind = StepKind::make_directory, .mode = 0755, .path = name});
        steps.push_back({.kind = StepKind::mount_here,
                         .path = name,
                         .source = type,
                         .data = data,
                         .flags = flags});
    };
    below("pts", "devpts", MS_NOSUID | MS_NOEXEC,
          sources.maps_terminal_group ? "newinstance,ptmxmode=0666,mode=0620,gid=5"
                                      : "newinstance,ptmxmode=0666,mode=0620");
    // A tmpfs of its own would cost each start 30 us more. mount(2) binds first, and then locks.
    steps.push_back({.kind = StepKind::make_directory, .mode = kSharedMemoryMode, .path = "shm"});
    for (uint64_t flags : {uint64_t{MS_BIND}, MS_REMOUNT | MS_BIND | kLocked})
        steps.push_back(
            {.kind = StepKind::mount_here, .path = "shm", .source = "shm", .flags = flags});
    below("mqueue", "mqueue", kLocked, nullptr);
    steps.push_back({.kind = StepKind::open_null, .path = "null"});
}

void plan_masks(Place place, LaunchPlan& plan) {
    for (const Masked& masked : kMasked)
        if (masked.place == place)
            plan.setup.push_back(
                {.kind = masked.is_directory ? StepKind::mask_directory : StepKind::mask_file,
                 .path = masked.name});
}

void plan_proc(const Spec& spec, LaunchPlan& plan) {
    plan.setup.push_back(
        {.kind = StepKind::new_mount,
         .place = Place::proc,
         .path = "proc",
         .source = "proc",
         .flags = kLockedAttributes | (spec.privileged ? 0 : uint64_t{MOUNT_ATTR_RDONLY})});
}

// After /dev, whose null device hides files. /proc is read-only until here: a bind inherits that
// from the mount that it is made of, which saves a remount of each.
void plan_proc_masks(LaunchPlan& plan) {
    plan.setup.push_back({.kind = StepKind::enter, .place = Place::proc});
    plan_masks(Place::proc, plan);
    for (const char* name : kReadOnlyInProc)
        plan.setup.push_back({.kind = StepKind::bind_here, .path = name});
    plan.setup.push_back({.kind = StepKind::make_writable, .place = Place::proc});
}

// sysfs shows the network namespace of who mounts it; in a user namespace the kernel makes none of
// the host's network, which is then the host's /sys itself.
bool shows_the_hosts_sys(const Spec& spec, const OpenedSources& sources) {
    return sources.in_user_namespace && spec.network == Network::host;
}

void plan_sysfs(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan) {
    plan.setup.push_back(
        {.kind = StepKind::new_mount,
         .place = Place::sys,
         .path = "sys",
         .source = "sysfs",
         .device_name = shows_the_hosts_sys(spec, sources) ? "/sys" : nullptr,
         .flags = kLockedAttributes | (spec.privileged ? 0 : uint64_t{MOUNT_ATTR_RDONLY})});
    plan.setup.push_back({.kind = StepKind::enter, .place = Place::sys});
    if (!spec.privileged)
        plan_masks(Place::sys, plan);
}

// cgroup2 shows the cgroup namespace of who mounts it.
void plan_sys(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan) {
    plan_sysfs(spec, sources, plan);
    // mount(2) puts no filesystem onto itself (EBUSY), and the host's own cgroup2 may be there.
    if (sources.has_cgroup2 && shows_the_hosts_sys(spec, sources))
        plan.setup.push_back({.kind = StepKind::mount_here,
                              .path = "fs/cgroup",
                              .source = "tmpfs",
                              .flags = kLocked | MS_RDONLY});
    if (sources.has_cgroup2)
        plan.setup.push_back(
            {.kind = StepKind::mount_here,
             .path = "fs/cgroup",
             .source = "cgroup2",
             .flags = kLocked | MS_RELATIME | (spec.privileged ? 0 : uint64_t{MS_RDONLY})});
}

// Where the user may mount: /proc, /sys and /dev are made by the recipe.
Result<std::string> clean_target(const Mount& mount) {
    std::string clean = TRY(clean_destination(mount));
    if (clean == "/proc" || clean.starts_with("/proc/") || clean == "/sys" || clean == "/dev")
        return failure("{}: /proc, /sys and /dev are the container's own; mount below /sys or /dev",
                       mount.origin);
    return clean;
}

Result<void> plan_user_mount(const Mount& mount, const OpenedSources::Bind& bind,
                             LaunchPlan& plan) {
    const bool is_bind = mount.type == "bind";
    Step step = {.kind = is_bind ? StepKind::attach_tree : StepKind::mount_at};
    step.path = plan.keep(TRY(clean_target(mount)));
    step.origin = plan.keep(mount.origin);
    if (is_bind) {
        step.fd = bind.tree;
        step.mode = bind.is_directory ? S_IFDIR : S_IFREG;
    } else {
        MountFlags flags = TRY(parse_mount_options(mount.options, false), "{}", mount.origin);
        step.source = plan.keep(mount.type);
        if (!mount.source.empty())
            step.device_name = plan.keep(mount.source);
        step.data = flags.data.empty() ? nullptr : plan.keep(flags.data);
        step.flags = flags.mount_flags;
    }
    plan.setup.push_back(step);
    return {};
}

}  // namespace

Result<void> plan_mounts(const Spec& spec, const std::string& hostname,
                         const OpenedSources& sources, LaunchPlan& plan) {
    auto& steps = plan.setup;
    const bool has_own_root = sources.root_tree >= 0;
    // Until then the child is a user that its namespace has no number for, and may make no files.
    if (sources.joins_user_namespace)
        steps.push_back({.kind = StepKind::become_user,
                         .flags = kMayBeDenied,
                         .ids = plan.keep(0, 0, {}),
                         .origin = "--userns"});
    steps.push_back(
        {.kind = StepKind::set_umask, .mode = 0});  // modes below are meant as they stand
    if (has_own_root)
        plan_root(sources, plan);
    else
        steps.push_back({.kind = StepKind::open_root});
    // In a user namespace the kernel makes a procfs or sysfs only as long as there is a whole one
    // to be seen (mount_too_revealing(), fs/namespace.c), and devices are the host's: the old root
    // stays until the end.
    if (has_own_root && !sources.in_user_namespace)
        plan_pivot(plan);
    if (!has_own_root && shares_sysfs(spec))
        steps.push_back({.kind = StepKind::use_shared,
                         .place = Place::sys,
                         .path = "sys",
                         .source = kMaskedInSys});
    // A helper takes a thread's start and end more, so that it pays only where a processor is idle.
    // After the detach, which waits for an RCU grace period that the helper's work would draw out.
    if (spec.network == Network::none && sources.network < 0 && !sources.is_busy)
        steps.push_back({.kind = StepKind::begin_network});
    plan_proc(spec, plan);
    plan_dev(spec, sources, plan);
    if (!spec.privileged)
        plan_proc_masks(plan);
    steps.push_back(
        {.kind = StepKind::set_hostname, .source = plan.keep(hostname), .flags = hostname.size()});
    // CLONE_INTO_CGROUP moves the child after copy_namespaces() has made CLONE_NEWCGROUP's root
    // from the parent's cgroup; unshared here, the root is the container's own.
    steps.push_back({.kind = StepKind::unshare_cgroup});
    if (spec.network == Network::none)
        steps.push_back({.kind = StepKind::join_network, .fd = sources.network});
    plan_sys(spec, sources, plan);
    const size_t made = has_own_root ? 0 : shareable_mounts(spec).value_or(0);
    for (size_t index = made; index < spec.mounts.size(); ++index)
        TRY(plan_user_mount(spec.mounts[index], sources.binds[index], plan));
    if (sources.notify_mount >= 0)  // in /dev, which is the container's own: not in the rootfs
        steps.push_back({.kind = StepKind::attach_tree,
                         .fd = sources.notify_mount,
                         .mode = S_IFDIR,
                         .path = kNotifyMountInside,
                         .origin = "--notify"});
    if (spec.read_only_root)
        steps.push_back({.kind = StepKind::read_only_root});
    if (sources.in_user_namespace)
        plan_pivot(plan);
    return {};
}

std::optional<size_t> shareable_mounts(const Spec& spec) {
    if (spec.oci || spec.privileged || spec.user_namespace != UserNamespace::host)
        return std::nullopt;
    auto is_shareable = [](const Mount& mount) {
        auto target = clean_target(mount);
        return mount.type == "bind" && target && !target->starts_with("/dev/") &&
               !target->starts_with("/sys/");
    };
    const auto first_own = std::ranges::find_if_not(spec.mounts, is_shareable);
    auto is_bind = [](const Mount& mount) { return mount.type == "bind"; };
    if (std::any_of(first_own, spec.mounts.end(), is_bind))
        return std::nullopt;
    return static_cast<size_t>(first_own - spec.mounts.begin());
}

bool shares_sysfs(const Spec& spec) {
    const bool can_change_it = spec.capabilities >> CAP_SYS_ADMIN & 1;
    return spec.network == Network::host && !can_change_it;
}

Result<void> plan_shared_root(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan) {
    plan.setup.push_back({.kind = StepKind::set_umask, .mode = 0});
    plan_root(sources, plan);
    plan_pivot(plan);
    const size_t count = shareable_mounts(spec).value_or(0);
    for (size_t index = 0; index < count; ++index)
        TRY(plan_user_mount(spec.mounts[index], sources.binds[index], plan));
    if (shares_sysfs(spec))
        plan_sysfs(spec, sources, plan);
    return {};
}

}  // namespace sigil::isolation
