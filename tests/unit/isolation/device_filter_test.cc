// The program for a set of device rules, run by an interpreter of the instructions that it is made
// of and compared with the rules read one by one. tests/privileged loads it into the kernel.
#include "isolation/device_filter.h"

#include <random>

#include <gtest/gtest.h>

namespace sigil::isolation {
namespace {

constexpr uint32_t kRead = BPF_DEVCG_ACC_READ;
constexpr uint32_t kWrite = BPF_DEVCG_ACC_WRITE;
constexpr uint32_t kMakeNode = BPF_DEVCG_ACC_MKNOD;

struct Asked {
    char type;
    uint32_t major;
    uint32_t minor;
    uint32_t access;
};

// Runs the program as the kernel would; anything else than what it should be made of fails.
class Interpreter {
  public:
    explicit Interpreter(const Asked& asked)
        : context_{(asked.access << 16) | (asked.type == 'b' ? uint32_t{BPF_DEVCG_DEV_BLOCK}
                                                             : uint32_t{BPF_DEVCG_DEV_CHAR}),
                   asked.major, asked.minor} {}

    // -1: not a program that the kernel would take.
    int run(const std::vector<bpf_insn>& program) {
        for (size_t at = 0; at < program.size(); ++at) {
            const bpf_insn& one = program[at];
            if (one.code == (BPF_JMP | BPF_EXIT))
                return static_cast<int>(registers_[0]);
            if (!step(one))
                return -1;
            if (one.off < 0)
                return -1;
            if (is_taken_)
                at += static_cast<size_t>(one.off);
        }
        return -1;
    }

  private:
    bool step(const bpf_insn& one) {
        is_taken_ = false;
        uint32_t& to = registers_[one.dst_reg];
        const auto value = static_cast<uint32_t>(one.imm);
        switch (one.code) {
            case BPF_LDX | BPF_MEM | BPF_W:
                if (one.src_reg != BPF_REG_1 || one.off % 4 != 0 || one.off > 8)
                    return false;
                to = context_[one.off / 4];
                return true;
            case BPF_ALU | BPF_MOV | BPF_X:
                to = registers_[one.src_reg];
                return true;
            case BPF_ALU | BPF_MOV | BPF_K:
                to = value;
                return true;
            case BPF_ALU | BPF_AND | BPF_K:
                to &= value;
                return true;
            case BPF_ALU | BPF_RSH | BPF_K:
                to >>= value;
                return true;
            case BPF_JMP32 | BPF_JNE | BPF_K:
                is_taken_ = to != value;
                return true;
            case BPF_JMP32 | BPF_JEQ | BPF_K:
                is_taken_ = to == value;
                return true;
            default:
                return false;
        }
    }

    uint32_t context_[3];
    uint32_t registers_[11] = {};
    bool is_taken_ = false;
};

bool allows(const std::vector<DeviceRule>& rules, const Asked& asked) {
    const int answer = Interpreter(asked).run(device_program(rules));
    EXPECT_TRUE(answer == 0 || answer == 1) << answer;
    return answer == 1;
}

// The specification in its own words: for each kind of access, the last rule that matches.
bool should_allow(const std::vector<DeviceRule>& rules, const Asked& asked) {
    for (uint32_t access : {kRead, kWrite, kMakeNode}) {
        if (!(asked.access & access))
            continue;
        bool is_allowed = false;
        for (const DeviceRule& rule : rules) {
            const bool speaks = access == kRead    ? rule.read
                                : access == kWrite ? rule.write
                                                   : rule.make_node;
            if (speaks && (rule.type == 'a' || rule.type == asked.type) &&
                rule.major.value_or(asked.major) == asked.major &&
                rule.minor.value_or(asked.minor) == asked.minor)
                is_allowed = rule.allow;
        }
        if (!is_allowed)
            return false;
    }
    return true;
}

const DeviceRule kDenyAll = {};
const DeviceRule kAllowAll = {.allow = true};

TEST(DeviceProgram, DeniesWhatNoRuleSpeaksOf) {
    EXPECT_FALSE(allows({}, {'c', 1, 3, kRead}));
    EXPECT_FALSE(
        allows({{.allow = true, .type = 'c', .major = 1, .minor = 3}}, {'b', 1, 3, kRead}));
    EXPECT_FALSE(
        allows({{.allow = true, .type = 'c', .major = 1, .minor = 3}}, {'c', 1, 4, kRead}));
}

TEST(DeviceProgram, LetsEverybodyAskWhetherADeviceIsThere) {
    EXPECT_TRUE(allows({kDenyAll}, {'c', 1, 3, 0}));
}

TEST(DeviceProgram, GoesByTheLastRuleThatMatches) {
    const DeviceRule null = {.allow = true, .type = 'c', .major = 1, .minor = 3};
    EXPECT_TRUE(allows({kDenyAll, null}, {'c', 1, 3, kRead | kWrite | kMakeNode}));
    EXPECT_FALSE(allows({null, kDenyAll}, {'c', 1, 3, kRead}));
    EXPECT_TRUE(allows({kDenyAll, null, kAllowAll}, {'b', 8, 0, kWrite}));
}

TEST(DeviceProgram, TakesAPartOutOfAWiderRule) {
    const std::vector<DeviceRule> rules = {
        {.allow = true, .type = 'c', .major = 1},
        {.allow = false, .type = 'c', .major = 1, .minor = 1},
        {.allow = false, .type = 'c', .major = 1, .minor = 5, .read = false, .make_node = false}};
    EXPECT_TRUE(allows(rules, {'c', 1, 3, kRead | kWrite}));
    EXPECT_FALSE(allows(rules, {'c', 1, 1, kRead}));
    EXPECT_TRUE(allows(rules, {'c', 1, 5, kRead}));
    EXPECT_FALSE(allows(rules, {'c', 1, 5, kRead | kWrite}));
}

TEST(DeviceProgram, PutsAnAccessTogetherFromSeveralRules) {
    const std::vector<DeviceRule> rules = {
        {.allow = true, .type = 'c', .major = 9, .write = false, .make_node = false},
        {.allow = true, .type = 'c', .minor = 7, .read = false, .make_node = false}};
    EXPECT_TRUE(allows(rules, {'c', 9, 7, kRead | kWrite}));
    EXPECT_FALSE(allows(rules, {'c', 9, 8, kRead | kWrite}));
    EXPECT_FALSE(allows(rules, {'c', 9, 7, kRead | kWrite | kMakeNode}));
}

TEST(DeviceProgram, KnowsNumbersBeyondTheSignBit) {
    EXPECT_TRUE(allows({{.allow = true, .major = 0xffffffff, .minor = 0x80000000}},
                       {'b', 0xffffffff, 0x80000000, kRead}));
}

TEST(DeviceProgram, AgreesWithTheRulesReadOneByOne) {
    std::mt19937 random(20260101);
    auto below = [&random](uint32_t limit) { return random() % limit; };
    auto number = [&below]() -> std::optional<uint32_t> {
        if (below(3) == 0)
            return std::nullopt;
        return below(3);
    };
    for (int round = 0; round < 3000; ++round) {
        std::vector<DeviceRule> rules(below(7));
        for (DeviceRule& rule : rules)
            rule = {.allow = below(2) == 0,
                    .type = "abc"[below(3)],
                    .major = number(),
                    .minor = number(),
                    .read = below(3) != 0,
                    .write = below(3) != 0,
                    .make_node = below(3) != 0};
        for (uint32_t asked = 0; asked < 2 * 3 * 3 * 8; ++asked) {
            const Asked one = {"bc"[asked % 2], asked / 2 % 3, asked / 6 % 3, asked / 18};
            ASSERT_EQ(allows(rules, one), should_allow(rules, one))
                << "round " << round << ": " << one.type << " " << one.major << ":" << one.minor
                << " access " << one.access;
        }
    }
}

TEST(DeviceProgram, DropsWhatIsNeverAsked) {
    const std::vector<DeviceRule> one = {kAllowAll};
    const std::vector<DeviceRule> same = {{.allow = true, .type = 'b', .major = 8},
                                          kDenyAll,
                                          {.allow = false, .type = 'c', .major = 1},
                                          kAllowAll};
    EXPECT_EQ(device_program(one).size(), device_program(same).size());
    const DeviceRule null = {.allow = true, .type = 'c', .major = 1, .minor = 3};
    EXPECT_EQ(device_program(std::vector{null, null, null}).size(),
              device_program(std::vector{null}).size());
}

TEST(DefaultDevices, MayBeUsedWhateverTheBundleSays) {
    const std::vector<DeviceRule> rules = with_default_devices({kDenyAll});
    for (const auto& [major, minor] :
         {std::pair{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, 0}, {136, 77}})
        EXPECT_TRUE(allows(rules, {'c', static_cast<uint32_t>(major), static_cast<uint32_t>(minor),
                                   kRead | kWrite | kMakeNode}))
            << major << ":" << minor;
    EXPECT_FALSE(allows(rules, {'c', 1, 1, kRead}));     // mem
    EXPECT_FALSE(allows(rules, {'c', 5, 1, kWrite}));    // the machine's console
    EXPECT_FALSE(allows(rules, {'c', 10, 200, kRead}));  // tun
    EXPECT_FALSE(allows(rules, {'b', 8, 0, kRead}));
}

TEST(DefaultDevices, LetNodesOfAnyDeviceBeMade) {
    const std::vector<DeviceRule> rules = with_default_devices({});
    EXPECT_TRUE(allows(rules, {'b', 8, 0, kMakeNode}));
    EXPECT_TRUE(allows(rules, {'c', 1, 1, kMakeNode}));
    EXPECT_FALSE(allows(rules, {'c', 1, 1, kMakeNode | kRead}));
}

}  // namespace
}  // namespace sigil::isolation
