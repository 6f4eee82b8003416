// Profiles in JSON: what is for this container and what isn't, and where a mistake is.
#include "core/seccomp_profile.h"

#include <errno.h>

#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using Words = std::vector<std::string>;

constexpr uint64_t kHeld = 1;
constexpr uint64_t kMissing = 2;

Result<uint64_t> capability(std::string_view name) {
    if (name == "CAP_HELD")
        return kHeld;
    if (name == "CAP_MISSING")
        return kMissing;
    return failure("no capability");
}

Result<Seccomp> parse(std::string_view text) {
    return parse_seccomp_profile(
        text,
        {.capabilities = kHeld, .capability = capability, .kernel_major = 6, .kernel_minor = 1});
}

// Whether a rule with these members is for this container.
bool applies(const std::string& members) {
    auto profile = parse(R"({"syscalls":[{"names":["a"],"action":"X",)" + members + "}]}");
    EXPECT_TRUE(profile) << message_of(profile);
    return profile && !profile->rules.at(0).names.empty();
}

TEST(SeccompProfile, HasEveryMemberOfABundles) {
    const auto profile = parse(R"({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86"], "flags": ["F", "G"],
        "listenerPath": "/run/l", "listenerMetadata": "meta",
        "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "errnoRet": 5,
                      "args": [{"index": 1, "value": 18446744073709551615, "valueTwo": 2,
                                "op": "SCMP_CMP_EQ"}]},
                     {"names": ["open"], "action": "SCMP_ACT_LOG", "comment": "why", "args": null}]
        })");
    ASSERT_TRUE(profile) << message_of(profile);
    EXPECT_EQ(profile->default_action, "SCMP_ACT_ERRNO");
    EXPECT_EQ(profile->default_error, 38U);
    EXPECT_EQ(profile->architectures, Words{"SCMP_ARCH_X86"});
    EXPECT_EQ(profile->flags, (Words{"F", "G"}));
    EXPECT_EQ(profile->listener_path, "/run/l");
    EXPECT_EQ(profile->listener_metadata, "meta");
    ASSERT_EQ(profile->rules.size(), 2U);
    const Seccomp::Rule& rule = profile->rules[0];
    EXPECT_EQ(rule.names, (Words{"read", "write"}));
    EXPECT_EQ(rule.action, "SCMP_ACT_ALLOW");
    EXPECT_EQ(rule.error, 5U);
    ASSERT_EQ(rule.arguments.size(), 1U);
    EXPECT_EQ(rule.arguments[0].index, 1U);
    EXPECT_EQ(rule.arguments[0].value, UINT64_MAX);
    EXPECT_EQ(rule.arguments[0].value_two, 2U);
    EXPECT_EQ(rule.arguments[0].op, "SCMP_CMP_EQ");
    EXPECT_FALSE(profile->rules[1].error);
}

TEST(SeccompProfile, TakesTheArchitecturesOfThisMachine) {
    const auto profile = parse(R"({"archMap": [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}]})");
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->architectures, Words{"SCMP_ARCH_X32"});
    EXPECT_EQ(message_of(parse(R"({"architectures":["a"],"archMap":[]})")),
              "both 'architectures' and 'archMap'");
}

TEST(SeccompProfile, TakesNamesOfErrorsAndOldRules) {
    const auto profile = parse(R"({"defaultErrno": "ENOSYS", "defaultErrnoRet": 1,
        "syscalls": [{"name": "read", "action": "A", "errno": "EINVAL"}]})");
    ASSERT_TRUE(profile) << message_of(profile);
    EXPECT_EQ(profile->default_error, uint32_t{ENOSYS});
    EXPECT_EQ(profile->rules[0].names, Words{"read"});
    EXPECT_EQ(profile->rules[0].error, uint32_t{EINVAL});
}

TEST(SeccompProfile, LeavesRulesOutThatAreNotForThisContainer) {
    EXPECT_TRUE(applies(R"("includes":{},"excludes":null)"));
    EXPECT_TRUE(applies(R"("includes":{"caps":["CAP_HELD"]})"));
    EXPECT_FALSE(applies(R"("includes":{"caps":["CAP_HELD","CAP_MISSING"]})"));
    EXPECT_FALSE(applies(R"("includes":{"caps":["CAP_OF_THE_FUTURE"]})"));
    EXPECT_FALSE(applies(R"("excludes":{"caps":["CAP_MISSING","CAP_HELD"]})"));
    EXPECT_TRUE(applies(R"("excludes":{"caps":["CAP_MISSING","CAP_OF_THE_FUTURE"]})"));
    EXPECT_TRUE(applies(R"("includes":{"arches":["amd64","x32"]})"));
    EXPECT_FALSE(applies(R"("includes":{"arches":["arm64"]})"));
    EXPECT_FALSE(applies(R"("excludes":{"arches":["amd64"]})"));
    EXPECT_TRUE(applies(R"("excludes":{"arches":["s390"]})"));
    EXPECT_TRUE(applies(R"("includes":{"minKernel":"6.1"})"));
    EXPECT_TRUE(applies(R"("includes":{"minKernel":"4.18"})"));
    EXPECT_FALSE(applies(R"("includes":{"minKernel":"6.2"})"));
    EXPECT_FALSE(applies(R"("includes":{"minKernel":"10.0"})"));
    EXPECT_FALSE(applies(R"("excludes":{"minKernel":"6.0"})"));
    EXPECT_TRUE(applies(R"("excludes":{"minKernel":"6.2"})"));
}

TEST(SeccompProfile, NamesThePlaceOfAMistake) {
    auto in_rule = [](const std::string& members) {
        return message_of(
            parse(R"({"syscalls":[{"names":["a"],"action":"X"},{)" + members + "}]}"));
    };
    EXPECT_EQ(message_of(parse("{\"a\":}")), "not JSON: Invalid value. at byte 5");
    EXPECT_EQ(message_of(parse("3")), "not an object");
    EXPECT_EQ(message_of(parse(R"({"defaultAction":1})")), "defaultAction: not a string");
    EXPECT_EQ(message_of(parse(R"({"syscalls":{}})")), "syscalls: not an array");
    EXPECT_EQ(message_of(parse(R"({"flags":["a",1]})")), "flags[1]: not a string");
    EXPECT_EQ(message_of(parse(R"({"defaultErrno":"EWRONG"})")),
              "defaultErrno: 'EWRONG' is not the name of an errno");
    EXPECT_EQ(in_rule(""), "syscalls[1]: no system call is named");
    EXPECT_EQ(in_rule(R"("names":["a"],"name":"b")"), "syscalls[1]: both 'name' and 'names'");
    EXPECT_EQ(in_rule(R"("names":["a"],"errnoRet":-1)"),
              "syscalls[1].errnoRet: not a number without sign");
    EXPECT_EQ(in_rule(R"("names":["a"],"args":[{"index":4294967296}])"),
              "syscalls[1].args[0].index: 4294967296 is more than 4294967295");
    EXPECT_EQ(in_rule(R"("names":["a"],"includes":{"caps":"X"})"),
              "syscalls[1].includes.caps: not an array");
    EXPECT_EQ(in_rule(R"("names":["a"],"includes":{"minKernel":"4"})"),
              "syscalls[1].includes.minKernel: '4' is not a version of the kernel");
}

}  // namespace
}  // namespace sigil
