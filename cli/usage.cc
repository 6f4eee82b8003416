#include "cli/usage.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "cli/capacity.h"
#include "cli/control_client.h"
#include "core/json_reader.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr std::array<const char*, 8> kKeys = {"cpu",      "memory",   "pids",   "io",
                                              "pressure", "restarts", "uptime", "name"};

uint64_t io_of(const CgroupMeter::Reading& reading) {
    return reading.read_bytes.value_or(0) + reading.written_bytes.value_or(0);
}

// Reads what is sorted by, if that isn't known anyway.
bool read_key(UsageRow& row, SortKey key) {
    switch (key) {
        case SortKey::memory:
            return row.meter.read_memory(row.now);
        case SortKey::pids:
            return row.meter.read_pids(row.now);
        case SortKey::io:
            return row.meter.read_io(row.now);
        case SortKey::pressure:
            return row.meter.read_pressure(row.now);
        default:
            return true;
    }
}

CgroupMeter::File file_of(SortKey key) {
    switch (key) {
        case SortKey::memory:
            return CgroupMeter::File::memory;
        case SortKey::pids:
            return CgroupMeter::File::pids;
        case SortKey::io:
            return CgroupMeter::File::io;
        default:
            return CgroupMeter::File::cpu;
    }
}

// The most first, but for the name.
bool is_before(const UsageRow& one, const UsageRow& other, SortKey key) {
    auto by = [&](const auto& a, const auto& b) { return a != b ? a > b : one.id < other.id; };
    switch (key) {
        case SortKey::cpu:
            return by(one.cpu_percent, other.cpu_percent);
        case SortKey::memory:
            return by(one.now.memory, other.now.memory);
        case SortKey::pids:
            return by(one.now.pids, other.now.pids);
        case SortKey::io:
            return by(io_of(one.now), io_of(other.now));
        case SortKey::pressure:
            return by(one.now.pressure, other.now.pressure);
        case SortKey::restarts:
            return by(one.restarts, other.restarts);
        case SortKey::uptime:
            return by(other.start_time, one.start_time);
        case SortKey::name:
            break;
    }
    return one.id < other.id;
}

std::string size_or_dash(std::optional<uint64_t> bytes) {
    if (!bytes)
        return "-";
    return *bytes == UINT64_MAX ? "max" : format_size(*bytes);
}

std::string number_or_dash(std::optional<uint64_t> number) {
    return number ? fmt::format("{}", *number) : "-";
}

std::string duration(uint64_t seconds) {
    if (seconds < 60)
        return fmt::format("{}s", seconds);
    if (seconds < 3600)
        return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    if (seconds < 86400)
        return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

std::string uptime(uint64_t start_ticks) {
    timespec now = {};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    const auto started = start_ticks / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    const auto seconds = static_cast<uint64_t>(now.tv_sec);
    return duration(seconds > started ? seconds - started : 0);
}

using Restarts = std::unordered_map<pid_t, uint64_t>;

// A page of a supervisor's containers after another.
Result<void> ask_restarts(ControlClient& client, Restarts& into) {
    std::string after;
    for (bool more = true; more;) {
        rapidjson::StringBuffer buffer;
        JsonWriter json(buffer);
        json.StartObject();
        add(json, "do", "status");
        add(json, "after", after);
        json.EndObject();
        const std::string answer = TRY(client.ask({buffer.GetString(), buffer.GetSize()}));
        const JsonDocument document = TRY(JsonDocument::parse(answer));
        auto take = [&](const Json& one) -> Result<void> {
            pid_t pid = -1;
            uint64_t restarts = 0;
            TRY(one.read("pid", pid));
            TRY(one.read("restarts", restarts));
            TRY(one.read("id", after));
            if (pid > 0)
                into[pid] = restarts;
            return {};
        };
        TRY(document.root().each("containers", take));
        more = false;
        TRY(document.root().read("more", more));
    }
    return {};
}

}  // namespace

Result<SortKey> parse_sort_key(std::string_view text) {
    const auto found = std::ranges::find(kKeys, text);
    if (found == kKeys.end())
        return failure("'{}' is none of {}", printable(text), fmt::join(kKeys, ", "));
    return static_cast<SortKey>(found - kKeys.begin());
}

const char* name_of(SortKey key) {
    return kKeys[static_cast<size_t>(key)];
}

UsageRow::UsageRow(int root, const oci::Container& container)
    : id(container.state.id),
      pid(container.state.pid),
      start_time(container.state.start_time),
      meter(root, container.cgroup->path()) {}

Result<std::vector<oci::Container>> containers_with_cgroups(const std::vector<std::string>& ids) {
    std::vector<oci::Container> found;
    if (ids.empty())
        found = TRY(oci::Container::all());
    std::erase_if(found, [](const auto& one) { return !one.process || !one.cgroup; });
    for (const std::string& id : ids) {
        found.push_back(TRY(oci::Container::look_up(id)));
        if (!found.back().process)
            return tl::unexpected(found.back().not_while("tell of"));
        if (!found.back().cgroup)
            return failure("container {} has no cgroup of its own", id);
    }
    return found;
}

Result<void> Usage::list(const std::vector<std::string>& ids) {
    if (!host_)
        (void)raise_file_limit();  // each container keeps some descriptors open
    const std::vector<oci::Container> found = TRY(containers_with_cgroups(ids));
    std::unordered_map<std::string, std::unique_ptr<UsageRow>> known;
    for (auto& row : rows_)
        known.emplace(fmt::format("{} {}", row->pid, row->meter.path()), std::move(row));
    rows_.clear();
    for (const oci::Container& container : found) {
        host_ = container.cgroups;
        auto row =
            known.extract(fmt::format("{} {}", container.state.pid, container.cgroup->path()));
        rows_.push_back(row ? std::move(row.mapped())
                            : std::make_unique<UsageRow>(host_->root(), container));
    }
    read_restarts();
    return {};
}

// A supervisor that cannot be asked leaves a dash.
void Usage::read_restarts() {
    Restarts restarts;
    if (auto clients = ControlClient::connect_all())
        for (ControlClient& client : *clients)
            (void)ask_restarts(client, restarts);
    for (auto& row : rows_)
        if (const auto found = restarts.find(row->pid); found != restarts.end())
            row->restarts = found->second;
}

bool Usage::sample(SortKey key, size_t shown) {
    const auto now = sys::monotonic_now();
    const double elapsed = std::chrono::duration<double, std::micro>(now - sampled_at_).count();
    const size_t before = rows_.size();
    std::erase_if(rows_, [&](const auto& row) {
        if (!row->meter.read_cpu(row->now) || !read_key(*row, key))
            return true;
        row->cpu_percent = 0;
        if (row->cpu_before && row->now.cpu > *row->cpu_before)
            row->cpu_percent = 100 * static_cast<double>(row->now.cpu - *row->cpu_before) / elapsed;
        row->cpu_before = row->now.cpu;
        return false;
    });
    sampled_at_ = now;
    const auto middle = rows_.begin() + static_cast<ptrdiff_t>(std::min(shown, rows_.size()));
    std::partial_sort(
        rows_.begin(), middle, rows_.end(),
        [key](const auto& one, const auto& other) { return is_before(*one, *other, key); });
    size_t place = 0;
    std::erase_if(rows_, [&](const auto& row) {
        if (place++ >= shown) {
            row->meter.close_but(file_of(key));
            return false;
        }
        return !row->meter.read_all(row->now);
    });
    return rows_.size() != before;
}

std::vector<std::string> Usage::table(size_t shown, size_t columns) const {
    size_t widest = 4;
    const size_t count = std::min(shown, rows_.size());
    for (size_t index = 0; index < count; ++index)
        widest = std::max(widest, rows_[index]->id.size());
    constexpr const char* kFormat =
        "{:<{}}  {:<7}  {:>6}  {:>8} {:>8}  {:>5}  {:>8} {:>8}  {:>6}  {:>8}  {:>7}";
    std::vector<std::string> lines;
    lines.push_back(fmt::format(kFormat, "ID", widest, "STATE", "CPU%", "MEMORY", "LIMIT", "PIDS",
                                "READ", "WRITTEN", "PSI%", "RESTARTS", "UPTIME"));
    for (size_t index = 0; index < count; ++index) {
        const UsageRow& row = *rows_[index];
        const CgroupMeter::Reading& now = row.now;
        lines.push_back(
            fmt::format(kFormat, row.id, widest, now.is_frozen ? "paused" : "running",
                        fmt::format("{:.1f}", row.cpu_percent), size_or_dash(now.memory),
                        size_or_dash(now.memory_limit), number_or_dash(now.pids),
                        size_or_dash(now.read_bytes), size_or_dash(now.written_bytes),
                        now.pressure ? fmt::format("{:.2f}", *now.pressure) : std::string("-"),
                        number_or_dash(row.restarts), uptime(row.start_time)));
    }
    for (std::string& line : lines)
        line.resize(std::min(line.size(), columns));
    return lines;
}

}  // namespace sigil::cli
