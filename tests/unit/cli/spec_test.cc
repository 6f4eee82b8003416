// `sigil spec`: the config.json that it writes is one that sigil reads.
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cli/command.h"
#include "core/spec_reader.h"
#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::message_of;
using testing::TempDir;
using Strings = std::vector<std::string>;

Result<int> run_spec(std::vector<const char*> words) {
    return spec(words);
}

Spec written(const TempDir& bundle, std::vector<const char*> options = {}) {
    options.insert(options.end(), {"--bundle", bundle.path().c_str()});
    const auto code = run_spec(options);
    EXPECT_TRUE(code && *code == 0) << message_of(code);
    auto read = read_bundle(bundle.path());
    EXPECT_TRUE(read) << message_of(read);
    if (!read)
        return {.oci = std::make_shared<Oci>()};
    EXPECT_EQ(read->oci->warnings, Strings{});
    return std::move(*read);
}

std::vector<NamespaceKind> kinds_of(const Oci& oci) {
    std::vector<NamespaceKind> kinds;
    for (const Namespace& space : oci.namespaces)
        kinds.push_back(space.kind);
    return kinds;
}

TEST(SpecCommand, WritesAConfigLikeRuncs) {
    const TempDir bundle;
    const Spec spec = written(bundle);
    const Oci& oci = *spec.oci;
    EXPECT_EQ(oci.version, "1.3.0");
    EXPECT_EQ(spec.args, Strings{"sh"});
    EXPECT_EQ(spec.cwd, "/");
    EXPECT_TRUE(oci.process.terminal);
    EXPECT_TRUE(spec.no_new_privileges);
    const uint64_t few = (uint64_t{1} << CAP_AUDIT_WRITE) | (uint64_t{1} << CAP_KILL) |
                         (uint64_t{1} << CAP_NET_BIND_SERVICE);
    EXPECT_EQ(oci.process.capabilities.bounding, few);
    EXPECT_EQ(oci.process.capabilities.effective, few);
    EXPECT_EQ(oci.process.capabilities.permitted, few);
    EXPECT_EQ(oci.process.capabilities.ambient, 0U);
    ASSERT_EQ(spec.rlimits.size(), 1U);
    EXPECT_EQ(spec.rlimits[0].resource, RLIMIT_NOFILE);
    EXPECT_EQ(spec.rlimits[0].soft, 1024U);
    EXPECT_EQ(spec.rootfs, bundle.at("rootfs"));
    EXPECT_TRUE(spec.read_only_root);
    Strings targets;
    for (const Mount& mount : spec.mounts)
        targets.push_back(mount.target);
    EXPECT_EQ(targets, (Strings{"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys",
                                "/sys/fs/cgroup"}));
    using enum NamespaceKind;
    EXPECT_EQ(kinds_of(oci), (std::vector{pid, network, ipc, uts, mount, cgroup}));
    EXPECT_EQ(oci.device_rules.size(), 1U);
    EXPECT_EQ(oci.masked_paths.size(), 11U);
    EXPECT_EQ(oci.readonly_paths.size(), 5U);
    EXPECT_TRUE(bundle.read("config.json").ends_with("}\n"));
}

TEST(SpecCommand, WritesOneForWhoIsNotRoot) {
    const TempDir bundle;
    const Spec spec = written(bundle, {"--rootless"});
    const Oci& oci = *spec.oci;
    using enum NamespaceKind;
    EXPECT_EQ(kinds_of(oci), (std::vector{pid, ipc, uts, mount, cgroup, user}));
    ASSERT_EQ(oci.uid_mappings.size(), 1U);
    EXPECT_EQ(oci.uid_mappings[0].host_id, ::geteuid());
    EXPECT_EQ(oci.uid_mappings[0].container_id, 0U);
    EXPECT_EQ(oci.uid_mappings[0].size, 1U);
    ASSERT_EQ(oci.gid_mappings.size(), 1U);
    EXPECT_EQ(oci.gid_mappings[0].host_id, ::getegid());
    EXPECT_TRUE(oci.device_rules.empty());
    for (const Mount& mount : spec.mounts)
        for (const std::string& option : mount.options)
            EXPECT_FALSE(option.starts_with("gid=")) << mount.target;
    EXPECT_EQ(spec.mounts[5].target, "/sys");
    EXPECT_EQ(spec.mounts[5].type, "bind");
    EXPECT_EQ(spec.mounts[5].source, "/sys");
}

TEST(SpecCommand, LeavesAloneWhatIsThere) {
    const TempDir bundle;
    bundle.write("config.json", "mine");
    EXPECT_EQ(message_of(run_spec({"-b", bundle.path().c_str()})),
              bundle.at("config.json") + " is there already; remove it first");
    EXPECT_EQ(bundle.read("config.json"), "mine");
}

TEST(SpecCommand, TellsWhatIsWrong) {
    EXPECT_EQ(message_of(run_spec({"--bundle", "/nowhere"})),
              "make /nowhere/config.json: No such file or directory");
    EXPECT_EQ(message_of(run_spec({"--bundle", ""})), "--bundle: the directory is missing");
    EXPECT_EQ(message_of(run_spec({"here"})), "spec: 'here': it takes no arguments");
    EXPECT_HOLDS(message_of(run_spec({"--rootles"})), "did you mean '--rootless'?");
}

TEST(SpecCommand, LeavesNoHalfOfAFile) {
    const TempDir bundle;
    rlimit before;
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {100, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto code = run_spec({"-b", bundle.path().c_str()});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, handler);
    EXPECT_EQ(message_of(code), "write " + bundle.at("config.json") + ": File too large");
    EXPECT_FALSE(bundle.has("config.json"));
}

}  // namespace
}  // namespace sigil::cli
