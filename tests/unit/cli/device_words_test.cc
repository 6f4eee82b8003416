// The words of --device, --privileged and --userns.
#include "cli/device_words.h"

#include <unistd.h>

#include <algorithm>

#include "cli/run_options.h"
#include "core/capabilities.h"
#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::message_of;
using testing::TempDir;

std::string device_error(const std::string& text) {
    Spec spec;
    return message_of(add_device(spec, text));
}

HostDevice device(const std::string& text) {
    Spec spec;
    auto added = add_device(spec, text);
    EXPECT_TRUE(added) << message_of(added);
    return spec.devices.empty() ? HostDevice{} : spec.devices[0];
}

TEST(DeviceWord, NamesADeviceOfTheHost) {
    const HostDevice null = device("/dev/null");
    EXPECT_EQ(null.source, "/dev/null");
    EXPECT_EQ(null.node.path, "/dev/null");
    EXPECT_EQ(null.node.type, 'c');
    EXPECT_EQ(null.node.major, 1U);
    EXPECT_EQ(null.node.minor, 3U);
    EXPECT_TRUE(null.rule.allow && null.rule.read && null.rule.write && null.rule.make_node);
    EXPECT_EQ(null.rule.major, 1U);
    EXPECT_EQ(null.rule.minor, 3U);
}

TEST(DeviceWord, NamesItsPlaceAndWhatIsAllowed) {
    EXPECT_EQ(device("/dev/null:/dev/a/b").node.path, "/dev/a/b");
    const HostDevice reader = device("/dev/null:r");
    EXPECT_EQ(reader.node.path, "/dev/null");
    EXPECT_TRUE(reader.rule.read);
    EXPECT_FALSE(reader.rule.write || reader.rule.make_node);
    const HostDevice both = device("/dev/null:/dev/x:wm");
    EXPECT_EQ(both.node.path, "/dev/x");
    EXPECT_TRUE(both.rule.write && both.rule.make_node);
    EXPECT_FALSE(both.rule.read);
}

TEST(DeviceWord, FollowsALinkOfTheHost) {
    const TempDir files;
    files.make_link("alias", "/dev/zero");
    const HostDevice zero = device(files.at("alias") + ":/dev/z");
    EXPECT_EQ(zero.node.minor, 5U);
}

TEST(DeviceWord, IsRefusedWithTheReason) {
    EXPECT_EQ(device_error("/dev/nope"), "/dev/nope: No such file or directory");
    EXPECT_EQ(device_error("/etc/passwd:/dev/x"), "'/etc/passwd' is not a device");
    EXPECT_EQ(device_error("/dev/null:/null"), "'/null' is not below /dev");
    EXPECT_EQ(device_error("/dev/null:/dev/"), "'/dev/' is not a plain path");
    EXPECT_EQ(device_error("/dev/null:/dev/../x"), "'/dev/../x' is not a plain path");
    EXPECT_EQ(device_error("/dev/null:/dev/a//b"), "'/dev/a//b' is not a plain path");
    EXPECT_EQ(device_error("/dev/null:/dev/pts/0"), "/dev/pts is the container's own");
    EXPECT_EQ(device_error("/dev/null:/dev/fd/3"), "/dev/fd is the container's own");
    for (const char* text : {"", "null", ":", "/dev/null:/dev/x:rwx", "/dev/null:/dev/x:r:w"})
        EXPECT_EQ(device_error(text), fmt::format("'{}' is not PATH[:INSIDE][:rwm]", text));
    EXPECT_EQ(device_error("/dev/null:x"), "'x' is not below /dev");
}

TEST(Privileged, HasEveryCapabilityAndDevice) {
    Spec spec;
    spec.privileged = true;
    ASSERT_TRUE(add_device(spec, "/dev/zero:/dev/mine"));
    auto completed = complete_privileged(spec);
    ASSERT_TRUE(completed) << message_of(completed);
    EXPECT_EQ(spec.capabilities, *parse_capability_to_give("ALL"));
    EXPECT_EQ(spec.devices[0].node.path, "/dev/mine");
    for (const HostDevice& one : spec.devices) {
        EXPECT_TRUE(one.node.path.starts_with("/dev/"));
        for (const char* own : {"/dev/null", "/dev/tty", "/dev/ptmx", "/dev/console"})
            EXPECT_NE(one.node.path, own);
        EXPECT_FALSE(one.node.path.starts_with("/dev/pts/"));
    }
}

TEST(Privileged, IsNothingElse) {
    Spec spec;
    ASSERT_TRUE(complete_privileged(spec));
    EXPECT_EQ(spec, Spec{});
}

TEST(Privileged, IsUnfilteredUnlessTheUserSaysSo) {
    const char* plain[] = {"--rootfs", "/r", "--privileged", "true"};
    auto request = parse_run(plain);
    ASSERT_TRUE(request) << message_of(request);
    EXPECT_FALSE(request->job.spec.seccomp);
    const char* filtered[] = {"--rootfs", "/r", "--privileged", "--seccomp", "default", "true"};
    request = parse_run(filtered);
    ASSERT_TRUE(request);
    EXPECT_TRUE(request->job.spec.seccomp);
    const char* usual[] = {"--rootfs", "/r", "true"};
    request = parse_run(usual);
    ASSERT_TRUE(request);
    EXPECT_TRUE(request->job.spec.seccomp);
    const char* empty[] = {"--rootfs", "/r", "--seccomp", "", "true"};
    EXPECT_EQ(message_of(parse_run(empty)), "--seccomp: the profile is missing");
}

TEST(UsernsWord, IsHostOrAutoOrAMapping) {
    Spec spec;
    ASSERT_TRUE(set_userns(spec, "auto"));
    EXPECT_EQ(spec.user_namespace, UserNamespace::automatic);
    ASSERT_TRUE(set_userns(spec, "100000:200000:1000,300000:400000:10"));
    EXPECT_EQ(spec.user_namespace, UserNamespace::mapped);
    EXPECT_EQ(spec.uid_mappings, (std::vector<IdMapping>{{0, 100000, 1000}, {1000, 300000, 10}}));
    EXPECT_EQ(spec.gid_mappings, (std::vector<IdMapping>{{0, 200000, 1000}, {1000, 400000, 10}}));
    ASSERT_TRUE(set_userns(spec, "host"));
    EXPECT_EQ(spec, Spec{});
}

TEST(UsernsWord, IsRefusedWithTheReason) {
    auto error = [](const char* text) {
        Spec spec;
        return message_of(set_userns(spec, text));
    };
    for (const char* text : {"", "none", "1:2", "1:2:3:4", "auto,1:2:3"})
        EXPECT_NE(error(text).find("is none of host, auto, UID:GID:SIZE"), std::string::npos)
            << error(text);
    EXPECT_EQ(error("0:1000:10"), "'0:1000:10' has the host's root in it");
    EXPECT_EQ(error("1000:0:10"), "'1000:0:10' has the host's root in it");
    EXPECT_NE(error("1000:1000:0").find("0 users from there on"), std::string::npos);
    EXPECT_NE(error("4294967290:1000:10").find("10 users from there on"), std::string::npos);
    EXPECT_NE(error("x:1000:10").find("x"), std::string::npos);
}

}  // namespace
}  // namespace sigil::cli
