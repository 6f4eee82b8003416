// `sigil spec`: writes a config.json to start from.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>

#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>

#include "cli/command.h"
#include "cli/options.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// What runc's has (libcontainer/specconv/example.go), in the specification's order.
constexpr std::string_view kConfig = R"({
    "ociVersion": "1.3.0",
    "process": {
        "terminal": true,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm"
        ],
        "cwd": "/",
        "capabilities": {
            "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": true
    },
    "root": {"path": "rootfs", "readonly": true},
    "hostname": "sigil",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        },
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        },
        {
            "destination": "/dev/mqueue",
            "type": "mqueue",
            "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]
        },
        {
            "destination": "/sys",
            "type": "sysfs",
            "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"]
        },
        {
            "destination": "/sys/fs/cgroup",
            "type": "cgroup",
            "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]
        }
    ],
    "linux": {
        "resources": {"devices": [{"allow": false, "access": "rwm"}]},
        "namespaces": [
            {"type": "pid"},
            {"type": "network"},
            {"type": "ipc"},
            {"type": "uts"},
            {"type": "mount"},
            {"type": "cgroup"}
        ],
        "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
            "/sys/devices/virtual/tpm"
        ],
        "readonlyPaths": [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger"
        ]
    }
})";

struct Request {
    std::string bundle = ".";
    bool rootless = false;
    bool wants_help = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "bundle", 'b', "DIR", "Where to write it; default: here",
                    [](Request& r, std::string_view v) -> Result<void> {
                        if (v.empty())
                            return failure("the directory is missing");
                        r.bundle = v;
                        return {};
                    }},
    Option<Request>{
        nullptr, "rootless", 0, nullptr,
        "For who is not root: a user namespace with your ids,\nthe host's network, no limits",
        [](Request& r, std::string_view v) -> Result<void> {
            r.rootless = v != "false";
            return {};
        }},
    Option<Request>{nullptr, "help", 'h', nullptr, "Show this",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

// ---- rootless ---------------------------------------------------------------------------------

using rapidjson::Value;

std::string_view text_of(const Value& object, const char* key) {
    return {object[key].GetString(), object[key].GetStringLength()};
}

Value strings(std::initializer_list<const char*> words, rapidjson::Document& document) {
    Value list(rapidjson::kArrayType);
    for (const char* word : words)
        list.PushBack(rapidjson::StringRef(word), document.GetAllocator());
    return list;
}

// The caller's id as the container's 0.
Value mapping_of(unsigned id, rapidjson::Document& document) {
    auto& allocator = document.GetAllocator();
    Value mapping(rapidjson::kObjectType);
    mapping.AddMember("containerID", 0, allocator);
    mapping.AddMember("hostID", id, allocator);
    mapping.AddMember("size", 1, allocator);
    Value list(rapidjson::kArrayType);
    list.PushBack(mapping, allocator);
    return list;
}

// A user namespace owns neither the host's network, whose sysfs it therefore can't mount, nor
// groups but the one that is mapped.
void make_rootless(rapidjson::Document& document) {
    auto& allocator = document.GetAllocator();
    for (Value& mount : document["mounts"].GetArray()) {
        if (text_of(mount, "destination") == "/sys") {
            mount["type"] = "none";
            mount["source"] = "/sys";
            mount["options"] = strings({"rbind", "nosuid", "noexec", "nodev", "ro"}, document);
        }
        if (!mount.HasMember("options"))
            continue;
        Value& options = mount["options"];
        for (auto option = options.Begin(); option != options.End();) {
            const std::string_view word = {option->GetString(), option->GetStringLength()};
            option = word.starts_with("gid=") || word.starts_with("uid=") ? options.Erase(option)
                                                                          : option + 1;
        }
    }
    Value& platform = document["linux"];
    Value& namespaces = platform["namespaces"];
    for (auto space = namespaces.Begin(); space != namespaces.End();)
        space = text_of(*space, "type") == "network" ? namespaces.Erase(space) : space + 1;
    Value user(rapidjson::kObjectType);
    user.AddMember("type", "user", allocator);
    namespaces.PushBack(user, allocator);
    platform.EraseMember("resources");
    platform.AddMember("uidMappings", mapping_of(::geteuid(), document), allocator);
    platform.AddMember("gidMappings", mapping_of(::getegid(), document), allocator);
}

// ---- the file ---------------------------------------------------------------------------------

std::string config_text(bool rootless) {
    rapidjson::Document document;
    document.Parse(kConfig.data(), kConfig.size());
    if (rootless)
        make_rootless(document);
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter writer(buffer);
    writer.SetIndent('\t', 1);
    document.Accept(writer);
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

Result<void> write_config(const std::string& path, std::string_view text) {
    constexpr mode_t kMode = 0666;  // and the caller's umask
    auto opened = sys::open(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_EXCL, kMode);
    if (!opened && opened.error().is(EEXIST))
        return failure("{} is there already; remove it first", printable(path));
    const Fd file = TRY(std::move(opened), "make {}", printable(path));
    auto written = sys::write_all(file.get(), text);
    if (!written) {
        (void)sys::unlinkat(AT_FDCWD, path.c_str());  // half a file helps nobody
        TRY(std::move(written), "write {}", printable(path));
    }
    return {};
}

}  // namespace

std::vector<OptionShape> spec_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string spec_help() {
    return "Usage: sigil spec [OPTIONS]\n"
           "\n"
           "Writes a config.json to start a bundle from, by the OCI runtime specification 1.3: a\n"
           "shell in ./rootfs, which is read-only, with few capabilities, and namespaces of its\n"
           "own. Fails if there is one already.\n"
           "\n" +
           describe_options(spec_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil spec\n"
           "  sigil spec --bundle /srv/web --rootless\n";
}

Result<int> spec(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.wants_help) {
        print(spec_help());
        return 0;
    }
    if (!arguments.empty())
        return failure("spec: '{}': it takes no arguments", printable(arguments[0]));
    TRY(write_config(request.bundle + "/config.json", config_text(request.rootless)));
    return 0;
}

}  // namespace sigil::cli
