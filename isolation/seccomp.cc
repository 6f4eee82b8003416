#include "isolation/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/filter_writer.h"
#include "isolation/syscall_table.h"

namespace sigil::isolation {
namespace {

using Text = std::string_view;

// ---- words ------------------------------------------------------------------------------------

template <typename T>
struct Word {
    Text text;
    T value;
};

struct ActionKind {
    uint32_t action;
    bool has_error = false;
};

constexpr std::array kActions = {
    Word<ActionKind>{"SCMP_ACT_ALLOW", {SECCOMP_RET_ALLOW}},
    Word<ActionKind>{"SCMP_ACT_ERRNO", {SECCOMP_RET_ERRNO, true}},
    Word<ActionKind>{"SCMP_ACT_KILL", {SECCOMP_RET_KILL_THREAD}},
    Word<ActionKind>{"SCMP_ACT_KILL_PROCESS", {SECCOMP_RET_KILL_PROCESS}},
    Word<ActionKind>{"SCMP_ACT_KILL_THREAD", {SECCOMP_RET_KILL_THREAD}},
    Word<ActionKind>{"SCMP_ACT_LOG", {SECCOMP_RET_LOG}},
    Word<ActionKind>{"SCMP_ACT_NOTIFY", {SECCOMP_RET_USER_NOTIF}},
    Word<ActionKind>{"SCMP_ACT_TRACE", {SECCOMP_RET_TRACE, true}},
    Word<ActionKind>{"SCMP_ACT_TRAP", {SECCOMP_RET_TRAP}},
};

constexpr std::array kOperators = {
    Word<Comparison>{"SCMP_CMP_EQ", Comparison::equal},
    Word<Comparison>{"SCMP_CMP_GE", Comparison::greater_or_equal},
    Word<Comparison>{"SCMP_CMP_GT", Comparison::greater},
    Word<Comparison>{"SCMP_CMP_LE", Comparison::less_or_equal},
    Word<Comparison>{"SCMP_CMP_LT", Comparison::less},
    Word<Comparison>{"SCMP_CMP_MASKED_EQ", Comparison::masked_equal},
    Word<Comparison>{"SCMP_CMP_NE", Comparison::not_equal},
};

// No kernel that runs this binary meets a process of another machine's.
enum class Architecture : uint8_t { x86_64, i386, x32, foreign };

constexpr std::array kArchitectures = {
    Word<Architecture>{"SCMP_ARCH_X86_64", Architecture::x86_64},
    Word<Architecture>{"SCMP_ARCH_NATIVE", Architecture::x86_64},
    Word<Architecture>{"SCMP_ARCH_X86", Architecture::i386},
    Word<Architecture>{"SCMP_ARCH_X32", Architecture::x32},
    Word<Architecture>{"SCMP_ARCH_AARCH64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_ARM", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_LOONGARCH64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_M68K", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPS", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPS64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPS64N32", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPSEL", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPSEL64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_MIPSEL64N32", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_PARISC", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_PARISC64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_PPC", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_PPC64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_PPC64LE", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_RISCV64", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_S390", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_S390X", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_SH", Architecture::foreign},
    Word<Architecture>{"SCMP_ARCH_SHEB", Architecture::foreign},
};

// Of newer kernels than the headers'.
constexpr uint32_t kLog = 1U << 1;
constexpr uint32_t kAllowSpeculation = 1U << 2;
constexpr uint32_t kNewListener = 1U << 3;
constexpr uint32_t kWaitKillable = 1U << 5;

constexpr std::array kFlags = {
    Word<uint32_t>{"SECCOMP_FILTER_FLAG_TSYNC", 0},  // of all threads: there is but one
    Word<uint32_t>{"SECCOMP_FILTER_FLAG_LOG", kLog},
    Word<uint32_t>{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", kAllowSpeculation},
    Word<uint32_t>{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", kWaitKillable},
};

template <typename T, size_t N>
Result<T> parse_word(const std::array<Word<T>, N>& words, Text text, Text kind) {
    auto found = std::ranges::find(words, text, &Word<T>::text);
    if (found == words.end())
        return failure("'{}' is not {}", printable(text), kind);
    return found->value;
}

// Where in the profile, of the whole or of a rule: what leads the names of its members. Becomes
// text only for an error.
struct Place {
    Text path;
    std::optional<size_t> rule = {};

    [[nodiscard]] std::string text() const {
        std::string text(path);
        if (!text.empty())
            text += '.';
        return rule ? fmt::format("{}syscalls[{}].", text, *rule) : text;
    }
};

constexpr uint32_t kMostErrno = 4095;  // MAX_ERRNO of the kernel, which caps what is more

Result<uint32_t> parse_action(const Place& place, Text name, Text text, Text error_name,
                              std::optional<uint32_t> error) {
    const ActionKind kind =
        TRY(parse_word(kActions, text, "an action"), "{}{}", place.text(), name);
    if (!kind.has_error) {
        if (error)
            return failure("{}{}: {} has no errno", place.text(), error_name, text);
        return kind.action;
    }
    if (error.value_or(EPERM) > kMostErrno)
        return failure("{}{}: {} is more than {}", place.text(), error_name, *error, kMostErrno);
    return kind.action | error.value_or(EPERM);
}

Result<std::vector<Condition>> parse_conditions(const Seccomp::Rule& rule, const Place& place) {
    constexpr uint32_t kArguments = 6;
    std::vector<Condition> conditions;
    for (size_t index = 0; index < rule.arguments.size(); ++index) {
        const Seccomp::Argument& argument = rule.arguments[index];
        if (argument.index >= kArguments)
            return failure("{}args[{}].index: a system call has arguments 0 to {}", place.text(),
                           index, kArguments - 1);
        conditions.push_back({argument.index,
                              TRY(parse_word(kOperators, argument.op, "an operator"),
                                  "{}args[{}].op", place.text(), index),
                              argument.value, argument.value_two});
    }
    return conditions;
}

// ---- what becomes of each system call of one architecture -------------------------------------

class CallTable {
  public:
    explicit CallTable(uint32_t otherwise) : otherwise_(otherwise) {}

    void add(int number, std::vector<Condition> conditions, uint32_t action) {
        Slot& slot = slot_of(number);
        if (slot.has_action)
            return;
        if (!conditions.empty()) {
            slot.cases.push_back({std::move(conditions), action});
            return;
        }
        slot = {.has_action = true, .action = action, .cases = {}};
    }

    // The profile names it, whatever it says of it.
    void mark_known(int number) {
        slot_of(number);
        if (number < kFirstX32)
            newest_ = std::max(newest_, number);
    }

    // From `first` on; the table must live as long as they are used.
    void append_ranges(uint32_t first, std::vector<Range>& ranges) const {
        auto append = [&ranges](Range range) {
            const bool is_same = !ranges.empty() && !range.cases && !ranges.back().cases &&
                                 ranges.back().action == range.action;
            if (!is_same)
                ranges.push_back(range);
        };
        for (size_t number = 0; number < slots_.size(); ++number) {
            const Slot& slot = slots_[number];
            Range range = {
                .first = first + static_cast<uint32_t>(number),
                .action = slot.has_action ? slot.action : otherwise_at(static_cast<int>(number))};
            if (!slot.cases.empty())
                range = {range.first, otherwise_, &slot.cases};
            append(range);
        }
        append({.first = first + static_cast<uint32_t>(slots_.size()), .action = newer()});
    }

  private:
    // x32 has some calls of its own, behind all others.
    static constexpr int kFirstX32 = 512;

    struct Slot {
        bool has_action = false;
        uint32_t action = 0;
        std::vector<Case> cases;
    };

    Slot& slot_of(int number) {
        const auto index = static_cast<size_t>(number);
        if (index >= slots_.size())
            slots_.resize(index + 1);
        return slots_[index];
    }

    [[nodiscard]] uint32_t otherwise_at(int number) const {
        return number > newest_ ? newer() : otherwise_;
    }

    [[nodiscard]] uint32_t newer() const {
        const bool is_errno = (otherwise_ & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
        return is_errno && newest_ >= 0 ? SECCOMP_RET_ERRNO | ENOSYS : otherwise_;
    }

    uint32_t otherwise_;
    int newest_ = -1;
    std::vector<Slot> slots_;
};

// ---- i386 calls that go through another ---------------------------------------------------------

struct Multiplexed {
    Text name;
    uint32_t number;  // the first argument of socketcall(2) or ipc(2)
};

// linux/net.h, SYS_*.
constexpr std::array kSocketCalls = {
    Multiplexed{"socket", 1},      Multiplexed{"bind", 2},        Multiplexed{"connect", 3},
    Multiplexed{"listen", 4},      Multiplexed{"accept", 5},      Multiplexed{"getsockname", 6},
    Multiplexed{"getpeername", 7}, Multiplexed{"socketpair", 8},  Multiplexed{"send", 9},
    Multiplexed{"recv", 10},       Multiplexed{"sendto", 11},     Multiplexed{"recvfrom", 12},
    Multiplexed{"shutdown", 13},   Multiplexed{"setsockopt", 14}, Multiplexed{"getsockopt", 15},
    Multiplexed{"sendmsg", 16},    Multiplexed{"recvmsg", 17},    Multiplexed{"accept4", 18},
    Multiplexed{"recvmmsg", 19},   Multiplexed{"sendmmsg", 20},
};

// linux/ipc.h.
constexpr std::array kIpcCalls = {
    Multiplexed{"semop", 1},      Multiplexed{"semget", 2},  Multiplexed{"semctl", 3},
    Multiplexed{"semtimedop", 4}, Multiplexed{"msgsnd", 11}, Multiplexed{"msgrcv", 12},
    Multiplexed{"msgget", 13},    Multiplexed{"msgctl", 14}, Multiplexed{"shmat", 21},
    Multiplexed{"shmdt", 22},     Multiplexed{"shmget", 23}, Multiplexed{"shmctl", 24},
};

constexpr int kSocketcall = 102;
constexpr int kIpc = 117;

// There an argument's upper half is 0: so must be a value's, or -1 would never be met.
std::vector<Condition> in_32_bits(std::vector<Condition> conditions) {
    for (Condition& condition : conditions) {
        condition.value &= UINT32_MAX;
        condition.value_two &= UINT32_MAX;
    }
    return conditions;
}

bool lets_through(uint32_t action) {
    switch (action & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW:
        case SECCOMP_RET_LOG:
            return true;
        default:
            return false;
    }
}

// The arguments lie in memory there, where no filter sees them: what has conditions is refused as
// if they held, and not allowed.
void add_multiplexed(Text name, bool is_conditional, uint32_t action, CallTable& table) {
    if (is_conditional && lets_through(action))
        return;
    if (auto found = std::ranges::find(kSocketCalls, name, &Multiplexed::name);
        found != kSocketCalls.end())
        table.add(kSocketcall, {{0, Comparison::equal, found->number, 0}}, action);
    constexpr uint64_t kCallBits = 0xffff;  // above them is a version
    if (auto found = std::ranges::find(kIpcCalls, name, &Multiplexed::name);
        found != kIpcCalls.end())
        table.add(kIpc, {{0, Comparison::masked_equal, kCallBits, found->number}}, action);
}

// ---- the whole ----------------------------------------------------------------------------------

constexpr uint32_t kX32Bit = 0x40000000;
constexpr uint32_t kNoCall = UINT32_MAX;  // a tracer has called it off
constexpr uint32_t kOtherArchitecture = SECCOMP_RET_KILL_PROCESS;

class Compiler {
  public:
    Compiler(uint32_t otherwise, bool has_i386, bool has_x32)
        : otherwise_(otherwise), has_i386_(has_i386), has_x32_(has_x32) {}

    void add(const SyscallNumbers& call, const std::vector<Condition>& conditions,
             uint32_t action) {
        add(native_, call.x86_64, conditions, action);
        if (has_x32_)
            add(x32_, call.x32, conditions, action);
        if (!has_i386_)
            return;
        add(i386_, call.i386, in_32_bits(conditions), action);
        if (action != otherwise_)
            add_multiplexed(call.name, !conditions.empty(), action, i386_);
    }

    [[nodiscard]] std::vector<sock_filter> code() const {
        using Label = FilterWriter::Label;
        FilterWriter writer;
        Label other = 0;
        if (has_i386_) {
            std::vector<Range> ranges;
            i386_.append_ranges(0, ranges);
            // Few commands use it: they pay for each call what every start is spared.
            const Label i386 = writer.search(ranges, true);
            other = writer.when_equal(AUDIT_ARCH_I386, i386, writer.give(kOtherArchitecture));
        } else {
            other = writer.give(kOtherArchitecture);
        }
        const Label native = writer.search(native_ranges(), false);
        writer.when_equal(AUDIT_ARCH_X86_64, native, other);
        writer.load(offsetof(seccomp_data, arch));
        return std::move(writer).finish();
    }

  private:
    // Makes of conditions of the same argument rules of their own.
    void add(CallTable& table, int number, const std::vector<Condition>& conditions,
             uint32_t action) {
        if (number < 0)
            return;
        table.mark_known(number);
        if (action == otherwise_)
            return;
        uint32_t seen = 0;
        bool is_repeated = false;
        for (const Condition& condition : conditions) {
            is_repeated = is_repeated || seen >> condition.argument & 1;
            seen |= 1U << condition.argument;
        }
        if (!is_repeated)
            return table.add(number, conditions, action);
        for (const Condition& condition : conditions)
            table.add(number, {condition}, action);
    }

    [[nodiscard]] std::vector<Range> native_ranges() const {
        std::vector<Range> ranges;
        native_.append_ranges(0, ranges);
        if (has_x32_)
            x32_.append_ranges(kX32Bit, ranges);
        else
            ranges.push_back({.first = kX32Bit, .action = kOtherArchitecture});
        ranges.push_back({.first = kNoCall, .action = otherwise_});
        return ranges;
    }

    uint32_t otherwise_;
    bool has_i386_;
    bool has_x32_;
    CallTable native_{otherwise_};
    CallTable i386_{otherwise_};
    CallTable x32_{otherwise_};
};

Result<Compiler> start(const Seccomp& seccomp, Text path) {
    const uint32_t otherwise =
        TRY(parse_action(Place{path}, "defaultAction", seccomp.default_action, "defaultErrnoRet",
                         seccomp.default_error));
    bool has_i386 = false;
    bool has_x32 = false;
    for (size_t index = 0; index < seccomp.architectures.size(); ++index) {
        const Architecture architecture =
            TRY(parse_word(kArchitectures, seccomp.architectures[index], "an architecture"),
                "{}architectures[{}]", Place{path}.text(), index);
        has_i386 = has_i386 || architecture == Architecture::i386;
        has_x32 = has_x32 || architecture == Architecture::x32;
    }
    return Compiler(otherwise, has_i386, has_x32);
}

Result<uint32_t> parse_flags(const Seccomp& seccomp, bool notifies, Text path) {
    uint32_t flags = notifies ? kNewListener : 0;
    for (size_t index = 0; index < seccomp.flags.size(); ++index)
        flags |= TRY(parse_word(kFlags, seccomp.flags[index], "a flag of filters"), "{}flags[{}]",
                     Place{path}.text(), index);
    // seccomp(2): of a listener only, EINVAL without one.
    return notifies ? flags : flags & ~kWaitKillable;
}

}  // namespace

Result<SeccompProgram> compile(const Seccomp& seccomp, Text path) {
    Compiler compiler = TRY(start(seccomp, path));
    bool notifies = seccomp.default_action == "SCMP_ACT_NOTIFY";
    for (size_t index = 0; index < seccomp.rules.size(); ++index) {
        const Seccomp::Rule& rule = seccomp.rules[index];
        const Place place = {path, index};
        const uint32_t action =
            TRY(parse_action(place, "action", rule.action, "errnoRet", rule.error));
        notifies = notifies || (action == SECCOMP_RET_USER_NOTIF && !rule.names.empty());
        const auto conditions = TRY(parse_conditions(rule, place));
        for (const std::string& name : rule.names)
            if (const SyscallNumbers* call = find_syscall(name))
                compiler.add(*call, conditions, action);
    }
    if (notifies && seccomp.listener_path.empty())
        return failure("{}listenerPath: SCMP_ACT_NOTIFY needs somebody who listens",
                       Place{path}.text());
    SeccompProgram program;
    program.flags = TRY(parse_flags(seccomp, notifies, path));
    program.instructions = compiler.code();
    if (program.instructions.size() > BPF_MAXINSNS)
        return failure("{}syscalls: {} instructions, the kernel takes {}", Place{path}.text(),
                       program.instructions.size(), BPF_MAXINSNS);
    return program;
}

SeccompVocabulary seccomp_vocabulary() {
    auto texts = [](const auto& words) {
        std::vector<std::string> all;
        all.reserve(std::size(words));
        for (const auto& word : words)
            all.emplace_back(word.text);
        return all;
    };
    return {texts(kActions), texts(kOperators), texts(kArchitectures), texts(kFlags)};
}

}  // namespace sigil::isolation
