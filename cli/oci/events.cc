// `sigil events`: what a container uses, and when it runs out of memory, as JSON lines.
#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "cli/control_client.h"
#include "cli/oci/container.h"
#include "cli/oci/verb.h"
#include "core/json_writer.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_stats.h"

namespace sigil::cli::oci {
namespace {

using isolation::CgroupStats;
using isolation::Pressure;

struct Request {
    bool stats = false;
    bool follow = false;
    std::chrono::nanoseconds interval = std::chrono::seconds(5);
};

const std::array kOptions = {
    Option<Request>{"Options", "stats", 0, nullptr, "Show what it uses now, once",
                    [](Request& r, Text v) -> Result<void> {
                        r.stats = v != "false";
                        return {};
                    }},
    SIGIL_FLAG(Request, "follow", 'f',
               "Follow the events of a 'sigil run', as its --events has\n"
               "them, until it ends; ID is the run's name, and may be left\n"
               "out where there is only one",
               follow),
    Option<Request>{nullptr, "interval", 0, "TIME", "Between two reports; default: 5s",
                    [](Request& r, Text v) -> Result<void> {
                        r.interval = TRY(parse_duration(v));
                        if (r.interval < std::chrono::milliseconds(1))
                            return failure("'{}' is less than 1ms", printable(v));
                        return {};
                    }},
};

constexpr uint64_t kNanoseconds = 1000;  // in a microsecond

void add_pressure(JsonWriter& json, const std::optional<Pressure>& pressure) {
    if (!pressure)
        return;
    json.Key("psi");
    json.StartObject();
    for (const auto& [key, line] :
         {std::pair{"some", &pressure->some}, {"full", &pressure->full}}) {
        json.Key(key);
        json.StartObject();
        for (const auto& [name, value] :
             {std::pair{"avg10", line->avg10}, {"avg60", line->avg60}, {"avg300", line->avg300}}) {
            json.Key(name);
            json.Double(value);
        }
        add_number(json, "total", line->total);
        json.EndObject();
    }
    json.EndObject();
}

void add_cpu(JsonWriter& json, const CgroupStats& stats) {
    json.Key("cpu");
    json.StartObject();
    json.Key("usage");
    json.StartObject();
    add_number(json, "total", stats.cpu.usage * kNanoseconds);
    add_number(json, "kernel", stats.cpu.system * kNanoseconds);
    add_number(json, "user", stats.cpu.user * kNanoseconds);
    json.EndObject();
    json.Key("throttling");
    json.StartObject();
    add_number(json, "periods", stats.cpu.periods);
    add_number(json, "throttledPeriods", stats.cpu.throttled_periods);
    add_number(json, "throttledTime", stats.cpu.throttled * kNanoseconds);
    json.EndObject();
    add_pressure(json, stats.cpu_pressure);
    json.EndObject();
}

void add_usage(JsonWriter& json, const char* key, uint64_t usage, uint64_t limit, uint64_t most,
               uint64_t failures) {
    json.Key(key);
    json.StartObject();
    add_number(json, "limit", limit);
    add_number(json, "usage", usage);
    add_number(json, "max", most);
    add_number(json, "failcnt", failures);
    json.EndObject();
}

void add_memory(JsonWriter& json, const CgroupStats& stats) {
    json.Key("memory");
    json.StartObject();
    if (const auto& memory = stats.memory) {
        add_number(json, "cache", memory->stat_of("file"));
        add_usage(json, "usage", memory->usage, memory->limit, memory->peak,
                  memory->events_of("max"));
        add_usage(json, "swap", memory->swap_usage, memory->swap_limit, 0, 0);
        json.Key("raw");
        json.StartObject();
        for (const auto& [key, value] : memory->stat)
            add_number(json, key.c_str(), value);
        json.EndObject();
        json.Key("events");
        json.StartObject();
        for (const auto& [key, value] : memory->events)
            add_number(json, key.c_str(), value);
        json.EndObject();
    }
    add_pressure(json, stats.memory_pressure);
    json.EndObject();
}

void add_io(JsonWriter& json, const CgroupStats& stats) {
    auto entries = [&](const char* key, auto read, auto write, auto discard) {
        json.Key(key);
        json.StartArray();
        for (const CgroupStats::Io& device : stats.io)
            for (const auto& [operation, value] : {std::pair{"Read", device.*read},
                                                   {"Write", device.*write},
                                                   {"Discard", device.*discard}}) {
                json.StartObject();
                add_number(json, "major", device.major);
                add_number(json, "minor", device.minor);
                add(json, "op", operation);
                add_number(json, "value", value);
                json.EndObject();
            }
        json.EndArray();
    };
    json.Key("blkio");
    json.StartObject();
    using Io = CgroupStats::Io;
    entries("ioServiceBytesRecursive", &Io::read_bytes, &Io::write_bytes, &Io::discard_bytes);
    entries("ioServicedRecursive", &Io::reads, &Io::writes, &Io::discards);
    add_pressure(json, stats.io_pressure);
    json.EndObject();
}

std::string stats_json(const std::string& id, const CgroupStats& stats) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "type", "stats");
    add(json, "id", id);
    json.Key("data");
    json.StartObject();
    add_cpu(json, stats);
    add_memory(json, stats);
    json.Key("pids");
    json.StartObject();
    if (stats.pids) {
        add_number(json, "current", stats.pids->current);
        if (stats.pids->limit != UINT64_MAX)
            add_number(json, "limit", stats.pids->limit);
    }
    json.EndObject();
    add_io(json, stats);
    json.Key("hugetlb");
    json.StartObject();
    for (const CgroupStats::Hugetlb& page : stats.hugetlb) {
        json.Key(page.page_size.c_str());
        json.StartObject();
        add_number(json, "usage", page.usage);
        add_number(json, "max", page.limit);
        add_number(json, "failcnt", page.failures);
        json.EndObject();
    }
    json.EndObject();
    json.EndObject();
    json.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

std::string oom_json(const std::string& id) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "type", "oom");
    add(json, "id", id);
    json.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

// Of a run, until it ends.
Result<int> follow_run(Arguments arguments) {
    if (arguments.size() > 1)
        return failure("events: '{}': one run at a time", printable(arguments[1]));
    ControlClient client = TRY(ControlClient::connect_only(arguments.empty() ? "" : arguments[0]));
    (void)TRY(client.ask(R"({"do":"events"})"), "run {}", client.run());
    while (auto line = TRY(client.next(), "run {}", client.run()))
        print(*line + "\n");
    return 0;
}

// Until the container ends: its use at each interval, each OOM as it comes.
Result<void> follow(Container& container, const Request& request) {
    const std::string& id = container.state.id;
    uint64_t killed = 0;
    int memory = -1;  // poll(2) passes over it
    if (TRY(container.cgroup->open_memory_events())) {
        killed = TRY(container.cgroup->read_memory_events()).oom_kill;
        memory = container.cgroup->memory_events_fd();
    }
    auto next = sys::monotonic_now() + request.interval;
    for (;;) {
        std::array<pollfd, 2> watched = {
            {{container.process->pidfd.get(), POLLIN, 0}, {memory, POLLPRI, 0}}};
        const auto left = std::max(next - sys::monotonic_now(), std::chrono::nanoseconds(0));
        const int ready =
            ::poll(watched.data(), watched.size(),
                   static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
        if (ready < 0 && errno != EINTR)
            return tl::unexpected(Error::from_errno(errno, "poll"));
        if (watched[1].revents != 0 || watched[0].revents != 0) {
            auto events = memory < 0 ? Result<isolation::MemoryEvents>(failure("none"))
                                     : container.cgroup->read_memory_events();
            if (events && events->oom_kill > killed) {
                killed = events->oom_kill;
                print(oom_json(id));
            }
        }
        if (watched[0].revents != 0)
            return {};
        if (sys::monotonic_now() < next)
            continue;
        next += request.interval;
        auto stats = isolation::read_cgroup_stats(container.cgroup->directory());
        if (stats)
            print(stats_json(id, *stats));
        else if (!stats.error().is(ENODEV))
            return tl::unexpected(std::move(stats).error());
    }
}

}  // namespace

std::vector<OptionShape> events_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string events_help() {
    return "Usage: sigil events [OPTIONS] ID\n"
           "       sigil events --follow [ID]\n"
           "\n"
           "Tells what a container uses, again and again until it ends, and each time that it\n"
           "runs out of memory: JSON, one object a line.\n"
           "\n" +
           describe_options(events_shapes());
}

Result<int> events(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.follow)
        return follow_run(arguments);
    Container container = TRY(Container::look_up_only(arguments, "events"));
    const std::string& id = container.state.id;
    if (!container.process)
        return tl::unexpected(container.not_while("tell of"));
    if (!container.cgroup)
        return failure("container {} has no cgroup of its own", id);
    if (request.stats) {
        const CgroupStats stats =
            TRY(isolation::read_cgroup_stats(container.cgroup->directory()), "container {}", id);
        print(stats_json(id, stats));
        return 0;
    }
    TRY(follow(container, request), "container {}", id);
    return 0;
}

}  // namespace sigil::cli::oci
