// compile() beside libseccomp, which runc, crun and systemd use: of random profiles both programs
// say the same of every system call.
#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

#include "isolation/bpf_interpreter.h"
#include "isolation/seccomp.h"
#include "isolation/syscall_table.h"

namespace sigil::isolation {
namespace {

struct Operator {
    const char* name;
    scmp_compare peer;
};

constexpr Operator kOperators[] = {
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

scmp_compare peer_of(const std::string& name) {
    for (const Operator& one : kOperators)
        if (one.name == name)
            return one.peer;
    ADD_FAILURE() << name;
    return SCMP_CMP_EQ;
}

uint32_t peer_action(const std::string& name, uint32_t error) {
    return name == "SCMP_ACT_ALLOW"  ? SCMP_ACT_ALLOW
           : name == "SCMP_ACT_TRAP" ? SCMP_ACT_TRAP
           : name == "SCMP_ACT_KILL" ? SCMP_ACT_KILL_THREAD
                                     : SCMP_ACT_ERRNO(error);
}

std::vector<sock_filter> exported(scmp_filter_ctx context) {
    const int file = ::memfd_create("filter", MFD_CLOEXEC);
    EXPECT_EQ(seccomp_export_bpf(context, file), 0);
    std::vector<sock_filter> code(static_cast<size_t>(::lseek(file, 0, SEEK_END)) /
                                  sizeof(sock_filter));
    const size_t size = code.size() * sizeof(sock_filter);
    EXPECT_EQ(::pread(file, code.data(), size, 0), static_cast<ssize_t>(size));
    ::close(file);
    return code;
}

std::vector<sock_filter> compiled_by_peer(const Seccomp& seccomp) {
    scmp_filter_ctx context =
        seccomp_init(peer_action(seccomp.default_action, seccomp.default_error.value_or(EPERM)));
    EXPECT_TRUE(context);
    seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (const std::string& name : seccomp.architectures)
        EXPECT_EQ(
            seccomp_arch_add(context, name == "SCMP_ARCH_X86" ? SCMP_ARCH_X86 : SCMP_ARCH_X32), 0);
    for (const Seccomp::Rule& rule : seccomp.rules) {
        if (rule.action == seccomp.default_action)
            continue;
        std::vector<scmp_arg_cmp> conditions;
        for (const Seccomp::Argument& argument : rule.arguments)
            conditions.push_back(
                {argument.index, peer_of(argument.op), argument.value, argument.value_two});
        for (const std::string& name : rule.names)
            EXPECT_EQ(seccomp_rule_add_array(
                          context, peer_action(rule.action, rule.error.value_or(EPERM)),
                          seccomp_syscall_resolve_name(name.c_str()),
                          static_cast<unsigned>(conditions.size()), conditions.data()),
                      0)
                << name;
    }
    auto code = exported(context);
    seccomp_release(context);
    return code;
}

// Calls that both know, that mean the same on each architecture, and that libseccomp does not turn
// into others.
std::vector<SyscallNumbers> common_calls() {
    constexpr int kNewest = 440;
    std::vector<SyscallNumbers> calls;
    for (const SyscallNumbers& call : all_syscalls()) {
        const std::string name(call.name);
        auto number_of = [&name](uint32_t architecture) {
            return seccomp_syscall_resolve_name_arch(architecture, name.c_str());
        };
        if (call.x86_64 >= 0 && call.x86_64 < kNewest && call.i386 >= 0 &&
            number_of(SCMP_ARCH_X86_64) == call.x86_64 && number_of(SCMP_ARCH_X86) == call.i386)
            calls.push_back(call);
    }
    return calls;
}

constexpr uint32_t kMachines[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};

const uint64_t kValues[] = {0,           1,           2,           7,         0xffffffff,
                            0x100000000, 0x100000001, 0x700000002, UINT64_MAX};

class Random {
  public:
    explicit Random(uint32_t seed) : engine_(seed) {}

    size_t below(size_t limit) {
        return std::uniform_int_distribution<size_t>(0, limit - 1)(engine_);
    }
    uint64_t value() { return kValues[below(std::size(kValues))]; }

    Seccomp::Rule rule(const SyscallNumbers& call, std::string action) {
        Seccomp::Rule rule = {.names = {std::string(call.name)}, .action = std::move(action)};
        if (rule.action == "SCMP_ACT_ERRNO")
            rule.error = 77;
        for (uint32_t index = 0; index < 6; ++index)
            if (below(5) == 0)
                rule.arguments.push_back(
                    {index, value(), value(), kOperators[below(std::size(kOperators))].name});
        return rule;
    }

  private:
    std::mt19937 engine_;
};

Seccomp random_profile(Random& random, const std::vector<SyscallNumbers>& calls) {
    const char* kActions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL"};
    Seccomp seccomp = {.default_action = random.below(2) ? "SCMP_ACT_ALLOW" : "SCMP_ACT_KILL"};
    if (random.below(2))
        seccomp.architectures.emplace_back("SCMP_ARCH_X86");
    for (const SyscallNumbers& call : calls)
        if (random.below(3) == 0)
            seccomp.rules.push_back(random.rule(call, kActions[random.below(4)]));
    return seccomp;
}

void expect_same(const Seccomp& seccomp, const std::vector<SyscallNumbers>& calls, Random& random) {
    auto program = compile(seccomp);
    ASSERT_TRUE(program.has_value());
    const auto peer = compiled_by_peer(seccomp);
    for (const SyscallNumbers& call : calls)
        for (uint32_t architecture : kMachines)
            for (int round = 0; round < 4; ++round) {
                std::array<uint64_t, 6> arguments;
                for (uint64_t& argument : arguments)
                    argument = architecture == AUDIT_ARCH_I386 ? random.value() & UINT32_MAX
                                                               : random.value();
                const seccomp_data data =
                    call_of(architecture == AUDIT_ARCH_I386 ? call.i386 : call.x86_64, arguments,
                            architecture);
                ASSERT_EQ(run_filter(program->instructions, data).action,
                          run_filter(peer, data).action)
                    << call.name << " on " << architecture;
            }
}

TEST(SeccompPeer, SaysTheSameOfEveryCall) {
    const auto calls = common_calls();
    ASSERT_GT(calls.size(), 200U);
    for (uint32_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        const Seccomp seccomp = random_profile(random, calls);
        ASSERT_NO_FATAL_FAILURE(expect_same(seccomp, calls, random));
    }
}

// Its table is as old as Debian's; ours must not differ where it knows a call.
TEST(SeccompPeer, KnowsTheSameNumbers) {
    for (const SyscallNumbers& call : all_syscalls()) {
        const std::string name(call.name);
        auto expect = [&name](uint32_t architecture, int number) {
            const int peer = seccomp_syscall_resolve_name_arch(architecture, name.c_str());
            EXPECT_TRUE(peer < 0 || peer == number) << name << ": " << peer << ", not " << number;
        };
        expect(SCMP_ARCH_X86_64, call.x86_64);
        expect(SCMP_ARCH_X86, call.i386);
    }
}

}  // namespace
}  // namespace sigil::isolation
