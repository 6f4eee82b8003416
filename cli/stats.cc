// `sigil stats`: what containers use, once: a table, or all that the kernel tells as JSON.
#include <array>
#include <chrono>

#include "cli/command.h"
#include "cli/oci/container.h"
#include "cli/usage.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/try.h"
#include "isolation/cgroup_stats.h"

namespace sigil::cli {
namespace {

using isolation::CgroupStats;
using isolation::Pressure;
using Text = std::string_view;

struct Request {
    bool json = false;
};

constexpr std::array kOptions = {
    Option<Request>{"Options", "json", 0, nullptr,
                    "All figures, one JSON object for each container",
                    [](Request& r, Text v) -> Result<void> {
                        r.json = v != "false";
                        return {};
                    }},
};

// null: the controller is not there.
template <typename Part, typename Fill>
void part(JsonWriter& json, const char* key, const std::optional<Part>& there, Fill fill) {
    json.Key(key);
    if (!there) {
        json.Null();
        return;
    }
    json.StartObject();
    fill(*there);
    json.EndObject();
}

void add_pressure(JsonWriter& json, const char* key, const std::optional<Pressure>& pressure) {
    part(json, key, pressure, [&json](const Pressure& there) {
        json.Key("some_avg10");
        json.Double(there.some.avg10);
        add_number(json, "some_total_us", there.some.total);
        json.Key("full_avg10");
        json.Double(there.full.avg10);
        add_number(json, "full_total_us", there.full.total);
    });
}

void add_cpu(JsonWriter& json, const CgroupStats::Cpu& cpu) {
    json.Key("cpu");
    json.StartObject();
    add_number(json, "usage_us", cpu.usage);
    add_number(json, "user_us", cpu.user);
    add_number(json, "system_us", cpu.system);
    add_number(json, "throttled_us", cpu.throttled);
    json.EndObject();
}

void add_memory(JsonWriter& json, const std::optional<CgroupStats::Memory>& memory) {
    part(json, "memory", memory, [&json](const CgroupStats::Memory& there) {
        add_number(json, "bytes", there.usage);
        add_limit(json, "limit_bytes", there.limit);
        add_number(json, "peak_bytes", there.peak);
        add_number(json, "swap_bytes", there.swap_usage);
        add_number(json, "oom_kills", there.events_of("oom_kill"));
    });
}

void add_io(JsonWriter& json, const std::vector<CgroupStats::Io>& devices) {
    uint64_t read = 0;
    uint64_t written = 0;
    for (const CgroupStats::Io& device : devices) {
        read += device.read_bytes;
        written += device.write_bytes;
    }
    json.Key("io");
    json.StartObject();
    add_number(json, "read_bytes", read);
    add_number(json, "written_bytes", written);
    json.EndObject();
}

std::string stats_json(const oci::Container& container, const CgroupStats& stats) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "id", container.state.id);
    add(json, "state", name(container.status));
    add(json, "pid", int64_t{container.state.pid});
    add_cpu(json, stats.cpu);
    add_memory(json, stats.memory);
    part(json, "pids", stats.pids, [&json](const CgroupStats::Pids& pids) {
        add_number(json, "current", pids.current);
        add_limit(json, "limit", pids.limit);
    });
    add_io(json, stats.io);
    json.Key("pressure");
    json.StartObject();
    add_pressure(json, "cpu", stats.cpu_pressure);
    add_pressure(json, "memory", stats.memory_pressure);
    add_pressure(json, "io", stats.io_pressure);
    json.EndObject();
    json.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Result<void> print_json(const std::vector<std::string>& ids) {
    for (const oci::Container& container : TRY(containers_with_cgroups(ids))) {
        auto stats = isolation::read_cgroup_stats(container.cgroup->directory());
        if (!stats && ids.empty() && (stats.error().is(ENODEV) || stats.error().is(ENOENT)))
            continue;  // it has ended meanwhile
        print(stats_json(container, TRY(std::move(stats), "container {}", container.state.id)));
    }
    return {};
}

}  // namespace

std::vector<OptionShape> stats_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string stats_help() {
    return "Usage: sigil stats [OPTIONS] [ID...]\n"
           "\n"
           "Shows what containers use, once: all of them, or those that are named.\n"
           "\n" +
           describe_options(stats_shapes());
}

Result<int> stats(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    const std::vector<std::string> ids(arguments.begin(), arguments.end());
    if (!request.json)
        return show_usage_once(ids, SortKey::name, std::chrono::milliseconds(250));
    TRY(print_json(ids));
    return 0;
}

}  // namespace sigil::cli
