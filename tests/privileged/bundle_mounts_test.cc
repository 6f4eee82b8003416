// A bundle's mounts, made for real and looked at from inside.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "bundle.h"

namespace sigil::bundle {
namespace {

using e2e::Facts;
using e2e::make_directory_outside;
using e2e::make_rootfs;
using e2e::words_of;
using e2e::write_file;

std::vector<std::string> targets_of(const Facts& facts) {
    std::vector<std::string> targets;
    for (const std::string& line : facts.all("mount"))
        targets.push_back(words_of(line)[4]);
    return targets;
}

// The optional fields of a line of mountinfo (proc(5)): "shared:1", "master:2".
std::string propagation_on(const Facts& facts, const std::string& target) {
    std::string found;
    const auto words = words_of(facts.mount_on(target));
    for (size_t index = 6; index < words.size() && words[index] != "-"; ++index)
        found += (found.empty() ? "" : " ") + words[index].substr(0, words[index].find(':'));
    return found;
}

TEST_F(BundleTest, TheUsualMountsAreThereAndNoOthers) {
    const Facts facts = facts_of(Bundle());
    EXPECT_EQ(targets_of(facts), (std::vector<std::string>{"/", "/proc", "/dev", "/dev/pts",
                                                           "/dev/shm", "/dev/mqueue", "/sys"}));
    EXPECT_TRUE(facts.has_mount_option("/sys", "ro"));
    EXPECT_TRUE(facts.has_mount_option("/dev/shm", "nodev"));
    EXPECT_FALSE(facts.has_mount_option("/", "nodev"));
}

TEST_F(BundleTest, BindsAreDirectoriesOrFilesInTheirOrder) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "one\n");
    Bundle bundle(make_rootfs());
    bundle.mount("bind", outside, "/new/place", {"rbind", "ro"})
        .mount("none", outside + "/file", "/new/file", {"bind"})
        .mount("tmpfs", "", "/new/place/over", {"size=64k"});
    mkdir((outside + "/over").c_str(), 0755);
    EXPECT_EQ(output_of(bundle,
                        "cat /new/place/file /new/file; touch /new/place/x 2>/dev/null || "
                        "echo read-only; touch /new/place/over/x && echo writable"),
              "one\none\nread-only\nwritable\n");
}

TEST_F(BundleTest, AMissingSourceNamesItsMount) {
    Bundle bundle;
    bundle.mount("bind", "/nowhere/at/all", "/mnt", {"rbind"}).runs({"/bin/true"});
    EXPECT_EQ(run(bundle).error, "mounts[6]: open /nowhere/at/all: No such file or directory");
}

TEST_F(BundleTest, RecursiveOptionsReachTheMountsBelow) {
    const std::string outside = make_directory_outside();
    mkdir((outside + "/below").c_str(), 0755);
    ASSERT_EQ(::mount("tmpfs", (outside + "/below").c_str(), "tmpfs", 0, nullptr), 0);
    const auto with = [&](const char* option) {
        Bundle bundle(make_rootfs());
        return facts_of(bundle.mount("bind", outside, "/mnt", {"rbind", option}));
    };
    const Facts flat = with("ro");
    EXPECT_TRUE(flat.has_mount_option("/mnt", "ro"));
    EXPECT_FALSE(flat.has_mount_option("/mnt/below", "ro"));
    const Facts deep = with("rro");
    EXPECT_TRUE(deep.has_mount_option("/mnt/below", "ro"));
    ::umount2((outside + "/below").c_str(), MNT_DETACH);
}

TEST_F(BundleTest, LinksInTheRootLeadNowhereOutside) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/mark", "yes\n");
    const std::string root = make_rootfs();
    e2e::make_link("/../../../../../../" + outside + "/trap", root + "/link");
    e2e::make_link("/real", root + "/inside");
    mkdir((root + "/real").c_str(), 0755);
    Bundle bundle(root);
    bundle.mount("bind", outside, "/inside/deep", {"rbind"});
    EXPECT_EQ(output_of(bundle, "cat /real/deep/mark"), "yes\n");
    Bundle trapped(root);
    trapped.mount("tmpfs", "", "/link/x").runs({"/bin/true"});
    EXPECT_NE(run(trapped).error, "");
    EXPECT_NE(::access((outside + "/trap").c_str(), F_OK), 0);
}

TEST_F(BundleTest, NothingIsMountedOverProc) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "0.0 0.0\n");
    const auto error_of = [&](const char* type, const char* source, const char* target) {
        Bundle bundle(make_rootfs());
        std::vector<std::string> options;
        if (type == std::string("bind"))
            options = {"rbind"};
        bundle.mount(type, source == std::string("") ? outside : source, target, options);
        return run(bundle.runs({"/bin/true"})).error;
    };
    EXPECT_TRUE(holds(error_of("tmpfs", "tmpfs", "/proc"), "mounts[6].destination: "));
    EXPECT_TRUE(holds(error_of("bind", "", "/proc"), "mounts[6].destination: "));
    EXPECT_TRUE(holds(error_of("bind", "", "/proc/self"), "mounts[6].destination: "));
    EXPECT_TRUE(holds(error_of("bind", "", "/x/../proc//sys"), "mounts[6].destination: "));
    EXPECT_EQ(error_of("bind", "/proc", "/proc"), "");
    EXPECT_EQ(error_of("proc", "proc", "/proc"), "");
    EXPECT_EQ(error_of("bind", (outside + "/file").c_str(), "/proc/uptime"), "");
}

TEST_F(BundleTest, NoLinkInTheRootLeadsAMountOntoProc) {
    const std::string root = make_rootfs();
    e2e::make_link("/proc", root + "/alias");
    Bundle below(root);
    below.mount("tmpfs", "", "/alias/fs").runs({"/bin/true"});
    EXPECT_EQ(run(below).error, "mounts[6]: mount tmpfs on /alias/fs: Operation not permitted");
    // Before the procfs is there, it is the root's own directory.
    Bundle early(root);
    early.clear_mounts().mount("tmpfs", "", "/alias").mount("proc", "proc", "/proc");
    mkdir((root + "/proc").c_str(), 0755);
    EXPECT_EQ(run(early.runs({"/bin/true"})).error,
              "mounts[0]: mount tmpfs on /alias: Operation not permitted");
}

TEST_F(BundleTest, AProcThatIsALinkIsRefused) {
    const std::string root = make_rootfs();
    mkdir((root + "/elsewhere").c_str(), 0755);
    e2e::make_link("elsewhere", root + "/proc");
    Bundle bundle(root);
    EXPECT_TRUE(holds(run(bundle.runs({"/bin/true"})).error, "mounts[0]: mount proc on /proc: "));
}

TEST_F(BundleTest, ATmpfsTakesOverTheModeAndWithTmpcopyupTheContents) {
    const std::string root = make_rootfs();
    const std::string image = root + "/image";
    e2e::make_directory(image + "/deep/er");
    write_file(image + "/deep/er/file", "content\n");
    write_file(image + "/suid", "x");
    ASSERT_EQ(::chown((image + "/suid").c_str(), 1000, 100), 0);
    ASSERT_EQ(::chmod((image + "/suid").c_str(), 04711), 0);
    ASSERT_EQ(::chown(image.c_str(), 5, 6), 0);
    ASSERT_EQ(::chmod(image.c_str(), 01755), 0);
    e2e::make_link("/etc/passwd", image + "/link");
    ASSERT_EQ(::mkfifo((image + "/pipe").c_str(), 0600), 0);
    const std::string look =
        "cat /image/deep/er/file; cd /image; stat -c '%n %a %u:%g' . suid; readlink link; "
        "test -p pipe && echo pipe; grep -c ' /image ' /proc/self/mountinfo";
    Bundle copied(root);
    EXPECT_EQ(output_of(copied.mount("tmpfs", "", "/image", {"tmpcopyup"}), look),
              "content\n. 1755 5:6\nsuid 4711 1000:100\n/etc/passwd\npipe\n1\n");
    Bundle empty(root);
    EXPECT_EQ(output_of(empty.mount("tmpfs", "", "/image"), "stat -c %a /image; ls /image"),
              "1755\n");
    Bundle asked(root);
    EXPECT_EQ(output_of(asked.mount("tmpfs", "", "/image", {"mode=700"}), "stat -c %a /image"),
              "700\n");
    Bundle fixed(root);
    EXPECT_EQ(output_of(fixed.mount("tmpfs", "", "/image", {"tmpcopyup", "ro"}),
                        "cat /image/deep/er/file; touch /image/x 2>/dev/null || echo read-only"),
              "content\nread-only\n");
}

TEST_F(BundleTest, ACopyOfALargeDirectoryIsWhole) {
    const std::string root = make_rootfs();
    e2e::make_directory(root + "/image");
    for (int index = 0; index < 300; ++index) {
        const std::string name = root + "/image/entry-with-a-long-name-" + std::to_string(index);
        if (index % 3 == 0)
            e2e::make_directory(name);
        write_file(index % 3 == 0 ? name + "/in" : name, std::to_string(index));
    }
    Bundle bundle(root);
    EXPECT_EQ(output_of(bundle.mount("tmpfs", "", "/image", {"tmpcopyup"}),
                        "find /image -type f | wc -l; find /image -type f | sort | xargs cat | "
                        "tr -d '\\n' | wc -c"),
              "300\n790\n");
}

TEST_F(BundleTest, AnOverlayOfTheHostsLayersAndAnyOtherFilesystem) {
    const std::string layers = make_directory_outside();
    std::string lower;
    for (int index = 0; index < 12; ++index) {  // longer together than fsconfig(2) takes
        const std::string layer = layers + "/a-layer-with-a-long-name-" + std::to_string(index);
        e2e::make_directory(layer);
        write_file(layer + "/" + std::to_string(index), "x");
        lower += (lower.empty() ? "" : ":") + layer;
    }
    e2e::make_directory(layers + "/upper");
    e2e::make_directory(layers + "/work");
    Bundle bundle(make_rootfs());
    bundle.mount(
        "overlay", "overlay", "/mnt",
        {"lowerdir=" + lower, "upperdir=" + layers + "/upper", "workdir=" + layers + "/work"});
    EXPECT_EQ(output_of(bundle, "ls /mnt | wc -l; touch /mnt/new"), "12\n");
    EXPECT_EQ(::access((layers + "/upper/new").c_str(), F_OK), 0);
    Bundle wrong(make_rootfs());
    wrong.mount("nosuchfs", "", "/mnt").runs({"/bin/true"});
    EXPECT_EQ(run(wrong).error, "mounts[6]: mount nosuchfs on /mnt: No such device");
    Bundle option(make_rootfs());
    option.mount("tmpfs", "", "/mnt", {"nosuchoption=1"}).runs({"/bin/true"});
    EXPECT_EQ(run(option).error, "mounts[6]: mount tmpfs on /mnt: Invalid argument");
}

TEST_F(BundleTest, PropagationIsASlaveOfTheHostsUnlessSaidOtherwise) {
    const std::string outside = make_directory_outside();
    const auto with = [&](const std::string& of_root, std::vector<std::string> options) {
        Bundle bundle(make_rootfs());
        bundle.oci.rootfs_propagation = of_root;
        options.emplace_back("rbind");
        return facts_of(
            bundle.mount("bind", outside, "/mnt", options).mount("tmpfs", "", "/t", {"shared"}));
    };
    Facts facts = with("", {});
    EXPECT_EQ(propagation_on(facts, "/mnt"), "master");
    EXPECT_EQ(propagation_on(facts, "/"), "master");
    EXPECT_EQ(propagation_on(facts, "/t"), "shared");
    EXPECT_EQ(propagation_on(with("", {"rprivate"}), "/mnt"), "");
    EXPECT_EQ(propagation_on(with("", {"rshared"}), "/mnt"), "shared master");
    facts = with("rprivate", {});
    EXPECT_EQ(propagation_on(facts, "/mnt"), "");
    EXPECT_EQ(propagation_on(facts, "/"), "");
    facts = with("shared", {"rshared"});
    EXPECT_EQ(propagation_on(facts, "/mnt"), "shared");
    EXPECT_EQ(propagation_on(facts, "/"), "shared master");
}

TEST_F(BundleTest, BothWaysAreBothWaysAndLeaveNothingElseAtTheHost) {
    const std::string outside = make_directory_outside();
    mkdir((outside + "/by-the-container").c_str(), 0755);
    Bundle bundle(make_rootfs());
    bundle.oci.rootfs_propagation = "rshared";
    constexpr uint64_t kSysAdmin = uint64_t{1} << 21;
    for (uint64_t* set :
         {&bundle.oci.process.capabilities.bounding, &bundle.oci.process.capabilities.effective,
          &bundle.oci.process.capabilities.permitted})
        *set |= kSysAdmin;
    bundle.mount("bind", outside, "/mnt", {"rbind", "rshared"});
    EXPECT_EQ(output_of(bundle, "mount -t tmpfs seen /mnt/by-the-container"), "");
    // Of the container's mounts this one alone is here, and stays: it is the host's as well.
    EXPECT_EQ(::umount2((outside + "/by-the-container").c_str(), 0), 0);
}

TEST_F(BundleTest, TheRootIsReadOnlyInTheEnd) {
    Bundle bundle(make_rootfs());
    bundle.spec.read_only_root = true;
    bundle.mount("tmpfs", "", "/made/for/it");
    EXPECT_EQ(output_of(bundle, "touch /x 2>/dev/null || echo read-only; touch /made/for/it/x"),
              "read-only\n");
}

TEST_F(BundleTest, AReadOnlyDevHasItsNodesAllTheSame) {
    Bundle bundle(make_rootfs());
    bundle.clear_mounts().mount("proc", "proc", "/proc").mount("tmpfs", "", "/dev", {"ro"});
    EXPECT_EQ(output_of(bundle, "echo x >/dev/null; touch /dev/x 2>/dev/null || echo read-only"),
              "read-only\n");
}

TEST_F(BundleTest, PathsAreMaskedWhateverTheyAre) {
    const std::string root = make_rootfs();
    e2e::make_directory(root + "/secret/dir");
    write_file(root + "/secret/dir/file", "hidden\n");
    write_file(root + "/secret/file", "hidden\n");
    e2e::make_link("/secret/file", root + "/alias");
    Bundle bundle(root);
    bundle.oci.masked_paths = {"/proc/kcore", "/proc/acpi",   "/sys/firmware", "/secret/dir",
                               "/alias",      "/no/such/one", "/proc/keys",    "/secret/file/x"};
    EXPECT_EQ(output_of(bundle,
                        "cat /secret/file /proc/keys; ls /secret/dir /sys/firmware; "
                        "stat -c %F /secret/file /proc/keys"),
              "/secret/dir:\n\n/sys/firmware:\ncharacter special file\ncharacter special file\n");
}

TEST_F(BundleTest, PathsAreReadOnlyOnRequest) {
    const std::string root = make_rootfs();
    e2e::make_directory(root + "/dir");
    Bundle bundle(root);
    bundle.oci.readonly_paths = {"/dir", "/proc/sys", "/nowhere"};
    const Facts facts = facts_of(bundle);
    EXPECT_TRUE(facts.has_mount_option("/dir", "ro"));
    EXPECT_TRUE(facts.has_mount_option("/proc/sys", "ro"));
    EXPECT_EQ(output_of(bundle, "touch /dir/x 2>/dev/null || echo read-only"), "read-only\n");
}

TEST_F(BundleTest, DevicesAreMadeAsAsked) {
    Bundle bundle(make_rootfs());
    bundle.oci.devices = {
        {.path = "/dev/net/tun",
         .type = 'c',
         .major = 10,
         .minor = 200,
         .mode = 0640,
         .uid = 3,
         .gid = 4},
        {.path = "/dev/null", .type = 'c', .major = 1, .minor = 3, .mode = 0600},
        {.path = "/pipes/one", .type = 'p', .mode = 0622},
        {.path = "/dev/ptmx", .type = 'c', .major = 5, .minor = 2},
    };
    EXPECT_EQ(output_of(bundle,
                        "cd /dev; stat -c '%n %F %t:%T %a %u:%g' net/tun null zero /pipes/one; "
                        "for link in fd stdin stdout stderr ptmx; do readlink $link; done"),
              "net/tun character special file a:c8 640 3:4\n"
              "null character special file 1:3 600 0:0\n"
              "zero character special file 1:5 666 0:0\n"
              "/pipes/one fifo 0:0 622 0:0\n"
              "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
}

TEST_F(BundleTest, ADeviceThatIsAnotherIsAnError) {
    const std::string root = make_rootfs();
    write_file(root + "/there", "");
    Bundle bundle(root);
    bundle.oci.devices = {{.path = "/there", .type = 'c', .major = 1, .minor = 3}};
    EXPECT_EQ(run(bundle.runs({"/bin/true"})).error,
              "linux.devices[0]: make device /there: File exists");
}

TEST_F(BundleTest, ABindOfDevIsLeftAlone) {
    const std::string outside = make_directory_outside();
    Bundle bundle(make_rootfs());
    bundle.clear_mounts().mount("bind", outside, "/dev", {"bind"});
    EXPECT_EQ(output_of(bundle, "ls /dev"), "");
}

TEST_F(BundleTest, WithoutAMountOnDevTheNodesAreTheRoots) {
    Bundle bundle(make_rootfs());
    bundle.clear_mounts();
    EXPECT_EQ(
        output_of(bundle, "echo x > /dev/null; cat /dev/null; test -c /dev/zero && echo there"),
        "there\n");
}

TEST_F(BundleTest, ACgroupFilesystemShowsTheContainersOwnAsTheRoot) {
    Bundle bundle(make_rootfs());
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", {"ro", "nosuid", "noexec", "nodev"});
    const Ran ran =
        run(bundle.script("cat /sys/fs/cgroup/cgroup.procs; "
                          "touch /sys/fs/cgroup/x 2>/dev/null || echo read-only"));
    if (ran.error == "mounts[6]: this machine has no cgroup v2")
        GTEST_SKIP() << ran.error;
    EXPECT_EQ(ran.error, "");
    EXPECT_TRUE(holds(ran.out, "1\n"));
    EXPECT_TRUE(holds(ran.out, "read-only\n"));
    // Without a namespace: a bind of its directory, where there is one.
    Bundle bound(make_rootfs());
    bound.without(NamespaceKind::cgroup).mount("cgroup", "cgroup", "/sys/fs/cgroup", {"ro"});
    const Ran second = run(bound.script("cat /sys/fs/cgroup/cgroup.procs"));
    if (second.error.empty())
        EXPECT_TRUE(holds(second.out, "1\n"));
    else
        EXPECT_EQ(second.error,
                  "mounts[6]: the container has neither a cgroup namespace nor a "
                  "cgroup of its own");
}

TEST_F(BundleTest, IdsAreMappedOnTheMount) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "x");
    ASSERT_EQ(::chown((outside + "/file").c_str(), 1000, 1000), 0);
    Bundle bundle(make_rootfs());
    bundle.mount("bind", outside, "/mnt", {"bind", "idmap"});
    EXPECT_EQ(run(bundle.runs({"/bin/true"})).error,
              "mounts[6]: 'idmap' needs uidMappings and gidMappings, the mount's or the "
              "container's");
    bundle.spec.mounts.back().uid_mappings = {{.container_id = 1000, .host_id = 5, .size = 1}};
    bundle.spec.mounts.back().gid_mappings = {{.container_id = 1000, .host_id = 6, .size = 1}};
    EXPECT_EQ(output_of(bundle, "stat -c %u:%g /mnt/file"), "5:6\n");
}

TEST_F(BundleTest, WithoutAMountNamespaceNothingIsMounted) {
    Bundle bundle;
    bundle.without(NamespaceKind::mount).runs({"/bin/true"});
    EXPECT_TRUE(holds(run(bundle).error, "linux.namespaces: "));
}

}  // namespace
}  // namespace sigil::bundle
