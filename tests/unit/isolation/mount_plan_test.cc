// The filesystem half of the launch recipe: which steps, in which order.
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "isolation/plan_text.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;

constexpr int kRootTree = 7;

Spec default_spec() {
    Spec spec;
    spec.name = spec.hostname = "web";
    spec.rootfs = "/rootfs";
    spec.args = {"/bin/true"};
    return spec;
}

OpenedSources sources_for(const Spec& spec) {
    OpenedSources sources;
    sources.root_tree = kRootTree;
    for (size_t index = 0; index < spec.mounts.size(); ++index)
        sources.binds.push_back({.tree = static_cast<int>(100 + index)});
    return sources;
}

LaunchPlan planned(const Spec& spec) {
    LaunchPlan plan;
    auto done = plan_mounts(spec, spec.hostname, sources_for(spec), plan);
    EXPECT_TRUE(done) << message_of(done);
    return plan;
}

const Lines kDevices = {
    "new_mount dev <tmpfs>",
    "enter dev",
    "make_device null",
    "make_device zero",
    "make_device full",
    "make_device random",
    "make_device urandom",
    "make_device tty",
    "make_link fd </proc/self/fd>",
    "make_link stdin </proc/self/fd/0>",
    "make_link stdout </proc/self/fd/1>",
    "make_link stderr </proc/self/fd/2>",
    "make_link ptmx <pts/ptmx>",
    "make_link core </proc/kcore>",
    "make_directory pts",
    "mount_here pts <devpts>",
    "make_directory shm",
    "mount_here shm <shm>",
    "mount_here shm <shm>",
    "make_directory mqueue",
    "mount_here mqueue <mqueue>",
    "open_null null",
};

const Lines kProcMasks = {
    "enter proc",
    "mask_directory acpi",
    "mask_directory asound",
    "mask_file interrupts",
    "mask_file kcore",
    "mask_file keys",
    "mask_file latency_stats",
    "mask_file sched_debug",
    "mask_directory scsi",
    "mask_file timer_list",
    "mask_file timer_stats",
    "bind_here bus",
    "bind_here fs",
    "bind_here irq",
    "bind_here sys",
    "bind_here sysrq-trigger",
    "make_writable",
};

const Lines kSys = {
    "new_mount sys <sysfs>",
    "enter sys",
    "mask_directory devices/virtual/powercap",
    "mask_directory firmware",
    "mount_here fs/cgroup <cgroup2>",
};

Lines joined(std::initializer_list<Lines> parts) {
    Lines all;
    for (const Lines& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

const Lines kRoot = {"set_umask", "make_mounts_private", "attach_root", "pivot_root",
                     "detach_old_root"};

TEST(PlanMounts, IsTheWholeRecipeInOrder) {
    EXPECT_EQ(lines_of(planned(default_spec()).setup),
              joined({kRoot,
                      {"begin_network", "new_mount proc <proc>"},
                      kDevices,
                      kProcMasks,
                      {"set_hostname <web>", "unshare_cgroup", "join_network"},
                      kSys}));
}

TEST(PlanMounts, TakesNoHelperForTheNetworkWhereProcessorsAreBusy) {
    const Spec spec = default_spec();
    OpenedSources sources = sources_for(spec);
    sources.is_busy = true;
    LaunchPlan plan;
    ASSERT_TRUE(plan_mounts(spec, spec.hostname, sources, plan));
    Lines expected = lines_of(planned(spec).setup);
    std::erase(expected, "begin_network");
    EXPECT_EQ(lines_of(plan.setup), expected);
}

TEST(PlanMounts, MakesNoNetworkForTheHosts) {
    Spec spec = default_spec();
    spec.network = Network::host;
    EXPECT_EQ(lines_of(planned(spec).setup), joined({kRoot,
                                                     {"new_mount proc <proc>"},
                                                     kDevices,
                                                     kProcMasks,
                                                     {"set_hostname <web>", "unshare_cgroup"},
                                                     kSys}));
}

TEST(PlanMounts, MountsNoCgroupThatTheKernelHasNot) {
    const Spec spec = default_spec();
    OpenedSources sources = sources_for(spec);
    sources.has_cgroup2 = false;
    LaunchPlan plan;
    ASSERT_TRUE(plan_mounts(spec, spec.hostname, sources, plan));
    Lines expected = lines_of(planned(spec).setup);
    std::erase(expected, "mount_here fs/cgroup <cgroup2>");
    EXPECT_EQ(lines_of(plan.setup), expected);
}

TEST(PlanMounts, MakesTheRootReadOnlyLast) {
    Spec spec = default_spec();
    spec.read_only_root = true;
    spec.mounts.push_back({.type = "tmpfs", .target = "/tmp", .origin = "--tmpfs /tmp"});
    const Lines lines = lines_of(planned(spec).setup);
    EXPECT_EQ(lines.back(), "read_only_root");
    EXPECT_EQ(lines[lines.size() - 2], "mount_at /tmp <tmpfs>");
    EXPECT_FALSE(has_kind(planned(default_spec()).setup, StepKind::read_only_root));
}

// What each order is for, apart from the list above.
TEST(PlanMounts, KeepsTheOrderThatTheKernelDemands) {
    Spec spec = default_spec();
    spec.mounts.push_back({.type = "bind", .source = "/src", .target = "/src", .origin = "--bind"});
    const Lines lines = lines_of(planned(spec).setup);
    auto before = [&](const char* first, const char* second) {
        EXPECT_LT(index_of(lines, first), index_of(lines, second)) << first << ", " << second;
    };
    before("make_mounts_private", "attach_root");        // or the host would see our mounts
    before("detach_old_root", "new_mount proc <proc>");  // nothing of the host is in reach any more
    before("new_mount proc <proc>", "mask_file kcore");
    before("open_null null", "mask_file interrupts");    // files are masked by /dev/null
    before("bind_here sysrq-trigger", "make_writable");  // what is bound after it would be writable
    before("join_network", "new_mount sys <sysfs>");     // sysfs shows its mounter's network
    before("unshare_cgroup", "mount_here fs/cgroup <cgroup2>");
    before("mask_directory firmware", "attach_tree /src");
}

// ---- what the steps hold ------------------------------------------------------------------------

TEST(PlanMounts, AttachesTheTreeThatWasOpened) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(find_step(plan.setup, StepKind::attach_root)->fd, kRootTree);
}

TEST(PlanMounts, MakesTheDevicesOfTheOciSpec) {
    const LaunchPlan plan = planned(default_spec());
    std::vector<std::pair<std::string, uint64_t>> nodes;
    for (const Step& step : plan.setup) {
        if (step.kind != StepKind::make_device)
            continue;
        EXPECT_EQ(step.mode, uint32_t{S_IFCHR | 0666}) << step.path;
        nodes.emplace_back(step.path, step.device);
    }
    const std::vector<std::pair<std::string, uint64_t>> expected = {
        {"null", makedev(1, 3)},   {"zero", makedev(1, 5)},    {"full", makedev(1, 7)},
        {"random", makedev(1, 8)}, {"urandom", makedev(1, 9)}, {"tty", makedev(5, 0)},
    };
    EXPECT_EQ(nodes, expected);
}

const Step* find_step(const LaunchPlan& plan, StepKind kind, const std::string& path) {
    const auto found = std::ranges::find_if(plan.setup, [&](const Step& step) {
        return step.kind == kind && step.path && step.path == path;
    });
    return found == plan.setup.end() ? nullptr : &*found;
}

size_t place_of(const LaunchPlan& plan, StepKind kind) {
    return static_cast<size_t>(std::ranges::find(plan.setup, kind, &Step::kind) -
                               plan.setup.begin());
}

TEST(PlanMounts, MakesTheDevicesThatAreAskedFor) {
    Spec spec = default_spec();
    spec.devices = {{.source = "/dev/net/tun",
                     .node = {.path = "/dev/net/tun",
                              .type = 'c',
                              .major = 10,
                              .minor = 200,
                              .mode = 0640,
                              .uid = 0,
                              .gid = 5},
                     .origin = "--device /dev/net/tun"}};
    const LaunchPlan plan = planned(spec);
    EXPECT_TRUE(find_step(plan, StepKind::make_directory, "net"));
    const Step* node = find_step(plan, StepKind::make_device, "net/tun");
    ASSERT_TRUE(node);
    EXPECT_EQ(node->mode, uint32_t{S_IFCHR | 0640});
    EXPECT_EQ(node->device, makedev(10, 200));
    EXPECT_EQ(node->ids->gid, 5U);
    EXPECT_EQ(node->source, nullptr);  // what may not be made here is nowhere to be bound from
    EXPECT_STREQ(node->origin, "--device /dev/net/tun");
}

// Devices are bound from the old root, and procfs and sysfs need to see it.
TEST(PlanMounts, LeavesTheOldRootLastInAUserNamespace) {
    const Spec spec = default_spec();
    OpenedSources sources = sources_for(spec);
    sources.in_user_namespace = sources.joins_user_namespace = true;
    sources.maps_terminal_group = false;
    LaunchPlan plan;
    ASSERT_TRUE(plan_mounts(spec, spec.hostname, sources, plan));
    EXPECT_EQ(plan.setup.front().kind, StepKind::become_user);
    EXPECT_EQ(place_of(plan, StepKind::detach_old_root), plan.setup.size() - 1);
    EXPECT_EQ(place_of(plan, StepKind::pivot_root), plan.setup.size() - 2);
    EXPECT_STREQ(find_step(plan, StepKind::make_device, "null")->source, "/dev/null");
    EXPECT_STREQ(find_step(plan, StepKind::mount_here, "pts")->data,
                 "newinstance,ptmxmode=0666,mode=0620");
}

TEST(PlanMounts, MasksAndProtectsNothingOfAPrivilegedContainer) {
    Spec spec = default_spec();
    spec.privileged = true;
    const LaunchPlan plan = planned(spec);
    for (const StepKind kind : {StepKind::mask_file, StepKind::mask_directory, StepKind::bind_here,
                                StepKind::make_writable})
        EXPECT_EQ(place_of(plan, kind), plan.setup.size());
    EXPECT_EQ(find_step(plan, StepKind::new_mount, "proc")->flags & MOUNT_ATTR_RDONLY, 0U);
    EXPECT_EQ(find_step(plan, StepKind::new_mount, "sys")->flags & MOUNT_ATTR_RDONLY, 0U);
    EXPECT_EQ(find_step(plan, StepKind::mount_here, "fs/cgroup")->flags & MS_RDONLY, 0U);
}

TEST(PlanMounts, LocksTheKernelsFilesystems) {
    const LaunchPlan plan = planned(default_spec());
    constexpr uint64_t kLocked = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    for (const Step& step : plan.setup) {
        if (step.kind != StepKind::new_mount)
            continue;
        const std::string path = step.path;
        EXPECT_TRUE(step.flags & MOUNT_ATTR_NOSUID) << path;
        EXPECT_TRUE(step.flags & MOUNT_ATTR_NOEXEC) << path;
        if (path == "proc") {
            EXPECT_EQ(step.flags, kLocked | MOUNT_ATTR_RDONLY);  // until "make_writable"
        }
        if (path == "sys") {
            EXPECT_EQ(step.flags, kLocked | MOUNT_ATTR_RDONLY);
        }
    }
}

TEST(PlanMounts, MountsTheCgroupsReadOnly) {
    const LaunchPlan plan = planned(default_spec());
    for (const Step& step : plan.setup)
        if (line_of(step) == "mount_here fs/cgroup <cgroup2>") {
            EXPECT_EQ(step.flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC),
                      uint64_t{MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC});
        }
}

TEST(PlanMounts, GivesTheHostnameWithItsLength) {
    Spec spec = default_spec();
    spec.hostname = "other";
    const LaunchPlan plan = planned(spec);
    const Step* step = find_step(plan.setup, StepKind::set_hostname);
    EXPECT_STREQ(step->source, "other");
    EXPECT_EQ(step->flags, 5U);
}

TEST(PlanMounts, ClearsTheUmaskFirst) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(plan.setup.front().kind, StepKind::set_umask);
    EXPECT_EQ(plan.setup.front().mode, 0U);
}

TEST(PlanMounts, PlansOnlyTheSetup) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_TRUE(plan.target.empty());
    EXPECT_TRUE(plan.init.empty());
}

TEST(LaunchPlan, KeepsItsTextsWhereTheyAre) {
    LaunchPlan plan;
    const char* first = plan.keep("first");
    const char* const* words = plan.keep(std::vector<std::string>{"a", "b"});
    for (int count = 0; count < 1000; ++count)
        plan.keep(std::string(100, 'x'));
    EXPECT_STREQ(first, "first");
    EXPECT_STREQ(words[0], "a");
    EXPECT_STREQ(words[1], "b");
    EXPECT_EQ(words[2], nullptr);
    const LaunchPlan moved = std::move(plan);
    EXPECT_STREQ(first, "first");
    EXPECT_STREQ(words[1], "b");
}

// ---- roots that containers share ----------------------------------------------------------------

Mount bind_on(const std::string& target) {
    return {.type = "bind", .source = "/data", .target = target, .options = {"rbind"}};
}

Mount tmpfs_on(const std::string& target) {
    return {.type = "tmpfs", .source = "tmpfs", .target = target};
}

TEST(SharedRoot, IsEnteredInsteadOfPivotedInto) {
    const Spec spec = default_spec();
    OpenedSources sources = sources_for(spec);
    sources.root_tree = -1;
    LaunchPlan plan;
    ASSERT_TRUE(plan_mounts(spec, "web", sources, plan));
    const Lines lines = lines_of(plan.setup);
    EXPECT_EQ(lines[1], "open_root");
    for (const char* step : {"make_mounts_private", "attach_root", "pivot_root", "detach_old_root"})
        EXPECT_EQ(std::ranges::find(lines, step), lines.end()) << step;
}

TEST(SharedRoot, HasTheRootAndTheBindsOfAll) {
    Spec spec = default_spec();
    spec.mounts = {bind_on("/a"), bind_on("/b"), tmpfs_on("/tmp")};
    LaunchPlan plan;
    ASSERT_TRUE(plan_shared_root(spec, sources_for(spec), plan));
    EXPECT_EQ(lines_of(plan.setup),
              (Lines{"set_umask", "make_mounts_private", "attach_root", "pivot_root",
                     "detach_old_root", "attach_tree /a", "attach_tree /b"}));
    OpenedSources sources = sources_for(spec);
    sources.root_tree = -1;
    LaunchPlan own;
    ASSERT_TRUE(plan_mounts(spec, "web", sources, own));
    EXPECT_EQ(lines_of(own.setup).back(), "mount_at /tmp <tmpfs>");
    EXPECT_EQ(std::ranges::count(lines_of(own.setup), "attach_tree /a"), 0);
}

TEST(SharedRoot, HasTheSysOfTheHostsNetwork) {
    Spec spec = default_spec();
    spec.network = Network::host;
    LaunchPlan plan;
    ASSERT_TRUE(plan_shared_root(spec, sources_for(spec), plan));
    Lines expected = joined({kRoot, kSys});
    std::erase(expected, "mount_here fs/cgroup <cgroup2>");  // each container's own
    EXPECT_EQ(lines_of(plan.setup), expected);
    OpenedSources sources = sources_for(spec);
    sources.root_tree = -1;
    LaunchPlan own;
    ASSERT_TRUE(plan_mounts(spec, "web", sources, own));
    const Lines lines = lines_of(own.setup);
    EXPECT_LT(index_of(lines, "use_shared sys <firmware>"),
              index_of(lines, "new_mount sys <sysfs>"));
    // It may be gone from there: the plan can make it all the same.
    EXPECT_LT(index_of(lines, "mask_directory firmware"),
              index_of(lines, "mount_here fs/cgroup <cgroup2>"));
}

TEST(SharedRoot, HasNoSysForAnotherNetworkOrForWhoCanChangeIt) {
    Spec spec = default_spec();
    EXPECT_FALSE(shares_sysfs(spec));
    spec.network = Network::host;
    EXPECT_TRUE(shares_sysfs(spec));
    spec.capabilities = uint64_t{1} << CAP_SYS_ADMIN;
    EXPECT_FALSE(shares_sysfs(spec));
}

TEST(SharedRoot, IsNotForBindsThatComeAfterAMountOfTheContainersOwn) {
    Spec spec = default_spec();
    EXPECT_EQ(shareable_mounts(spec), 0U);
    spec.mounts = {bind_on("/a"), tmpfs_on("/tmp")};
    EXPECT_EQ(shareable_mounts(spec), 1U);
    spec.mounts = {tmpfs_on("/tmp"), bind_on("/tmp/a")};
    EXPECT_EQ(shareable_mounts(spec), std::nullopt);
    spec.mounts = {bind_on("/dev/log")};
    EXPECT_EQ(shareable_mounts(spec), std::nullopt);
    spec.mounts = {bind_on("/sys/x")};
    EXPECT_EQ(shareable_mounts(spec), std::nullopt);
    spec.mounts.clear();
    spec.privileged = true;  // its root is not nodev
    EXPECT_EQ(shareable_mounts(spec), std::nullopt);
    spec.privileged = false;
    spec.user_namespace = UserNamespace::automatic;  // its root is id-mapped
    EXPECT_EQ(shareable_mounts(spec), std::nullopt);
}

}  // namespace
}  // namespace sigil::isolation
