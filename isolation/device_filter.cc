#include "isolation/device_filter.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/default_devices.h"
#include "isolation/id_map.h"

namespace sigil::isolation {
namespace {

// Our programs are told from others' by their name (at most 15 characters).
constexpr std::string_view kProgramName = "sigil_devices";

// A job file may have rules of its own for each line.
constexpr size_t kMostFilters = 64;

// Of a kernel that has no such programs, or not for us.
bool is_refusal(const Error& error) {
    return error.is(EPERM) || error.is(EINVAL) || error.is(ENOSYS);
}

constexpr uint32_t kEveryAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

uint32_t access_of(const DeviceRule& rule) {
    return (rule.read ? uint32_t{BPF_DEVCG_ACC_READ} : 0) |
           (rule.write ? uint32_t{BPF_DEVCG_ACC_WRITE} : 0) |
           (rule.make_node ? uint32_t{BPF_DEVCG_ACC_MKNOD} : 0);
}

bool is_any_device(const DeviceRule& rule) {
    return rule.type == 'a' && !rule.major && !rule.minor;
}

// Whether each device of `rule` is also one of `other`.
bool is_within(const DeviceRule& rule, const DeviceRule& other) {
    return (other.type == 'a' || other.type == rule.type) &&
           (!other.major || other.major == rule.major) &&
           (!other.minor || other.minor == rule.minor);
}

// What of the rules decides anything, first the one that is asked first: the last. A kind of access
// that a later rule decides for all its devices is taken out.
struct Decision {
    DeviceRule rule;
    uint32_t access;
};
std::vector<Decision> decisions(std::span<const DeviceRule> rules) {
    std::vector<Decision> decided;
    for (size_t left = rules.size(); left > 0; --left) {
        const DeviceRule& rule = rules[left - 1];
        uint32_t access = access_of(rule);
        for (const Decision& later : decided)
            if (is_within(rule, later.rule))
                access &= ~later.access;
        if (access)
            decided.push_back({rule, access});
    }
    return decided;
}

constexpr uint8_t kResult = BPF_REG_0;
constexpr uint8_t kContext = BPF_REG_1;
constexpr uint8_t kType = BPF_REG_2;
constexpr uint8_t kAccess = BPF_REG_3;  // what is asked for and not yet allowed
constexpr uint8_t kMajor = BPF_REG_4;
constexpr uint8_t kMinor = BPF_REG_5;

// The instructions used here, by what they do.
class Assembler {
  public:
    void load(uint8_t into, size_t offset) {
        add(BPF_LDX | BPF_MEM | BPF_W, into, kContext, static_cast<int16_t>(offset), 0);
    }
    void copy(uint8_t into, uint8_t from) { add(BPF_ALU | BPF_MOV | BPF_X, into, from, 0, 0); }
    void keep_bits(uint8_t in, uint32_t mask) { add(BPF_ALU | BPF_AND | BPF_K, in, 0, 0, mask); }
    void shift_right(uint8_t in, uint32_t bits) { add(BPF_ALU | BPF_RSH | BPF_K, in, 0, 0, bits); }
    // Past the next `count` instructions, unless or if they are equal.
    void skip_unless(uint8_t in, uint32_t value, size_t count) {
        add(BPF_JMP32 | BPF_JNE | BPF_K, in, 0, static_cast<int16_t>(count), value);
    }
    void skip_if(uint8_t in, uint32_t value, size_t count) {
        add(BPF_JMP32 | BPF_JEQ | BPF_K, in, 0, static_cast<int16_t>(count), value);
    }
    void answer(bool allow) {
        add(BPF_ALU | BPF_MOV | BPF_K, kResult, 0, 0, allow ? 1 : 0);
        add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }
    void append(const std::vector<bpf_insn>& more) {
        program.insert(program.end(), more.begin(), more.end());
    }

    std::vector<bpf_insn> program;

  private:
    void add(int code, uint8_t to, uint8_t from, int16_t offset, uint32_t value) {
        program.push_back({.code = static_cast<uint8_t>(code),
                           .dst_reg = to,
                           .src_reg = from,
                           .off = offset,
                           .imm = static_cast<int32_t>(value)});
    }
};

constexpr size_t kAnswerLength = 2;

// What is done where a rule's device matches.
std::vector<bpf_insn> verdict(const Decision& decision) {
    Assembler code;
    if (decision.access == kEveryAccess) {
        code.answer(decision.rule.allow);
    } else if (decision.rule.allow) {
        code.keep_bits(kAccess, ~decision.access);
        code.skip_unless(kAccess, 0, kAnswerLength);
        code.answer(true);
    } else {
        code.copy(kResult, kAccess);
        code.keep_bits(kResult, decision.access);
        code.skip_if(kResult, 0, kAnswerLength);
        code.answer(false);
    }
    return std::move(code.program);
}

void append_rule(Assembler& code, const Decision& decision) {
    const std::vector<bpf_insn> then = verdict(decision);
    const DeviceRule& rule = decision.rule;
    const size_t checks_of_numbers = (rule.major ? 1 : 0) + (rule.minor ? 1 : 0);
    if (rule.type != 'a')
        code.skip_unless(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
                         checks_of_numbers + then.size());
    if (rule.major)
        code.skip_unless(kMajor, *rule.major, (rule.minor ? 1 : 0) + then.size());
    if (rule.minor)
        code.skip_unless(kMinor, *rule.minor, then.size());
    code.append(then);
}

Result<std::vector<uint32_t>> attached_programs(int cgroup) {
    std::array<uint32_t, 64> ids;  // BPF_CGROUP_MAX_PROGS
    bpf_attr query = {};
    query.query.target_fd = static_cast<uint32_t>(cgroup);
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
    query.query.prog_cnt = ids.size();
    TRY(sys::bpf(BPF_PROG_QUERY, query), "query the cgroup's device filters");
    return std::vector<uint32_t>(ids.begin(), ids.begin() + query.query.prog_cnt);
}

// The program, if it is one of ours.
Result<Fd> open_ours(uint32_t id) {
    bpf_attr by_id = {};
    by_id.prog_id = id;
    Fd program(TRY(sys::bpf(BPF_PROG_GET_FD_BY_ID, by_id), "open device filter {}", id));
    bpf_prog_info info = {};
    bpf_attr ask = {};
    ask.info.bpf_fd = static_cast<uint32_t>(program.get());
    ask.info.info_len = sizeof info;
    ask.info.info = reinterpret_cast<uint64_t>(&info);
    TRY(sys::bpf(BPF_OBJ_GET_INFO_BY_FD, ask), "ask for device filter {}", id);
    if (kProgramName != info.name)
        return Fd();
    return program;
}

bpf_attr attachment(int cgroup, int program) {
    bpf_attr attributes = {};
    attributes.target_fd = static_cast<uint32_t>(cgroup);
    attributes.attach_bpf_fd = static_cast<uint32_t>(program);
    attributes.attach_type = BPF_CGROUP_DEVICE;
    // Others attach theirs beside it, in this cgroup and below.
    attributes.attach_flags = BPF_F_ALLOW_MULTI;
    return attributes;
}

}  // namespace

// config-linux.md, "Default Devices". Of a terminal, /dev/console is a pseudo-terminal's slave.
std::vector<DeviceRule> with_default_devices(std::vector<DeviceRule> rules) {
    auto allow_nodes = [&rules](char type) {
        rules.push_back({.allow = true, .type = type, .read = false, .write = false});
    };
    auto allow = [&rules](uint32_t major, std::optional<uint32_t> minor) {
        rules.push_back({.allow = true, .type = 'c', .major = major, .minor = minor});
    };
    allow_nodes('c');
    allow_nodes('b');
    for (const DefaultDevice& device : kDefaultDevices)
        allow(device.major, device.minor);
    allow(5, 2);               // ptmx
    allow(136, std::nullopt);  // pts/*
    return rules;
}

std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules) {
    Assembler code;
    code.load(kType, offsetof(bpf_cgroup_dev_ctx, access_type));
    code.copy(kAccess, kType);
    code.shift_right(kAccess, 16);
    code.keep_bits(kType, 0xffff);
    code.load(kMajor, offsetof(bpf_cgroup_dev_ctx, major));
    code.load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor));
    // access(2) with F_OK asks for nothing.
    code.skip_unless(kAccess, 0, kAnswerLength);
    code.answer(true);
    for (const Decision& decision : decisions(rules)) {
        append_rule(code, decision);
        // The verifier refuses a program with instructions that can't be reached.
        if (is_any_device(decision.rule) && decision.access == kEveryAccess)
            return std::move(code.program);
    }
    code.answer(false);
    return std::move(code.program);
}

Result<DeviceFilter> DeviceFilter::load(std::span<const DeviceRule> rules) {
    const std::vector<bpf_insn> program = device_program(rules);
    bpf_attr attributes = {};
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = reinterpret_cast<uint64_t>(program.data());
    attributes.insn_cnt = static_cast<uint32_t>(program.size());
    attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
    attributes.expected_attach_type = BPF_CGROUP_DEVICE;
    std::ranges::copy(kProgramName, attributes.prog_name);
    auto loaded = sys::bpf(BPF_PROG_LOAD, attributes);
    if (!loaded && loaded.error().is(E2BIG))
        loaded = tl::unexpected(std::move(loaded).error().in(
            fmt::format("{} rules are more than the kernel's verifier follows", rules.size())));
    return DeviceFilter(Fd(TRY(std::move(loaded), "load the filter of devices")));
}

Result<void> DeviceFilter::attach_first(int cgroup) const {
    bpf_attr attributes = attachment(cgroup, program_.get());
    TRY(sys::bpf(BPF_PROG_ATTACH, attributes), "attach the filter of devices");
    return {};
}

// One of ours is exchanged in one step, so that there is no moment without a filter.
Result<void> DeviceFilter::attach(int cgroup) const {
    std::vector<Fd> ours;
    for (uint32_t id : TRY(attached_programs(cgroup))) {
        auto program = open_ours(id);
        if (!program && program.error().is(ENOENT))
            continue;  // detached meanwhile
        Fd one = TRY(std::move(program));
        if (one)
            ours.push_back(std::move(one));
    }
    if (ours.empty())
        return attach_first(cgroup);
    bpf_attr attributes = attachment(cgroup, program_.get());
    attributes.attach_flags |= BPF_F_REPLACE;
    attributes.replace_bpf_fd = static_cast<uint32_t>(ours[0].get());
    TRY(sys::bpf(BPF_PROG_ATTACH, attributes), "replace the filter of devices");
    for (size_t at = 1; at < ours.size(); ++at) {
        bpf_attr detach = attachment(cgroup, ours[at].get());
        TRY(sys::bpf(BPF_PROG_DETACH, detach), "detach a filter of devices");
    }
    return {};
}

Result<bool> DeviceFilters::restrict(int cgroup, const std::vector<DeviceRule>& rules) {
    const std::lock_guard lock(mutex_);
    if (is_refused_)
        return false;
    auto found = std::ranges::find(loaded_, rules, &Loaded::rules);
    if (found == loaded_.end()) {
        auto filter = DeviceFilter::load(with_default_devices(rules));
        if (!filter && is_refusal(filter.error())) {
            is_refused_ = true;
            return false;
        }
        if (loaded_.size() >= kMostFilters)
            loaded_.pop_front();
        found = loaded_.insert(loaded_.end(), {rules, TRY(std::move(filter))});
    }
    TRY(found->filter.attach_first(cgroup));
    return true;
}

Result<void> restrict_devices(int cgroup, const std::vector<DeviceRule>& rules) {
    auto restricted = [&]() -> Result<void> {
        return TRY(DeviceFilter::load(with_default_devices(rules))).attach(cgroup);
    }();
    if (!restricted && restricted.error().is(EPERM) && is_in_user_namespace())
        return {};
    TRY(std::move(restricted), "linux.resources.devices");
    return {};
}

}  // namespace sigil::isolation
