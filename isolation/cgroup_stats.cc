#include "isolation/cgroup_stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

using Counters = std::vector<std::pair<std::string, uint64_t>>;

// A number or "max"; what is neither counts as 0: a newer kernel's word.
uint64_t number(std::string_view text) {
    if (text == "max")
        return UINT64_MAX;
    return parse_number(text).value_or(0);
}

uint64_t counter(const Counters& counters, std::string_view key) {
    for (const auto& [name, value] : counters)
        if (name == key)
            return value;
    return 0;
}

// Nothing: there is no such file, or PSI is off (EOPNOTSUPP).
Result<std::optional<std::string>> read(int directory, const char* file) {
    auto text = sys::read_file(directory, file);
    if (!text && (text.error().is(ENOENT) || text.error().is(EOPNOTSUPP)))
        return std::nullopt;
    return TRY(std::move(text), "read {}", file);
}

Result<uint64_t> read_number(int directory, const std::string& file, uint64_t missing) {
    auto text = TRY(read(directory, file.c_str()));
    if (!text)
        return missing;
    std::string_view rest = *text;
    return number(take_part(rest, '\n'));
}

// A flat keyed file: "key value" lines.
Counters parse_counters(std::string_view text) {
    Counters counters;
    for (std::string_view rest = text; !rest.empty();) {
        std::string_view line = take_part(rest, '\n');
        const std::string_view key = take_part(line, ' ');
        counters.emplace_back(key, number(line));
    }
    return counters;
}

Result<Counters> read_counters(int directory, const char* file) {
    return parse_counters(TRY(read(directory, file)).value_or(""));
}

// A nested keyed file: "KEY name=value ..." lines.
Result<void> read_nested(int directory, const char* file,
                         const std::function<void(std::string_view key, std::string_view name,
                                                  std::string_view value)>& take_value) {
    const std::string text = TRY(read(directory, file)).value_or("");
    for (std::string_view rest = text; !rest.empty();) {
        std::string_view line = take_part(rest, '\n');
        const std::string_view key = take_part(line, ' ');
        while (!line.empty()) {
            std::string_view value = take_part(line, ' ');
            const std::string_view name = take_part(value, '=');
            take_value(key, name, value);
        }
    }
    return {};
}

Result<CgroupStats::Cpu> read_cpu(int directory) {
    // In every cgroup, whatever its controllers.
    const Counters stat =
        parse_counters(TRY(sys::read_file(directory, "cpu.stat"), "read cpu.stat"));
    return CgroupStats::Cpu{.usage = counter(stat, "usage_usec"),
                            .user = counter(stat, "user_usec"),
                            .system = counter(stat, "system_usec"),
                            .periods = counter(stat, "nr_periods"),
                            .throttled_periods = counter(stat, "nr_throttled"),
                            .throttled = counter(stat, "throttled_usec")};
}

Result<std::optional<CgroupStats::Memory>> read_memory(int directory) {
    Counters stat = TRY(read_counters(directory, "memory.stat"));
    if (stat.empty())
        return std::nullopt;
    return CgroupStats::Memory{
        .usage = TRY(read_number(directory, "memory.current", 0)),
        .limit = TRY(read_number(directory, "memory.max", UINT64_MAX)),
        .peak = TRY(read_number(directory, "memory.peak", 0)),
        .swap_usage = TRY(read_number(directory, "memory.swap.current", 0)),
        .swap_limit = TRY(read_number(directory, "memory.swap.max", UINT64_MAX)),
        .stat = std::move(stat),
        .events = TRY(read_counters(directory, "memory.events"))};
}

Result<std::optional<CgroupStats::Pids>> read_pids(int directory) {
    auto current = TRY(read(directory, "pids.current"));
    if (!current)
        return std::nullopt;
    std::string_view rest = *current;
    return CgroupStats::Pids{.current = number(take_part(rest, '\n')),
                             .limit = TRY(read_number(directory, "pids.max", UINT64_MAX))};
}

Result<std::vector<CgroupStats::Io>> read_io(int directory) {
    std::vector<CgroupStats::Io> devices;
    TRY(read_nested(
        directory, "io.stat",
        [&devices](std::string_view key, std::string_view name, std::string_view value) {
            const auto major = static_cast<uint32_t>(number(take_part(key, ':')));
            const auto minor = static_cast<uint32_t>(number(key));
            if (devices.empty() || devices.back().major != major || devices.back().minor != minor)
                devices.push_back({.major = major, .minor = minor});
            CgroupStats::Io& io = devices.back();
            uint64_t* const into = name == "rbytes"   ? &io.read_bytes
                                   : name == "wbytes" ? &io.write_bytes
                                   : name == "dbytes" ? &io.discard_bytes
                                   : name == "rios"   ? &io.reads
                                   : name == "wios"   ? &io.writes
                                   : name == "dios"   ? &io.discards
                                                      : nullptr;
            if (into)
                *into = number(value);
        }));
    return devices;
}

Result<void> read_rdma_file(int directory, const char* file, bool is_limit,
                            std::vector<CgroupStats::Rdma>& devices) {
    return read_nested(
        directory, file, [&](std::string_view key, std::string_view name, std::string_view value) {
            auto device = std::ranges::find(devices, key, &CgroupStats::Rdma::device);
            if (device == devices.end())
                device = devices.insert(device, {.device = std::string(key)});
            if (name == "hca_handle")
                (is_limit ? device->hca_handles_limit : device->hca_handles) = number(value);
            else if (name == "hca_object")
                (is_limit ? device->hca_objects_limit : device->hca_objects) = number(value);
        });
}

// The page sizes that there are: "hugetlb.2MB.current".
Result<std::vector<std::string>> huge_page_sizes(int directory) {
    constexpr std::string_view kPrefix = "hugetlb.";
    constexpr std::string_view kSuffix = ".current";
    Fd listing = TRY(sys::open(directory, ".", O_RDONLY | O_DIRECTORY), "list the cgroup");
    DIR* stream = ::fdopendir(listing.release());
    if (!stream)
        return tl::unexpected(Error::from_errno(ENOMEM, "fdopendir"));
    std::vector<std::string> sizes;
    while (const dirent* entry = ::readdir(stream)) {
        std::string_view name = entry->d_name;
        if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix))
            continue;
        name.remove_prefix(kPrefix.size());
        name.remove_suffix(kSuffix.size());
        if (name.find('.') == std::string_view::npos)  // "2MB.rsvd": of reservations
            sizes.emplace_back(name);
    }
    ::closedir(stream);
    std::ranges::sort(sizes);
    return sizes;
}

Result<std::vector<CgroupStats::Hugetlb>> read_hugetlb(int directory) {
    std::vector<CgroupStats::Hugetlb> found;
    for (const std::string& size : TRY(huge_page_sizes(directory))) {
        const std::string prefix = "hugetlb." + size;
        const Counters events = TRY(read_counters(directory, (prefix + ".events").c_str()));
        found.push_back({.page_size = size,
                         .usage = TRY(read_number(directory, prefix + ".current", 0)),
                         .limit = TRY(read_number(directory, prefix + ".max", UINT64_MAX)),
                         .failures = counter(events, "max")});
    }
    return found;
}

Result<std::optional<Pressure>> read_pressure(int directory, const char* file) {
    if (!TRY(read(directory, file)))
        return std::nullopt;
    Pressure pressure;
    TRY(read_nested(
        directory, file,
        [&pressure](std::string_view key, std::string_view name, std::string_view value) {
            Pressure::Line& line = key == "full" ? pressure.full : pressure.some;
            const std::string text(value);
            if (name == "avg10")
                line.avg10 = ::strtod(text.c_str(), nullptr);
            else if (name == "avg60")
                line.avg60 = ::strtod(text.c_str(), nullptr);
            else if (name == "avg300")
                line.avg300 = ::strtod(text.c_str(), nullptr);
            else if (name == "total")
                line.total = number(value);
        }));
    return pressure;
}

}  // namespace

uint64_t CgroupStats::Memory::stat_of(std::string_view key) const {
    return counter(stat, key);
}

uint64_t CgroupStats::Memory::events_of(std::string_view key) const {
    return counter(events, key);
}

Result<CgroupStats> read_cgroup_stats(int directory) {
    CgroupStats stats;
    stats.cpu = TRY(read_cpu(directory));
    stats.memory = TRY(read_memory(directory));
    stats.pids = TRY(read_pids(directory));
    stats.io = TRY(read_io(directory));
    stats.hugetlb = TRY(read_hugetlb(directory));
    TRY(read_rdma_file(directory, "rdma.current", false, stats.rdma));
    TRY(read_rdma_file(directory, "rdma.max", true, stats.rdma));
    stats.cpu_pressure = TRY(read_pressure(directory, "cpu.pressure"));
    stats.memory_pressure = TRY(read_pressure(directory, "memory.pressure"));
    stats.io_pressure = TRY(read_pressure(directory, "io.pressure"));
    return stats;
}

}  // namespace sigil::isolation
