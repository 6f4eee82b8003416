// `sigil update`: other limits for a container that lives.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "cli/container_words.h"
#include "cli/oci/container.h"
#include "cli/oci/verb.h"
#include "core/json_reader.h"
#include "core/spec_reader.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_host.h"
#include "isolation/device_filter.h"
#include "isolation/systemd_cgroup.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    std::string file;                 // linux.resources as JSON; "-": stdin
    std::vector<std::string> fields;  // "cpu":{"shares":512} and the like, from the options
    std::string cpu;
    std::string memory;
    std::string block_io;
    std::string pids;
};

void add_field(std::string& object, std::string_view key, std::string_view value) {
    object += fmt::format("{}\"{}\":{}", object.empty() ? "" : ",", key, value);
}

Result<void> add_number(std::string& object, const char* key, Text value) {
    const bool is_negative = value.starts_with('-');
    TRY(parse_number(is_negative ? value.substr(1) : value, INT64_MAX));
    add_field(object, key, value);
    return {};
}

Result<void> add_size(std::string& object, const char* key, Text value) {
    if (value == "-1") {
        add_field(object, key, value);
        return {};
    }
    add_field(object, key, std::to_string(TRY(parse_size(value))));
    return {};
}

Result<void> add_list(std::string& object, const char* key, Text value) {
    if (value.find_first_not_of("0123456789,-") != Text::npos)
        return failure("'{}' is no list such as 0-3,6", printable(value));
    add_field(object, key, fmt::format("\"{}\"", value));
    return {};
}

// A row whose value becomes a property of linux.resources.
#define SIGIL_RESOURCE(option, argument, text, object, add, key)     \
    Option<Request> {                                                \
        nullptr, option, 0, argument, text,                          \
            [](Request& r, Text v) { return add(r.object, key, v); } \
    }

const std::array kOptions = {
    Option<Request>{"Options", "resources", 'r', "FILE|-",
                    "Limits as JSON: an object as config.json's linux.resources",
                    [](Request& r, Text v) -> Result<void> {
                        r.file = v;
                        return {};
                    }},
    SIGIL_RESOURCE("cpu-period", "MICROSECONDS", "Of the quota", cpu, add_number, "period"),
    SIGIL_RESOURCE("cpu-quota", "MICROSECONDS", "CPU time in each period; -1: no limit", cpu,
                   add_number, "quota"),
    SIGIL_RESOURCE("cpu-burst", "MICROSECONDS", "What may be saved up", cpu, add_number, "burst"),
    SIGIL_RESOURCE("cpu-share", "N", "CPU shares, 2 to 262144", cpu, add_number, "shares"),
    SIGIL_RESOURCE("cpu-idle", "0|1", "SCHED_IDLE for the whole cgroup", cpu, add_number, "idle"),
    SIGIL_RESOURCE("cpuset-cpus", "LIST", "The processors it may use", cpu, add_list, "cpus"),
    SIGIL_RESOURCE("cpuset-mems", "LIST", "The memory nodes it may use", cpu, add_list, "mems"),
    SIGIL_RESOURCE("memory", "SIZE", "Memory; -1: no limit", memory, add_size, "limit"),
    SIGIL_RESOURCE("memory-reservation", "SIZE", "Memory that is kept for it", memory, add_size,
                   "reservation"),
    SIGIL_RESOURCE("memory-swap", "SIZE", "Memory and swap together; -1: no limit", memory,
                   add_size, "swap"),
    SIGIL_RESOURCE("pids-limit", "N", "Processes; -1: no limit", pids, add_number, "limit"),
    SIGIL_RESOURCE("blkio-weight", "N", "I/O weight, 10 to 1000", block_io, add_number, "weight"),
};

Result<std::string> resources_text(const Request& request) {
    if (request.file == "-")
        return sys::read_all(STDIN_FILENO, JsonDocument::kLargest);
    if (!request.file.empty()) {
        const Fd file =
            TRY(sys::open(AT_FDCWD, request.file.c_str(), O_RDONLY), "{}", printable(request.file));
        return sys::read_all(file.get(), JsonDocument::kLargest);
    }
    std::string text;
    auto add = [&text](const char* key, const std::string& object) {
        if (!object.empty())
            add_field(text, key, "{" + object + "}");
    };
    add("cpu", request.cpu);
    add("memory", request.memory);
    add("blockIO", request.block_io);
    add("pids", request.pids);
    return "{" + text + "}";
}

// Else it would write the old limits again (`systemctl daemon-reload`).
Result<void> tell_systemd(const ContainerState& state, const Resources& resources) {
    if (state.unit.empty())
        return {};
    isolation::SystemdHelper helper = TRY(isolation::SystemdHelper::find());
    helper.is_user = state.user_unit;
    return isolation::set_systemd_properties(helper, state.unit,
                                             isolation::systemd_properties(resources));
}

}  // namespace

std::vector<OptionShape> update_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string update_help() {
    return "Usage: sigil update [OPTIONS] ID\n"
           "\n"
           "Changes the limits of a container that lives; what is not named stays as it is. Rules\n"
           "for devices, of --resources alone, take the place of all that there were.\n"
           "\n" +
           describe_options(update_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil update --memory 512M --cpu-quota 50000 web\n";
}

Result<int> update(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    const std::string id = TRY(only_id(arguments, "update"));
    const std::string text = TRY(resources_text(request), "--resources");
    std::vector<DeviceRule> device_rules;
    const Resources resources = TRY(read_resources(text, &device_rules), "{}",
                                    request.file.empty() ? "update" : "--resources");
    Container container = TRY(Container::open(id));
    if (container.status == ContainerStatus::stopped ||
        container.status == ContainerStatus::creating)
        return tl::unexpected(container.not_while("update"));
    if (!container.cgroup)
        return failure("cannot update container {}: it has no cgroup of its own", id);
    TRY(container.cgroup->apply(resources), "update container {}", id);
    // None at all is what engines write who do not mean to change any.
    if (!device_rules.empty())
        TRY(isolation::restrict_devices(container.cgroup->directory(), device_rules),
            "update container {}: --resources", id);
    TRY(tell_systemd(container.state, resources), "update container {}", id);
    return 0;
}

}  // namespace sigil::cli::oci
