// Capabilities and resource limits by name.
#include <linux/capability.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "core/capabilities.h"
#include "core/rlimits.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;

constexpr CapabilitySet bit(int capability) {
    return CapabilitySet{1} << capability;
}

TEST(ParseCapability, TakesNamesInEveryForm) {
    for (const char* name :
         {"NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin", "Cap_Net_Admin"})
        EXPECT_EQ(*parse_capability(name), bit(CAP_NET_ADMIN)) << name;
}

TEST(ParseCapability, NumbersThemAsTheKernelDoes) {
    EXPECT_EQ(*parse_capability("CHOWN"), bit(CAP_CHOWN));
    EXPECT_EQ(*parse_capability("KILL"), bit(CAP_KILL));
    EXPECT_EQ(*parse_capability("SETPCAP"), bit(CAP_SETPCAP));
    EXPECT_EQ(*parse_capability("NET_BIND_SERVICE"), bit(CAP_NET_BIND_SERVICE));
    EXPECT_EQ(*parse_capability("NET_RAW"), bit(CAP_NET_RAW));
    EXPECT_EQ(*parse_capability("SYS_PTRACE"), bit(CAP_SYS_PTRACE));
    EXPECT_EQ(*parse_capability("SYS_ADMIN"), bit(CAP_SYS_ADMIN));
    EXPECT_EQ(*parse_capability("SYS_RESOURCE"), bit(CAP_SYS_RESOURCE));
    EXPECT_EQ(*parse_capability("MKNOD"), bit(CAP_MKNOD));
    EXPECT_EQ(*parse_capability("SETFCAP"), bit(CAP_SETFCAP));
    EXPECT_EQ(*parse_capability("SYSLOG"), bit(CAP_SYSLOG));
    EXPECT_EQ(*parse_capability("AUDIT_READ"), bit(CAP_AUDIT_READ));
    EXPECT_EQ(*parse_capability("CHECKPOINT_RESTORE"), bit(CAP_CHECKPOINT_RESTORE));
}

TEST(ParseCapability, AllIsEveryOne) {
    const CapabilitySet all = *parse_capability("ALL");
    EXPECT_EQ(all, *parse_capability("all"));
    EXPECT_EQ(all, bit(CAP_LAST_CAP) | (bit(CAP_LAST_CAP) - 1));
}

TEST(ParseCapability, RefusesTheRest) {
    for (const char* name :
         {"", "CAP_", "NOPE", "CAP_ALL", "NET ADMIN", "12", "CAP_CAP_CHOWN", "CHOWN "})
        EXPECT_FALSE(parse_capability(name)) << name;
    EXPECT_EQ(message_of(parse_capability("NOPE")), "'NOPE' is not a capability");
}

TEST(DefaultCapabilities, AreDockersWithoutMknod) {
    CapabilitySet docker = 0;
    for (const char* name :
         {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE",
          "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"})
        docker |= *parse_capability(name);
    EXPECT_EQ(default_capabilities(), docker);
    EXPECT_EQ(default_capabilities() & bit(CAP_MKNOD), 0U);
    EXPECT_EQ(default_capabilities() & bit(CAP_SYS_ADMIN), 0U);
}

// ---- rlimits ------------------------------------------------------------------------------------

TEST(ParseRlimit, KnowsEveryLimitOfSetrlimit) {
    const std::pair<const char*, int> names[] = {
        {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},
        {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
        {"fsize", RLIMIT_FSIZE},     {"locks", RLIMIT_LOCKS},
        {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE},
        {"nice", RLIMIT_NICE},       {"nofile", RLIMIT_NOFILE},
        {"nproc", RLIMIT_NPROC},     {"rss", RLIMIT_RSS},
        {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},
        {"stack", RLIMIT_STACK},     {"sigpending", RLIMIT_SIGPENDING},
    };
    EXPECT_EQ(std::size(names), size_t{RLIM_NLIMITS});
    for (const auto& [name, resource] : names) {
        const auto limit = parse_rlimit(std::string(name) + "=7");
        ASSERT_TRUE(limit) << name;
        EXPECT_EQ(limit->resource, resource) << name;
        EXPECT_EQ(limit->soft, 7U);
        EXPECT_EQ(limit->hard, 7U);
    }
}

TEST(ParseRlimit, TakesASoftAndAHardLimit) {
    const auto limit = parse_rlimit("nofile=1024:4096");
    ASSERT_TRUE(limit);
    EXPECT_EQ(limit->soft, 1024U);
    EXPECT_EQ(limit->hard, 4096U);
    EXPECT_EQ(limit->origin, "--ulimit nofile=1024:4096");
}

TEST(ParseRlimit, TakesSizes) {
    EXPECT_EQ(parse_rlimit("stack=8M")->soft, 8U << 20);
    EXPECT_EQ(parse_rlimit("core=0")->hard, 0U);
}

TEST(ParseRlimit, TakesNoLimitInBothSpellings) {
    EXPECT_EQ(parse_rlimit("core=unlimited")->soft, RLIM_INFINITY);
    EXPECT_EQ(parse_rlimit("core=unlimited")->hard, RLIM_INFINITY);
    EXPECT_EQ(parse_rlimit("core=0:-1")->soft, 0U);
    EXPECT_EQ(parse_rlimit("core=0:-1")->hard, RLIM_INFINITY);
}

TEST(ParseRlimit, RefusesASoftLimitAboveTheHardOne) {
    EXPECT_EQ(message_of(parse_rlimit("nofile=2:1")),
              "'nofile=2:1': the soft limit is above the hard one");
    EXPECT_FALSE(parse_rlimit("nofile=unlimited:1"));
}

TEST(ParseRlimit, RefusesWhatIsNoLimit) {
    EXPECT_EQ(message_of(parse_rlimit("nofile")), "'nofile' is not a limit: NAME=SOFT[:HARD]");
    EXPECT_EQ(message_of(parse_rlimit("files=1")),
              "'files' is not a limit that setrlimit(2) knows");
    for (const char* text : {"", "=", "=1", "nofile=", "nofile=x", "nofile=1:", "nofile=:1",
                             "nofile=1:2:3", "NOFILE=1", "RLIMIT_NOFILE=1", "nofile=-2"})
        EXPECT_FALSE(parse_rlimit(text)) << text;
}

}  // namespace
}  // namespace sigil
