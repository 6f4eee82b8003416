// The default filter: what comes with which capability, and that the prepared ones are the same.
#include "isolation/seccomp_default.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "isolation/bpf_interpreter.h"
#include "isolation/seccomp.h"

namespace sigil::isolation {
namespace {

constexpr CapabilitySet bit(int capability) {
    return CapabilitySet{1} << capability;
}

uint32_t action_with(CapabilitySet capabilities, const seccomp_data& call) {
    const auto program = default_seccomp(capabilities);
    EXPECT_TRUE(program.has_value());
    return run_filter((*program)->instructions, call).action;
}

bool allows(CapabilitySet capabilities, const seccomp_data& call) {
    return action_with(capabilities, call) == SECCOMP_RET_ALLOW;
}

TEST(SeccompDefault, IsPreparedAsItWouldBeCompiled) {
    for (CapabilitySet capabilities :
         {default_capabilities(), CapabilitySet{0}, bit(CAP_NET_RAW) | bit(CAP_SYS_CHROOT)}) {
        const auto prepared = default_seccomp(capabilities);
        const auto compiled = compile(default_seccomp_profile(capabilities));
        ASSERT_TRUE(prepared && compiled);
        const auto& one = (*prepared)->instructions;
        ASSERT_EQ(one.size(), compiled->instructions.size());
        EXPECT_EQ(memcmp(one.data(), compiled->instructions.data(), one.size() * sizeof one[0]), 0);
        EXPECT_EQ((*prepared)->flags, 0U);
    }
}

// What each start pays for: of some 45 ranges of calls on x86_64 and 90 on i386.
TEST(SeccompDefault, IsShort) {
    const auto program = default_seccomp(default_capabilities());
    ASSERT_TRUE(program);
    EXPECT_LE((*program)->instructions.size(), 140U);
}

TEST(SeccompDefault, GivesCallsWithTheirCapability) {
    struct Grant {
        int capability;
        int number;
    };
    const Grant kGrants[] = {
        {CAP_DAC_READ_SEARCH, __NR_open_by_handle_at},
        {CAP_SYS_ADMIN, __NR_mount},
        {CAP_SYS_ADMIN, __NR_unshare},
        {CAP_SYS_ADMIN, __NR_clone3},
        {CAP_SYS_BOOT, __NR_reboot},
        {CAP_SYS_CHROOT, __NR_chroot},
        {CAP_SYS_MODULE, __NR_finit_module},
        {CAP_SYS_NICE, __NR_mbind},
        {CAP_SYS_PACCT, __NR_acct},
        {CAP_SYS_PTRACE, __NR_pidfd_getfd},
        {CAP_SYS_RAWIO, __NR_iopl},
        {CAP_SYS_TIME, __NR_settimeofday},
        {CAP_SYS_TTY_CONFIG, __NR_vhangup},
        {CAP_SYSLOG, __NR_syslog},
        {CAP_BPF, __NR_bpf},
        {CAP_PERFMON, __NR_perf_event_open},
    };
    for (const Grant& grant : kGrants) {
        EXPECT_TRUE(allows(bit(grant.capability), call_of(grant.number))) << grant.number;
        EXPECT_FALSE(allows(~(bit(grant.capability) | bit(CAP_SYS_ADMIN)), call_of(grant.number)))
            << grant.number;
    }
}

TEST(SeccompDefault, MakesNoNamespaces) {
    const CapabilitySet set = default_capabilities();
    constexpr uint64_t kThread = 0x3d0f00;  // what pthread_create(3) asks for
    constexpr uint64_t kEach[] = {0x00020000, 0x02000000, 0x04000000, 0x08000000,
                                  0x10000000, 0x20000000, 0x40000000};
    EXPECT_TRUE(allows(set, call_of(__NR_clone, {kThread})));
    for (uint64_t one : kEach)
        EXPECT_EQ(action_with(set, call_of(__NR_clone, {kThread | one})),
                  SECCOMP_RET_ERRNO | EPERM);
    EXPECT_EQ(action_with(set, call_of(__NR_clone3)), SECCOMP_RET_ERRNO | ENOSYS);
    EXPECT_EQ(action_with(set, call_of(__NR_unshare)), SECCOMP_RET_ERRNO | EPERM);
}

TEST(SeccompDefault, TakesFewPersonalitiesAndNoSocketsToTheHypervisor) {
    const CapabilitySet set = default_capabilities();
    for (uint64_t persona : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL})
        EXPECT_TRUE(allows(set, call_of(__NR_personality, {persona}))) << persona;
    EXPECT_FALSE(allows(set, call_of(__NR_personality, {0x40000})));
    EXPECT_TRUE(allows(set, call_of(__NR_socket, {2})));
    EXPECT_FALSE(allows(set, call_of(__NR_socket, {40})));
}

TEST(SeccompDefault, IsOfProgramsOf32BitsToo) {
    const CapabilitySet set = default_capabilities();
    EXPECT_TRUE(allows(set, call_of(11, {}, AUDIT_ARCH_I386)));    // execve
    EXPECT_TRUE(allows(set, call_of(102, {}, AUDIT_ARCH_I386)));   // socketcall
    EXPECT_FALSE(allows(set, call_of(21, {}, AUDIT_ARCH_I386)));   // mount
    EXPECT_FALSE(allows(set, call_of(310, {}, AUDIT_ARCH_I386)));  // unshare
}

}  // namespace
}  // namespace sigil::isolation
