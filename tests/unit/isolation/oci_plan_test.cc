// A bundle's recipe: which steps, in which order, and what config.json may not ask for.
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "isolation/mount_options.h"
#include "isolation/plan_text.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;

struct Bundle {
    Spec spec;
    Oci oci;
    OpenedSources sources = {.root_tree = 7};

    Bundle() {
        spec.args = {"/bin/true"};
        for (NamespaceKind kind : {NamespaceKind::mount, NamespaceKind::pid, NamespaceKind::uts,
                                   NamespaceKind::ipc, NamespaceKind::network})
            oci.namespaces.push_back({.kind = kind, .path = ""});
    }
    Bundle& mount(std::string type, std::string target, std::vector<std::string> options = {}) {
        OpenedSources::Bind bind;
        if (type == "bind")
            bind.tree = static_cast<int>(100 + spec.mounts.size());
        sources.binds.push_back(bind);
        spec.mounts.push_back({.type = std::move(type),
                               .source = "src",
                               .target = std::move(target),
                               .options = std::move(options),
                               .origin = fmt::format("mounts[{}]", spec.mounts.size())});
        return *this;
    }
};

Result<LaunchPlan> mounts_of(const Bundle& bundle) {
    Spec spec = bundle.spec;
    spec.oci = std::make_shared<Oci>(bundle.oci);
    LaunchPlan plan;
    auto done = plan_oci_mounts(spec, bundle.sources, plan);
    if (!done)
        return tl::unexpected(std::move(done).error());
    return plan;
}

Result<LaunchPlan> process_of(const Bundle& bundle, const ProcessSources& sources = {}) {
    Spec spec = bundle.spec;
    spec.oci = std::make_shared<Oci>(bundle.oci);
    LaunchPlan plan;
    auto done = plan_oci_process(spec, sources, plan);
    if (!done)
        return tl::unexpected(std::move(done).error());
    return plan;
}

Lines setup_of(const Bundle& bundle) {
    auto plan = mounts_of(bundle);
    EXPECT_TRUE(plan) << message_of(plan);
    return plan ? lines_of(plan->setup) : Lines();
}

// The step of the mount on that place, in a plan that must succeed.
Step step_on(const LaunchPlan& plan, std::string_view target) {
    for (const Step& step : plan.setup)
        if (step.path && step.path == target)
            return step;
    ADD_FAILURE() << "nothing on " << target;
    return {.kind = StepKind::open_root};
}

std::vector<std::string> options_of(const Step& step) {
    std::vector<std::string> found;
    for (const char* const* option = step.options; option && *option; option += 2)
        found.push_back(std::string(option[0]) + "=" + option[1]);
    return found;
}

TEST(OciMounts, AreTheWholeRecipeInOrder) {
    Bundle bundle;
    bundle.mount("proc", "/proc").mount("tmpfs", "/dev").mount("bind", "/data");
    bundle.spec.hostname = "web";
    bundle.spec.read_only_root = true;
    bundle.oci.sysctl = {{"net.ipv4.ip_forward", "1"}};
    bundle.oci.readonly_paths = {"/proc/sys"};
    bundle.oci.masked_paths = {"/proc/keys"};
    bundle.oci.rootfs_propagation = "rslave";
    EXPECT_EQ(setup_of(bundle), (Lines{"set_umask",
                                       "set_propagation",
                                       "attach_root",
                                       "open_proc",
                                       "raise_loopback",
                                       "new_filesystem /proc <proc>",
                                       "new_filesystem /dev <tmpfs>",
                                       "bind_tree /data",
                                       "enter_directory /dev",
                                       "make_device null </dev/null>",
                                       "make_device zero </dev/zero>",
                                       "make_device full </dev/full>",
                                       "make_device random </dev/random>",
                                       "make_device urandom </dev/urandom>",
                                       "make_device tty </dev/tty>",
                                       "ensure_link fd </proc/self/fd>",
                                       "ensure_link stdin </proc/self/fd/0>",
                                       "ensure_link stdout </proc/self/fd/1>",
                                       "ensure_link stderr </proc/self/fd/2>",
                                       "ensure_link core </proc/kcore>",
                                       "ensure_link ptmx <pts/ptmx>",
                                       "open_null_mask",
                                       "pivot_root",
                                       "detach_old_root",
                                       "set_propagation",
                                       "set_hostname <web>",
                                       "write_proc sys/net/ipv4/ip_forward <1>",
                                       "protect_path /proc/sys",
                                       "mask_path /proc/keys",
                                       "read_only_root"}));
}

TEST(OciMounts, MoveTheRootWherePivotRootIsNotWanted) {
    Bundle bundle;
    bundle.sources.no_pivot = true;
    const Lines lines = setup_of(bundle);
    EXPECT_EQ(index_of(lines, "hide_host /proc") + 1, index_of(lines, "change_root"));
    EXPECT_EQ(std::ranges::count(lines, "pivot_root"), 0);
}

TEST(OciMounts, BecomeTheNamespacesRootFirst) {
    Bundle bundle;
    bundle.oci.namespaces.push_back({.kind = NamespaceKind::user, .path = ""});
    bundle.mount("sysfs", "/sys");
    auto plan = mounts_of(bundle);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->setup[3].kind, StepKind::become_user);
    EXPECT_STREQ(step_on(*plan, "/sys").device_name, "/sys");
}

TEST(OciMounts, CarryOptionsAsTheKernelTakesThem) {
    Bundle bundle;
    bundle.oci.mount_label = "system_u:object_r:container_file_t:s0:c1,c2";
    bundle.mount("tmpfs", "/t", {"nosuid", "ro", "mode=700", "sync", "tmpcopyup", "rshared"})
        .mount("proc", "/proc")
        .mount("overlay", "/o", {"lowerdir=/a", "nodev"});
    auto plan = mounts_of(bundle);
    ASSERT_TRUE(plan) << message_of(plan);
    const Step tmpfs = step_on(*plan, "/t");
    EXPECT_EQ(options_of(tmpfs),
              (std::vector<std::string>{"source=src", "sync=", "mode=700",
                                        "context=system_u:object_r:container_file_t:s0:c1,c2"}));
    EXPECT_EQ(tmpfs.flags, uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY});
    EXPECT_EQ(tmpfs.mode, uint32_t{MS_SHARED});
    EXPECT_EQ(tmpfs.device, kCopyUp | kKeepMode);
    EXPECT_EQ(options_of(step_on(*plan, "/proc")), std::vector<std::string>{"source=src"});
    EXPECT_EQ(step_on(*plan, "/proc").device, kMayCoverProc | kPlainDirectory);
    const Step overlay = step_on(*plan, "/o");
    EXPECT_EQ(overlay.kind, StepKind::mount_in_root);
    EXPECT_STREQ(overlay.data,
                 "lowerdir=/a,context=\"system_u:object_r:container_file_t:s0:c1,c2\"");
    EXPECT_EQ(overlay.flags, uint64_t{MS_NODEV});
    EXPECT_STREQ(overlay.origin, "mounts[2]");
}

TEST(OciMounts, OnProcAreRefusedByTheRulesOfRunc) {
    const auto error_of = [](const char* type, const char* target) {
        Bundle bundle;
        return message_of(mounts_of(bundle.mount(type, target)));
    };
    EXPECT_EQ(error_of("tmpfs", "/proc"),
              "mounts[0].destination: only a procfs can be mounted on /proc");
    EXPECT_EQ(error_of("bind", "/proc/sys/"),
              "mounts[0].destination: '/proc/sys' is inside /proc, which is the kernel's");
    EXPECT_EQ(error_of("bind", "/a/../proc/1/attr"),
              "mounts[0].destination: '/proc/1/attr' is inside /proc, which is the kernel's");
    EXPECT_EQ(error_of("bind", "/proc/uptime"), "(no error)");
    EXPECT_EQ(error_of("tmpfs", "/process"), "(no error)");
}

TEST(OciMounts, SayWhichOptionIsWrong) {
    const auto error_of = [](const char* type, std::vector<std::string> options) {
        Bundle bundle;
        return message_of(mounts_of(bundle.mount(type, "/x", std::move(options))));
    };
    EXPECT_EQ(error_of("bind", {"tmpcopyup"}), "mounts[0].options: 'tmpcopyup' is for a tmpfs");
    EXPECT_EQ(error_of("tmpfs", {"idmap"}), "mounts[0].options: only a bind's IDs can be mapped");
    EXPECT_EQ(error_of("", {}), "mounts[0].type: missing, and the options name no bind");
    EXPECT_EQ(error_of("cgroup", {}),
              "mounts[0]: the container has neither a cgroup namespace nor a cgroup of its own");
    Bundle bundle;
    bundle.oci.rootfs_propagation = "sideways";
    EXPECT_EQ(message_of(mounts_of(bundle)), "linux.rootfsPropagation: 'sideways' is none");
}

TEST(OciMounts, HaveDevicesOnceAndWhereTheyAreAsked) {
    Bundle bundle;
    bundle.oci.devices = {
        {.path = "/dev/null", .type = 'c', .major = 1, .minor = 3, .mode = 0600, .uid = 5},
        {.path = "/dev/net/tun", .type = 'c', .major = 10, .minor = 200},
        {.path = "/dev/ptmx", .type = 'c', .major = 5, .minor = 2},
    };
    auto plan = mounts_of(bundle);
    ASSERT_TRUE(plan);
    const Lines lines = lines_of(plan->setup);
    EXPECT_EQ(std::ranges::count(lines, "make_device null </dev/null>"), 1);
    EXPECT_EQ(index_of(lines, "enter_directory /dev/net") + 1,
              index_of(lines, "make_device tun </dev/net/tun>"));
    EXPECT_EQ(std::ranges::count(lines, "make_device ptmx </dev/ptmx>"), 0);
    const Step null = step_on(*plan, "null");
    EXPECT_EQ(null.mode, uint32_t{S_IFCHR | 0600});
    EXPECT_EQ(null.device, makedev(1, 3));
    EXPECT_EQ(null.ids->uid, 5U);
    bundle.oci.devices = {{.path = "/dev/x", .type = 'q'}};
    EXPECT_EQ(message_of(mounts_of(bundle)), "linux.devices[0].type: 'q' is no kind of device");
}

TEST(OciSysctl, IsOnlyWhatANamespaceKeeps) {
    const auto error_of = [](const char* name, std::optional<NamespaceKind> without = {}) {
        Bundle bundle;
        if (without)
            std::erase_if(bundle.oci.namespaces,
                          [&](const Namespace& space) { return space.kind == *without; });
        bundle.oci.sysctl = {{name, "1"}};
        return message_of(mounts_of(bundle));
    };
    for (const char* name : {"net.core.somaxconn", "net/ipv4/conf/eth0.1/forwarding",
                             "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"})
        EXPECT_EQ(error_of(name), "(no error)") << name;
    EXPECT_EQ(error_of("kernel.shmmax", NamespaceKind::ipc),
              "linux.sysctl.kernel.shmmax needs an ipc namespace");
    EXPECT_EQ(error_of("net.core.somaxconn", NamespaceKind::network),
              "linux.sysctl.net.core.somaxconn needs a network namespace");
    EXPECT_EQ(error_of("kernel.hostname"), "linux.sysctl.kernel.hostname is what hostname sets");
    EXPECT_EQ(error_of("vm.swappiness"),
              "linux.sysctl.vm.swappiness is in no namespace: it would be the host's");
    for (const char* name : {"", "net..core", "net/../kernel/pid_max", "net/"})
        EXPECT_EQ(error_of(name),
                  fmt::format("linux.sysctl: '{}' is not a parameter's name", name));
}

TEST(OciProcess, IsTheWholeRecipeInOrder) {
    Bundle bundle;
    bundle.spec.rlimits = {{1, 2, 3, "RLIMIT_FSIZE"}};
    bundle.oci.process.oom_score_adj = -5;
    bundle.oci.process.apparmor_profile = "p";
    bundle.oci.process.selinux_label = "l";
    bundle.oci.process.scheduler = Scheduler{};
    bundle.oci.process.io_priority = 1;
    bundle.oci.memory_policy = MemoryPolicy{};
    bundle.oci.personality = 8;
    auto plan = process_of(bundle, {.supervisor = 9, .has_apparmor = true, .has_selinux = true});
    ASSERT_TRUE(plan) << message_of(plan);
    EXPECT_EQ(lines_of(plan->target), (Lines{"enter root",
                                             "new_session",
                                             "new_keyring",
                                             "set_rlimit",
                                             "write_proc self/oom_score_adj <-5>",
                                             "write_proc self/attr/apparmor/exec <exec p>",
                                             "no_new_privileges",
                                             "set_scheduler",
                                             "set_io_priority",
                                             "set_memory_policy",
                                             "write_proc self/attr/exec <l>",
                                             "set_umask",
                                             "drop_bounding",
                                             "enter_cwd /",
                                             "keep_capabilities",
                                             "become_user",
                                             "enter_cwd /",
                                             "check_cwd",
                                             "keep_capabilities",
                                             "set_capability_sets",
                                             "set_personality",
                                             "die_with_parent",
                                             "unblock_signals",
                                             "close_descriptors",
                                             "exec_command </bin/true>"}));
    EXPECT_TRUE(plan->init.empty()) << "the command is PID 1 itself";
}

// Root has them already, and a terminal is given to the user when it is opened.
TEST(OciProcess, GivesItsStreamsToAUserWithoutATerminal) {
    auto given = [](const Bundle& bundle, const ProcessSources& sources = {}) {
        std::vector<std::pair<int, uint32_t>> streams;
        const auto plan = process_of(bundle, sources);
        for (const Step& step : plan->target)
            if (step.kind == StepKind::own_stream)
                streams.emplace_back(step.fd, step.mode);
        return streams;
    };
    Bundle bundle;
    EXPECT_TRUE(given(bundle).empty());
    bundle.oci.process.uid = 1000;
    using Given = std::vector<std::pair<int, uint32_t>>;
    EXPECT_EQ(given(bundle), (Given{{0, 1000}, {1, 1000}, {2, 1000}}));
    EXPECT_EQ(given(bundle, {.streams = {-1, 8, -1}}), (Given{{0, 1000}, {8, 1000}, {2, 1000}}));
    bundle.oci.process.terminal = true;
    EXPECT_TRUE(given(bundle).empty());
}

TEST(OciProcess, PreservesDescriptorsAndTheKeyringOnRequest) {
    auto plan = process_of(Bundle(), {.preserved_fds = 2, .no_new_keyring = true});
    ASSERT_TRUE(plan);
    std::vector<int> kept;
    for (const Step& step : plan->target)
        if (step.kind == StepKind::keep_descriptor)
            kept.push_back(step.fd);
    EXPECT_EQ(kept, (std::vector<int>{3, 4}));
    EXPECT_FALSE(has_kind(plan->target, StepKind::new_keyring));
    EXPECT_FALSE(has_kind(plan->target, StepKind::die_with_parent));
}

TEST(OciProcess, NamesWhatTheMachineDoesNotHave) {
    Bundle bundle;
    bundle.oci.process.apparmor_profile = "p";
    EXPECT_EQ(message_of(process_of(bundle)),
              "process.apparmorProfile: 'p': this kernel runs without AppArmor");
    bundle.oci.process = {};
    bundle.oci.process.selinux_label = "l";
    EXPECT_EQ(message_of(process_of(bundle)),
              "process.selinuxLabel: 'l': this kernel runs without SELinux");
}

TEST(MountExtensions, AreTakenOutOfTheOptions) {
    Mount mount = {.type = "bind", .options = {"ro", "ridmap", "tmpcopyup", "nosuid"}};
    const MountExtensions extensions = take_extensions(mount);
    EXPECT_TRUE(extensions.copy_up && extensions.id_mapped && extensions.id_mapped_below);
    EXPECT_EQ(mount.options, (std::vector<std::string>{"ro", "nosuid"}));
    mount.uid_mappings = {{0, 1, 1}};
    EXPECT_TRUE(take_extensions(mount).id_mapped);
    EXPECT_TRUE(is_bind({.type = "none", .options = {"rbind"}}));
    EXPECT_FALSE(is_bind({.type = "tmpfs", .options = {"ro"}}));
}

}  // namespace
}  // namespace sigil::isolation
