// config-linux.md, "Control groups": written for cgroup v1, and turned here into what cgroup v2
// has, as runc and crun do it. A 0 is as good as nothing said, wherever it makes no sense as a
// limit: the engines write whole objects of zeroes. What has no counterpart in v2 and would change
// how the container runs is an error (config-linux.md, "Unified": "If the conversion is not
// possible the runtime MUST generate an error"); what no kernel has any more is ignored.
#include <algorithm>
#include <cmath>

#include "core/spec_reader_parts.h"

namespace sigil::spec_reader {
namespace {

void add_file(Resources& into, const Json& source, std::string name, std::string value) {
    into.files.push_back(
        {.name = std::move(name), .value = std::move(value), .origin = source.path()});
}

// -1: no limit; 0: nothing is said.
Result<std::optional<uint64_t>> read_limit(const Json& object, const char* key) {
    std::optional<int64_t> limit;
    TRY(object.read(key, limit, int64_t{-1}));
    if (!limit || *limit == 0)
        return std::nullopt;
    return *limit < 0 ? UINT64_MAX : static_cast<uint64_t>(*limit);
}

tl::unexpected<Error> no_counterpart(const Json& value) {
    return value.fail("cgroup v2 has nothing of the kind");
}

// ---- memory -----------------------------------------------------------------------------------

// The limits of kernel memory and its hierarchy are gone from the kernel: kernel, kernelTCP,
// useHierarchy.
Result<void> read_memory(const Json& resources, Resources& into) {
    const auto memory = TRY(resources.object("memory"));
    if (!memory)
        return {};
    into.memory = TRY(read_limit(*memory, "limit"));
    into.memory_swap = TRY(read_limit(*memory, "swap"));
    // v1's limit covers memory and swap, v2's swap alone: the difference needs both.
    if (into.memory_swap && *into.memory_swap != UINT64_MAX) {
        const Json swap = *memory->find("swap");
        if (!into.memory)
            return swap.fail("a limit of memory and swap needs one of memory");
        if (*into.memory != UINT64_MAX && *into.memory_swap < *into.memory)
            return swap.fail("{} is less than the memory limit of {}", *into.memory_swap,
                             *into.memory);
    }
    // In v1 a container without a memory limit may swap as it likes.
    if (into.memory == UINT64_MAX && !into.memory_swap)
        into.memory_swap = UINT64_MAX;
    if (const auto low = TRY(read_limit(*memory, "reservation")))
        add_file(into, *memory->find("reservation"), "memory.low", number_or_max(*low));
    TRY(memory->read("checkBeforeUpdate", into.check_memory));
    if (const auto swappiness = memory->find("swappiness")) {
        TRY(swappiness->whole(0, 100));
        return no_counterpart(*swappiness);
    }
    if (const auto disable = memory->find("disableOOMKiller"); disable && TRY(disable->flag()))
        return no_counterpart(*disable);
    return {};
}

// ---- cpu --------------------------------------------------------------------------------------

// Shares of 2 to 262144 as weights of 1 to 10000, where 1024, the one's default, is 100, the
// other's. runc until 1.3.1 and crun until 1.22 had a straight line, on which it was 39; this curve
// is that of runc 1.3.2 and crun 1.23 (github.com/opencontainers/runc/issues/4896,
// github.com/containers/crun/pull/1767).
uint64_t weight_of_shares(uint64_t shares) {
    constexpr uint64_t kLeast = 2;
    constexpr uint64_t kMost = 262144;
    if (shares <= kLeast)
        return 1;
    if (shares >= kMost)
        return 10'000;
    const double l = std::log2(static_cast<double>(shares));
    const double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
    return static_cast<uint64_t>(std::ceil(std::pow(10, exponent)));
}

// The kernel refuses a weight for a cgroup that is idle: what ends that comes first, what begins it
// last.
Result<void> read_weight_and_idle(const Json& cpu, Resources& into) {
    std::optional<uint64_t> shares;
    std::optional<int> idle;
    TRY(cpu.read("shares", shares));
    TRY(cpu.read("idle", idle, 0, 1));
    if (idle == 0)
        add_file(into, *cpu.find("idle"), "cpu.idle", "0");
    if (shares && *shares != 0)
        add_file(into, *cpu.find("shares"), "cpu.weight",
                 fmt::format("{}", weight_of_shares(*shares)));
    if (idle == 1)
        add_file(into, *cpu.find("idle"), "cpu.idle", "1");
    return {};
}

Result<void> read_bandwidth(const Json& cpu, Resources& into) {
    std::optional<int64_t> quota;
    TRY(cpu.read("quota", quota));
    if (quota && *quota != 0)
        into.cpu_quota = *quota < 0 ? UINT64_MAX : static_cast<uint64_t>(*quota);
    TRY(cpu.read("period", into.cpu_period));
    if (into.cpu_period == 0)
        into.cpu_period.reset();
    std::optional<uint64_t> burst;
    TRY(cpu.read("burst", burst));
    if (!burst)
        return {};
    const Json value = *cpu.find("burst");
    if (into.cpu_quota && *burst > *into.cpu_quota)
        return value.fail("{} is more than the quota of {}", *burst, *into.cpu_quota);
    add_file(into, value, "cpu.max.burst", fmt::format("{}", *burst));
    return {};
}

Result<void> read_cpu(const Json& resources, Resources& into) {
    const auto cpu = TRY(resources.object("cpu"));
    if (!cpu)
        return {};
    TRY(read_weight_and_idle(*cpu, into));
    TRY(read_bandwidth(*cpu, into));
    TRY(cpu->read("cpus", into.cpuset_cpus));
    std::string nodes;
    TRY(cpu->read("mems", nodes));
    if (!nodes.empty())
        add_file(into, *cpu->find("mems"), "cpuset.mems", std::move(nodes));
    for (const char* key : {"realtimeRuntime", "realtimePeriod"})
        if (const auto value = cpu->find(key); value && TRY(value->whole(INT64_MIN, UINT64_MAX)))
            return no_counterpart(*value);
    return {};
}

// ---- pids -------------------------------------------------------------------------------------

// -1 is no limit. 0 is one since runtime-spec 1.3; the kernel counts a clone into the cgroup, so
// with it nothing could start; 1 is the same to what runs: it can't fork. Before, "default is no
// limit" was the word, and podman (until 5.4) and CRI-O write 0 for that
// (github.com/opencontainers/runc/issues/4014).
Result<void> read_pids(const Json& resources, Resources& into, ZeroPids zero) {
    const auto pids = TRY(resources.object("pids"));
    std::optional<int64_t> limit;
    if (pids)
        TRY(pids->read("limit", limit, int64_t{-1}));
    if (limit == 0 && zero == ZeroPids::no_limit)
        limit = -1;
    if (limit)
        into.pids = *limit < 0 ? UINT64_MAX : static_cast<uint64_t>(std::max<int64_t>(*limit, 1));
    return {};
}

// ---- block I/O --------------------------------------------------------------------------------

// "8:16"
Result<std::string> read_device_number(const Json& object) {
    const auto major = TRY(object.need_whole<uint32_t>("major"));
    const auto minor = TRY(object.need_whole<uint32_t>("minor"));
    return fmt::format("{}:{}", major, minor);
}

// BFQ's weight is v1's; io.weight, of the cost model, is 1 to 10000 for v1's 10 to 1000.
Result<void> add_io_weight(const Json& object, std::string prefix, Resources& into) {
    constexpr uint64_t kLeast = 10;
    constexpr uint64_t kMost = 1000;
    const auto value = object.find("weight");
    if (!value)
        return {};
    const auto weight = static_cast<uint64_t>(TRY(value->whole(0, kMost)));
    if (weight == 0)
        return {};
    if (weight < kLeast)
        return value->fail("{} is not from {} to {}", weight, kLeast, kMost);
    into.files.push_back(
        {.name = "io.bfq.weight",
         .value = fmt::format("{}{}", prefix, weight),
         .origin = value->path(),
         .other_name = "io.weight",
         .other_value = fmt::format("{}{}", prefix, 1 + (weight - kLeast) * 9999 / 990)});
    return {};
}

// leafWeight was of CFQ, which Linux 5.0 has dropped.
Result<void> read_block_io(const Json& resources, Resources& into) {
    const auto io = TRY(resources.object("blockIO"));
    if (!io)
        return {};
    TRY(add_io_weight(*io, "", into));
    auto add_weight = [&](const Json& device) -> Result<void> {
        return add_io_weight(device, TRY(read_device_number(device)) + " ", into);
    };
    TRY(io->each("weightDevice", add_weight));
    constexpr std::pair<const char*, const char*> kThrottles[] = {
        {"throttleReadBpsDevice", "rbps"},
        {"throttleWriteBpsDevice", "wbps"},
        {"throttleReadIOPSDevice", "riops"},
        {"throttleWriteIOPSDevice", "wiops"},
    };
    for (const auto& [key, word] : kThrottles) {
        auto add_throttle = [&into, word = word](const Json& device) -> Result<void> {
            const auto rate = TRY(device.need_whole<uint64_t>("rate"));
            // 0 takes a limit back in v1 (blkio-controller.rst).
            add_file(into, device, "io.max",
                     fmt::format("{} {}={}", TRY(read_device_number(device)), word,
                                 number_or_max(rate == 0 ? UINT64_MAX : rate)));
            return {};
        };
        TRY(io->each(key, add_throttle));
    }
    return {};
}

// ---- the rest ---------------------------------------------------------------------------------

// "2MB": a part of a file's name.
bool is_page_size(std::string_view text) {
    const size_t digits = text.find_first_not_of("0123456789");
    const std::string_view unit = digits == std::string_view::npos ? "" : text.substr(digits);
    return digits > 0 && digits < 8 && (unit == "KB" || unit == "MB" || unit == "GB");
}

// Reservations where the kernel counts them (5.7), and always use.
Result<void> read_huge_pages(const Json& resources, Resources& into) {
    return resources.each("hugepageLimits", [&](const Json& limit) -> Result<void> {
        const Json size = TRY(limit.need("pageSize"));
        const std::string_view text = TRY(size.text());
        if (!is_page_size(text))
            return size.fail("'{}' is not the size of a page: 64KB, 2MB, 1GB", printable(text));
        const std::string value = fmt::format("{}", TRY(limit.need_whole<uint64_t>("limit")));
        add_file(into, limit, fmt::format("hugetlb.{}.max", text), value);
        add_file(into, limit, fmt::format("hugetlb.{}.rsvd.max", text), value);
        into.files.back().may_be_missing = true;
        return {};
    });
}

Result<void> read_rdma(const Json& resources, Resources& into) {
    return resources.each_member(
        "rdma", [&](std::string_view device, const Json& value) -> Result<void> {
            TRY(value.check_object());
            if (device.empty() || device.find_first_of(" \t\n=") != std::string_view::npos)
                return value.fail("not the name of a device");
            std::optional<uint32_t> handles;
            std::optional<uint32_t> objects;
            TRY(value.read("hcaHandles", handles));
            TRY(value.read("hcaObjects", objects));
            if (!handles && !objects)
                return value.fail("neither hcaHandles nor hcaObjects");
            std::string line(device);
            if (handles)
                line += fmt::format(" hca_handle={}", *handles);
            if (objects)
                line += fmt::format(" hca_object={}", *objects);
            add_file(into, value, "rdma.max", std::move(line));
            return {};
        });
}

// Files as they stand, after all others. The kernel takes one line a write where each is of another
// device (io.max).
Result<void> read_unified(const Json& resources, Resources& into) {
    return resources.each_member(
        "unified", [&](std::string_view name, const Json& value) -> Result<void> {
            if (name.find('/') != std::string_view::npos)
                return value.fail("not the name of a file: it has a slash");
            const size_t dot = name.find('.');
            if (dot == std::string_view::npos || dot == 0)
                return value.fail("not a CONTROLLER.FILE");
            std::string_view text = TRY(value.text());
            do {
                add_file(into, value, std::string(name), std::string(take_part(text, '\n')));
            } while (!text.empty());
            return {};
        });
}

// ---- devices ----------------------------------------------------------------------------------

constexpr std::array kRuleTypes = {
    Named<char>{"a", 'a'},
    Named<char>{"b", 'b'},
    Named<char>{"c", 'c'},
};

// -1 is what engines write for "any", which is said by leaving it out.
Result<void> read_rule_number(const Json& rule, const char* key, std::optional<uint32_t>& into) {
    std::optional<int64_t> number;
    TRY(rule.read(key, number, int64_t{-1}, int64_t{UINT32_MAX}));
    if (number && *number >= 0)
        into = static_cast<uint32_t>(*number);
    return {};
}

Result<void> read_device_rule(const Json& object, std::vector<DeviceRule>& rules) {
    DeviceRule rule;
    const Json allow = TRY(object.need("allow"));
    rule.allow = TRY(allow.flag());
    if (const auto type = object.find("type"); type && !TRY(type->text()).empty())
        rule.type = TRY(find_named(*type, kRuleTypes, "a type of device: a, b or c"));
    TRY(read_rule_number(object, "major", rule.major));
    TRY(read_rule_number(object, "minor", rule.minor));
    if (const auto access = object.find("access")) {
        const std::string_view text = TRY(access->text());
        if (text.empty() || text.find_first_not_of("rwm") != std::string_view::npos)
            return access->fail("'{}' is not made of r, w and m", printable(text));
        rule.read = text.find('r') != std::string_view::npos;
        rule.write = text.find('w') != std::string_view::npos;
        rule.make_node = text.find('m') != std::string_view::npos;
    }
    rules.push_back(rule);
    return {};
}

}  // namespace

// network (net_cls, net_prio) marks packets for a firewall or scheduler outside: v2 has no such
// controller, and like runc we let it pass.
Result<void> read_resources_object(const Json& resources, Resources& into,
                                   std::vector<DeviceRule>& device_rules, ZeroPids zero_pids) {
    into.json_path = resources.path();
    TRY(resources.each("devices",
                       [&](const Json& rule) { return read_device_rule(rule, device_rules); }));
    TRY(read_memory(resources, into));
    TRY(read_cpu(resources, into));
    TRY(read_pids(resources, into, zero_pids));
    TRY(read_block_io(resources, into));
    TRY(read_huge_pages(resources, into));
    TRY(read_rdma(resources, into));
    return read_unified(resources, into);
}

}  // namespace sigil::spec_reader
