// compile(): what a profile says is what the program does. Run by an interpreter;
// seccomp_kernel_test has the kernel run some.
#include "isolation/seccomp.h"

#include <asm/unistd.h>
#include <errno.h>
#include <sched.h>

#include <algorithm>

#include "isolation/bpf_interpreter.h"
#include "isolation/seccomp_programs.h"
#include "isolation/syscall_table.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr int64_t kX32Bit = 0x40000000;

constexpr uint32_t fails_with(uint32_t error) {
    return SECCOMP_RET_ERRNO | error;
}

// "read" and what else is named is allowed, the rest is EPERM.
Seccomp allow_list(std::vector<std::string> names) {
    return {.default_action = "SCMP_ACT_ERRNO",
            .default_error = EPERM,
            .rules = {{.names = std::move(names), .action = "SCMP_ACT_ALLOW"}}};
}

Seccomp with_rule(Seccomp::Rule rule) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ALLOW", .listener_path = "/run/agent"};
    seccomp.rules.push_back(std::move(rule));
    return seccomp;
}

std::vector<sock_filter> compiled(const Seccomp& seccomp) {
    auto program = compile(seccomp);
    EXPECT_TRUE(program.has_value()) << (program ? "" : program.error().message());
    return program ? program->instructions : std::vector<sock_filter>{};
}

uint32_t action_of(const Seccomp& seccomp, const seccomp_data& data) {
    return run_filter(compiled(seccomp), data).action;
}

std::string error_of(const Seccomp& seccomp) {
    auto program = compile(seccomp);
    return program ? "" : program.error().message();
}

// ---- actions ------------------------------------------------------------------------------------

TEST(SeccompCompile, KnowsEveryAction) {
    const std::pair<const char*, uint32_t> kActions[] = {
        {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
        {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
        {"SCMP_ACT_ERRNO", fails_with(EPERM)},
        {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE | EPERM},
        {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
        {"SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF},
        {"SCMP_ACT_ALLOW", kAllow},
    };
    for (const auto& [name, action] : kActions) {
        EXPECT_EQ(action_of(with_rule({.names = {"mkdir"}, .action = name}), call_of(__NR_mkdir)),
                  action)
            << name;
        const Seccomp by_default = {.default_action = name, .listener_path = "/run/agent"};
        EXPECT_EQ(action_of(by_default, call_of(__NR_mkdir)), action) << name;
    }
}

TEST(SeccompCompile, ReturnsTheErrnoAskedFor) {
    for (uint32_t error : {0U, 1U, 38U, 4095U}) {
        EXPECT_EQ(
            action_of(with_rule({{"mkdir"}, "SCMP_ACT_ERRNO", error, {}}), call_of(__NR_mkdir)),
            fails_with(error));
        EXPECT_EQ(
            action_of(with_rule({{"mkdir"}, "SCMP_ACT_TRACE", error, {}}), call_of(__NR_mkdir)),
            SECCOMP_RET_TRACE | error);
    }
    Seccomp seccomp = allow_list({"read", "statx", "futex_waitv"});
    seccomp.default_error = EACCES;
    EXPECT_EQ(action_of(seccomp, call_of(__NR_mkdir)), fails_with(EACCES));
}

TEST(SeccompCompile, AsksForAListenerWhereSomethingNotifies) {
    Seccomp seccomp = with_rule({.names = {"mkdir"}, .action = "SCMP_ACT_NOTIFY"});
    seccomp.flags = {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
    EXPECT_EQ(compile(seccomp)->flags, 1U << 3 | 1U << 5);
    seccomp.rules[0].action = "SCMP_ACT_TRAP";
    EXPECT_EQ(compile(seccomp)->flags, 0U);
    seccomp.listener_path.clear();
    seccomp.rules[0].action = "SCMP_ACT_NOTIFY";
    EXPECT_EQ(error_of(seccomp),
              "linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs somebody who listens");
}

TEST(SeccompCompile, PassesFlagsOn) {
    Seccomp seccomp = allow_list({"read"});
    seccomp.flags = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                     "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
    EXPECT_EQ(compile(seccomp)->flags,
              uint32_t{SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW});
}

// ---- operators ----------------------------------------------------------------------------------

struct Operator {
    const char* name;
    bool (*holds)(uint64_t argument, uint64_t value, uint64_t value_two);
};

const Operator kOperators[] = {
    {"SCMP_CMP_EQ", [](uint64_t a, uint64_t v, uint64_t) { return a == v; }},
    {"SCMP_CMP_NE", [](uint64_t a, uint64_t v, uint64_t) { return a != v; }},
    {"SCMP_CMP_LT", [](uint64_t a, uint64_t v, uint64_t) { return a < v; }},
    {"SCMP_CMP_LE", [](uint64_t a, uint64_t v, uint64_t) { return a <= v; }},
    {"SCMP_CMP_GT", [](uint64_t a, uint64_t v, uint64_t) { return a > v; }},
    {"SCMP_CMP_GE", [](uint64_t a, uint64_t v, uint64_t) { return a >= v; }},
    {"SCMP_CMP_MASKED_EQ", [](uint64_t a, uint64_t v, uint64_t w) { return (a & v) == (w & v); }},
};

// Both words of 64 bits count, and each of the six arguments.
TEST(SeccompCompile, ComparesAllBitsOfEachArgument) {
    const uint64_t kValues[] = {0,           1,           5,           0xffffffff,
                                0x100000000, 0x100000005, 0x500000001, UINT64_MAX};
    for (const Operator& one : kOperators)
        for (uint32_t index = 0; index < 6; ++index)
            for (uint64_t value : kValues)
                for (uint64_t two : {uint64_t{0}, uint64_t{5}, uint64_t{0x500000001}}) {
                    const auto code = compiled(with_rule(
                        {{"mkdir"}, "SCMP_ACT_TRAP", {}, {{index, value, two, one.name}}}));
                    for (uint64_t argument : kValues) {
                        std::array<uint64_t, 6> arguments;
                        arguments.fill(~argument);
                        arguments[index] = argument;
                        ASSERT_EQ(run_filter(code, call_of(__NR_mkdir, arguments)).action,
                                  one.holds(argument, value, two) ? SECCOMP_RET_TRAP : kAllow)
                            << one.name << " " << index << " " << value << " " << argument;
                    }
                }
}

TEST(SeccompCompile, HoldsConditionsOfARuleTogether) {
    const auto code = compiled(with_rule({{"socket"},
                                          "SCMP_ACT_ERRNO",
                                          EINVAL,
                                          {{0, 16, 0, "SCMP_CMP_EQ"}, {2, 9, 0, "SCMP_CMP_EQ"}}}));
    EXPECT_EQ(run_filter(code, call_of(__NR_socket, {16, 0, 9})).action, fails_with(EINVAL));
    EXPECT_EQ(run_filter(code, call_of(__NR_socket, {16, 0, 8})).action, kAllow);
    EXPECT_EQ(run_filter(code, call_of(__NR_socket, {15, 0, 9})).action, kAllow);
}

// As runc and crun have it.
TEST(SeccompCompile, TakesConditionsOfTheSameArgumentAsAlternatives) {
    const auto code = compiled(with_rule({{"personality"},
                                          "SCMP_ACT_TRAP",
                                          {},
                                          {{0, 3, 0, "SCMP_CMP_EQ"}, {0, 9, 0, "SCMP_CMP_EQ"}}}));
    EXPECT_EQ(run_filter(code, call_of(__NR_personality, {3})).action, SECCOMP_RET_TRAP);
    EXPECT_EQ(run_filter(code, call_of(__NR_personality, {9})).action, SECCOMP_RET_TRAP);
    EXPECT_EQ(run_filter(code, call_of(__NR_personality, {4})).action, kAllow);
}

TEST(SeccompCompile, LetsTheFirstRuleThatMatchesWinAndOneWithoutConditionsAbove) {
    Seccomp seccomp = with_rule({{"personality"}, "SCMP_ACT_TRAP", {}, {{0, 3, 0, "SCMP_CMP_GE"}}});
    seccomp.rules.push_back({{"personality"}, "SCMP_ACT_LOG", {}, {{0, 4, 0, "SCMP_CMP_LE"}}});
    EXPECT_EQ(action_of(seccomp, call_of(__NR_personality, {3})), SECCOMP_RET_TRAP);
    EXPECT_EQ(action_of(seccomp, call_of(__NR_personality, {2})), SECCOMP_RET_LOG);
    seccomp.rules.push_back({{"personality"}, "SCMP_ACT_ERRNO", EIO, {}});
    EXPECT_EQ(action_of(seccomp, call_of(__NR_personality, {3})), fails_with(EIO));
}

// libseccomp refuses such a rule, and its callers leave it out.
TEST(SeccompCompile, PassesOverARuleThatSaysWhatTheDefaultSays) {
    Seccomp seccomp = with_rule({{"personality"}, "SCMP_ACT_ALLOW", {}, {}});
    seccomp.rules.push_back({{"personality"}, "SCMP_ACT_TRAP", {}, {{0, 3, 0, "SCMP_CMP_EQ"}}});
    EXPECT_EQ(action_of(seccomp, call_of(__NR_personality, {3})), SECCOMP_RET_TRAP);
}

// ---- system calls -------------------------------------------------------------------------------

TEST(SeccompCompile, TellsEverySystemCallFromItsNeighbours) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_KILL_PROCESS"};
    for (const SyscallNumbers& call : all_syscalls())
        seccomp.rules.push_back({{std::string(call.name)},
                                 "SCMP_ACT_ERRNO",
                                 static_cast<uint32_t>(call.x86_64 + 1),
                                 {}});
    const auto code = compiled(seccomp);
    for (const SyscallNumbers& call : all_syscalls()) {
        if (call.x86_64 < 0)
            continue;
        EXPECT_EQ(run_filter(code, call_of(call.x86_64)).action,
                  fails_with(static_cast<uint32_t>(call.x86_64 + 1)))
            << call.name;
    }
    EXPECT_EQ(run_filter(code, call_of(400)).action, SECCOMP_RET_KILL_PROCESS);  // there is none
}

TEST(SeccompCompile, KnowsTheNumbersOfTheHeaders) {
    EXPECT_EQ(find_syscall("read")->x86_64, __NR_read);
    EXPECT_EQ(find_syscall("clone3")->x86_64, __NR_clone3);
    EXPECT_EQ(find_syscall("futex_waitv")->x86_64, __NR_futex_waitv);
    EXPECT_EQ(find_syscall("fchmodat2")->x86_64, 452);
    EXPECT_EQ(find_syscall("socketcall")->i386, 102);
    EXPECT_EQ(find_syscall("no_such_call"), nullptr);
    EXPECT_EQ(find_syscall(""), nullptr);
}

TEST(SeccompCompile, PassesOverNamesThatNoKernelHas) {
    const Seccomp seccomp = allow_list({"read", "no_such_call", "", "mkdirat"});
    EXPECT_EQ(action_of(seccomp, call_of(__NR_read)), kAllow);
    EXPECT_EQ(action_of(seccomp, call_of(__NR_open)), fails_with(EPERM));
}

// A C library then falls back to an older call; EPERM would be the end of it.
TEST(SeccompCompile, FailsWithEnosysWhatIsNewerThanTheProfile) {
    const int64_t newest = __NR_faccessat2;
    Seccomp seccomp = allow_list({"read", "faccessat2"});
    EXPECT_EQ(action_of(seccomp, call_of(newest)), kAllow);
    EXPECT_EQ(action_of(seccomp, call_of(newest - 1)), fails_with(EPERM));
    for (int64_t number : {newest + 1, int64_t{999}, kX32Bit - 1})
        EXPECT_EQ(action_of(seccomp, call_of(number)), fails_with(ENOSYS)) << number;
    EXPECT_EQ(action_of(seccomp, call_of(-1)), fails_with(EPERM));
    for (const char* action : {"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG"}) {
        seccomp.default_action = action;
        seccomp.default_error.reset();
        EXPECT_EQ(action_of(seccomp, call_of(newest + 1)), action_of(seccomp, call_of(1)));
    }
}

// A rule that refuses a call names it too.
TEST(SeccompCompile, TakesACallThatIsRefusedForKnown) {
    Seccomp seccomp = allow_list({"read"});
    seccomp.rules.push_back({{"faccessat2"}, "SCMP_ACT_ERRNO", EPERM, {}});
    EXPECT_EQ(action_of(seccomp, call_of(__NR_faccessat2)), fails_with(EPERM));
    EXPECT_EQ(action_of(seccomp, call_of(__NR_mkdir)), fails_with(EPERM));
    EXPECT_EQ(action_of(seccomp, call_of(__NR_faccessat2 + 1)), fails_with(ENOSYS));
}

// ---- architectures ------------------------------------------------------------------------------

TEST(SeccompCompile, KillsProcessesOfArchitecturesThatAreNotListed) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ALLOW"};
    EXPECT_EQ(action_of(seccomp, call_of(3)), kAllow);  // this machine's own is always there
    EXPECT_EQ(action_of(seccomp, call_of(3, {}, AUDIT_ARCH_I386)), SECCOMP_RET_KILL_PROCESS);
    EXPECT_EQ(action_of(seccomp, call_of(kX32Bit)), SECCOMP_RET_KILL_PROCESS);
    seccomp.architectures = {"SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"};
    EXPECT_EQ(action_of(seccomp, call_of(3)), kAllow);
    EXPECT_EQ(action_of(seccomp, call_of(3, {}, AUDIT_ARCH_I386)), kAllow);
    EXPECT_EQ(action_of(seccomp, call_of(kX32Bit)), SECCOMP_RET_KILL_PROCESS);
    EXPECT_EQ(action_of(seccomp, call_of(3, {}, AUDIT_ARCH_AARCH64)), SECCOMP_RET_KILL_PROCESS);
    seccomp.architectures = {"SCMP_ARCH_X32"};
    EXPECT_EQ(action_of(seccomp, call_of(kX32Bit)), kAllow);
}

TEST(SeccompCompile, HasTheNumbersOfEachArchitecture) {
    Seccomp seccomp = allow_list({"execve", "faccessat2"});
    seccomp.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
    const auto code = compiled(seccomp);
    auto action = [&code](int64_t number, uint32_t architecture) {
        return run_filter(code, call_of(number, {}, architecture)).action;
    };
    EXPECT_EQ(action(59, AUDIT_ARCH_X86_64), kAllow);
    EXPECT_EQ(action(11, AUDIT_ARCH_X86_64), fails_with(EPERM));
    EXPECT_EQ(action(11, AUDIT_ARCH_I386), kAllow);
    EXPECT_EQ(action(59, AUDIT_ARCH_I386), fails_with(EPERM));
    EXPECT_EQ(action(kX32Bit + 520, AUDIT_ARCH_X86_64), kAllow);
    EXPECT_EQ(action(kX32Bit + 59, AUDIT_ARCH_X86_64), fails_with(EPERM));
    EXPECT_EQ(action(kX32Bit + 521, AUDIT_ARCH_X86_64), fails_with(ENOSYS));
    EXPECT_EQ(action(520, AUDIT_ARCH_X86_64), fails_with(ENOSYS));
}

// socketcall(2): its arguments lie in memory, where no filter looks.
TEST(SeccompCompile, FiltersCallsThatGoThroughAnotherOnI386) {
    constexpr int64_t kSocketcall = 102;
    constexpr int64_t kIpc = 117;
    auto action = [](const Seccomp& seccomp, int64_t number, uint64_t argument) {
        return action_of(seccomp, call_of(number, {argument}, AUDIT_ARCH_I386));
    };
    Seccomp seccomp = allow_list({"bind", "shmget", "faccessat2"});
    seccomp.architectures = {"SCMP_ARCH_X86"};
    EXPECT_EQ(action(seccomp, kSocketcall, 2), kAllow);
    EXPECT_EQ(action(seccomp, kSocketcall, 1), fails_with(EPERM));
    EXPECT_EQ(action(seccomp, kIpc, 23), kAllow);
    EXPECT_EQ(action(seccomp, kIpc, 0x10017), kAllow);  // with a version above the number
    EXPECT_EQ(action(seccomp, kIpc, 24), fails_with(EPERM));
    seccomp.rules.push_back({{"socket"}, "SCMP_ACT_ALLOW", {}, {{0, 40, 0, "SCMP_CMP_NE"}}});
    EXPECT_EQ(action(seccomp, kSocketcall, 1), fails_with(EPERM));

    seccomp = with_rule({{"socket"}, "SCMP_ACT_TRAP", {}, {{0, 40, 0, "SCMP_CMP_EQ"}}});
    seccomp.architectures = {"SCMP_ARCH_X86"};
    EXPECT_EQ(action(seccomp, kSocketcall, 1), SECCOMP_RET_TRAP);
    EXPECT_EQ(action(seccomp, kSocketcall, 2), kAllow);
}

// ---- size ---------------------------------------------------------------------------------------

TEST(SeccompCompile, SearchesInsteadOfTryingEach) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ALLOW",
                       .architectures = {"SCMP_ARCH_X86", "SCMP_ARCH_X32"}};
    uint32_t error = 0;
    for (const SyscallNumbers& call : all_syscalls())
        seccomp.rules.push_back({{std::string(call.name)}, "SCMP_ACT_ERRNO", ++error, {}});
    const auto code = compiled(seccomp);  // no two neighbours alike
    size_t most = 0;
    for (const SyscallNumbers& call : all_syscalls())
        most = std::max(most, run_filter(code, call_of(call.i386, {}, AUDIT_ARCH_I386)).executed);
    EXPECT_LE(most, 30U);
}

TEST(SeccompCompile, AsksForTheUpperHalfOfManyValuesOnce) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ERRNO", .architectures = {"SCMP_ARCH_X86_64"}};
    constexpr uint64_t kUpper = uint64_t{7} << 32;
    for (uint64_t value : {uint64_t{1}, uint64_t{2}, kUpper | 3, kUpper | 4, kUpper | 5})
        seccomp.rules.push_back(
            {{"personality"}, "SCMP_ACT_ALLOW", {}, {{0, value, 0, "SCMP_CMP_EQ"}}});
    const auto code = compiled(seccomp);
    for (uint64_t upper : {uint64_t{0}, kUpper, uint64_t{1} << 32})
        for (uint64_t lower = 0; lower < 8; ++lower) {
            const bool is_listed = upper == 0        ? lower == 1 || lower == 2
                                   : upper == kUpper ? lower >= 3 && lower <= 5
                                                     : false;
            EXPECT_EQ(run_filter(code, call_of(__NR_personality, {upper | lower})).action ==
                          SECCOMP_RET_ALLOW,
                      is_listed)
                << upper << " " << lower;
        }
    constexpr size_t kOneByOne = 4 * 5;
    Seccomp without = seccomp;
    without.rules.clear();
    EXPECT_LT(code.size() - compiled(without).size(), kOneByOne);
}

TEST(SeccompCompile, RefusesWhatIsTooLongForTheKernel) {
    Seccomp seccomp = {.default_action = "SCMP_ACT_ALLOW"};
    for (uint64_t value = 0; value < 2000; ++value)
        seccomp.rules.push_back(
            {{"personality"}, "SCMP_ACT_TRAP", {}, {{0, value << 32, 0, "SCMP_CMP_EQ"}}});
    EXPECT_NE(error_of(seccomp).find("linux.seccomp.syscalls: 8"), std::string::npos)
        << error_of(seccomp);
    EXPECT_NE(error_of(seccomp).find("the kernel takes 4096"), std::string::npos);
}

// ---- mistakes -----------------------------------------------------------------------------------

TEST(SeccompCompile, NamesThePlaceOfAMistake) {
    Seccomp seccomp = allow_list({"read"});
    seccomp.default_action = "ALLOW";
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.defaultAction: 'ALLOW' is not an action");
    seccomp = allow_list({"read"});
    seccomp.default_error = 4096;
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.defaultErrnoRet: 4096 is more than 4095");
    seccomp = allow_list({"read"});
    seccomp.architectures = {"SCMP_ARCH_X86", "x86"};
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.architectures[1]: 'x86' is not an architecture");
    seccomp = allow_list({"read"});
    seccomp.flags = {"LOG"};
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.flags[0]: 'LOG' is not a flag of filters");
    seccomp = allow_list({"read"});
    seccomp.rules.push_back({{"mkdir"}, "", {}, {}});
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.syscalls[1].action: '' is not an action");
    seccomp.rules[1] = {{"mkdir"}, "SCMP_ACT_TRAP", 3, {}};
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.syscalls[1].errnoRet: SCMP_ACT_TRAP has no errno");
    seccomp.rules[1] = {
        {"mkdir"}, "SCMP_ACT_TRAP", {}, {{0, 0, 0, "SCMP_CMP_EQ"}, {1, 0, 0, "=="}}};
    EXPECT_EQ(error_of(seccomp), "linux.seccomp.syscalls[1].args[1].op: '==' is not an operator");
    seccomp.rules[1] = {{"mkdir"}, "SCMP_ACT_TRAP", {}, {{6, 0, 0, "SCMP_CMP_EQ"}}};
    EXPECT_EQ(error_of(seccomp),
              "linux.seccomp.syscalls[1].args[0].index: a system call has arguments 0 to 5");
    EXPECT_EQ(compile(seccomp, "profile").error().message().substr(0, 20), "profile.syscalls[1].");
}

TEST(SeccompPrograms, CompileAProfileOnce) {
    SeccompPrograms programs;
    const auto first = programs.of(allow_list({"read"}));
    ASSERT_TRUE(first);
    EXPECT_EQ((*first)->instructions.size(), compiled(allow_list({"read"})).size());
    EXPECT_EQ(*first, *programs.of(allow_list({"read"})));
    EXPECT_NE(*first, *programs.of(allow_list({"write"})));
    Seccomp::Rule rule = {.names = {"read"}, .action = "SCMP_ACT_ERRNO"};
    rule.arguments = {{.index = 0, .value = 1, .op = "SCMP_CMP_EQ"}};
    const auto of_one = programs.of(with_rule(rule));
    rule.arguments[0].value = 2;
    EXPECT_NE(*of_one, *programs.of(with_rule(rule)));
}

TEST(SeccompPrograms, ForgetTheOldest) {
    SeccompPrograms programs;
    const auto first = programs.of(allow_list({"read"}));
    for (int error = 1; error <= 16; ++error) {
        Seccomp other = allow_list({"read"});
        other.default_error = EPERM + static_cast<uint32_t>(error);
        ASSERT_TRUE(programs.of(other));
    }
    EXPECT_NE(*first, *programs.of(allow_list({"read"})));
}

TEST(SeccompPrograms, KeepNoErrors) {
    SeccompPrograms programs;
    Seccomp wrong = allow_list({"read"});
    wrong.default_action = "SCMP_ACT_NOPE";
    EXPECT_FALSE(programs.of(wrong));
    EXPECT_FALSE(programs.of(wrong));
}

}  // namespace
}  // namespace sigil::isolation
