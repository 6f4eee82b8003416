#include "cli/run_options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/parse.h"
#include "core/sys.h"
#include "isolation/capabilities.h"
#include "isolation/mount_options.h"
#include "isolation/rlimits.h"

namespace sigil::cli {
namespace {

using Request = RunRequest;
using Text = std::string_view;

std::vector<std::string> split(Text text, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        const size_t end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == Text::npos)
            return parts;
        text.remove_prefix(end + 1);
    }
}

// ---- the process ------------------------------------------------------------------------------

// Later settings of a name win.
void set_variable(std::vector<std::string>& env, std::string entry) {
    const std::string prefix = entry.substr(0, entry.find('=') + 1);
    std::erase_if(env, [&](const std::string& old) { return old.starts_with(prefix); });
    env.push_back(std::move(entry));
}

// "NAME=VALUE", or "NAME" for the value that sigil itself has, if any.
Result<void> add_variable(Spec& spec, Text entry) {
    const size_t equals = entry.find('=');
    if (entry.empty() || equals == 0)
        return failure("'{}' has no name", printable(entry));
    if (equals != Text::npos)
        set_variable(spec.env, std::string(entry));
    else if (const char* value = ::getenv(std::string(entry).c_str()))
        set_variable(spec.env, fmt::format("{}={}", entry, value));
    return {};
}

// Lines as of --env; blank ones and those that start with "#" are passed over.
Result<void> read_env_file(Spec& spec, Text path) {
    Fd file = TRY(sys::open(AT_FDCWD, std::string(path).c_str(), O_RDONLY), "{}", printable(path));
    std::string text;
    std::array<char, 16384> part;
    while (size_t count = TRY(sys::read(file.get(), part), "{}", printable(path)))
        text.append(part.data(), count);
    size_t number = 0;
    for (const std::string& line : split(text, '\n')) {
        ++number;
        const Text entry = Text(line).substr(std::min(line.size(), line.find_first_not_of(" \t")));
        if (entry.empty() || entry[0] == '#')
            continue;
        if (entry.find('\0') != Text::npos)
            return failure("{}:{}: a NUL byte", printable(path), number);
        TRY(add_variable(spec, entry), "{}:{}", printable(path), number);
    }
    return {};
}

Result<void> pass_descriptor(Spec& spec, Text text) {
    const int fd = static_cast<int>(TRY(parse_number(text, INT32_MAX)));
    if (fd <= STDERR_FILENO)
        return failure("0, 1 and 2 are passed always");
    if (::fcntl(fd, F_GETFD) < 0)
        return failure("descriptor {} is not open", fd);
    spec.passed_fds.push_back(fd);
    return {};
}

Result<void> set_network(Spec& spec, Text text) {
    if (text != "none" && text != "host")
        return failure("'{}' is neither none nor host", printable(text));
    spec.network = text == "none" ? Network::none : Network::host;
    return {};
}

// ---- mounts -----------------------------------------------------------------------------------

Result<void> add_bind(Spec& spec, Text text) {
    const std::vector<std::string> parts = split(text, ':');
    if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty())
        return failure("'{}' is not SRC:DST[:ro]", printable(text));
    Mount mount = {.type = "bind",
                   .source = parts[0],
                   .target = parts[1],
                   .options = {"rbind"},
                   .origin = "--bind " + printable(text)};
    if (parts.size() == 3) {
        for (const std::string& option : split(parts[2], ','))
            mount.options.push_back(option == "ro" ? "rro" : option);
        TRY(isolation::parse_mount_options(mount.options, true));
    }
    spec.mounts.push_back(std::move(mount));
    return {};
}

Result<void> add_tmpfs(Spec& spec, Text text) {
    const size_t colon = text.find(':');
    Mount mount = {.type = "tmpfs",
                   .source = "tmpfs",
                   .target = std::string(text.substr(0, colon)),
                   .options = {"nosuid", "nodev", "mode=1777"},
                   .origin = "--tmpfs " + printable(text)};
    if (colon != Text::npos)
        mount.options.push_back(fmt::format("size={}", TRY(parse_size(text.substr(colon + 1)))));
    spec.mounts.push_back(std::move(mount));
    return {};
}

// The value of a word that may stand alone.
Result<bool> parse_switch(Text value) {
    if (value.empty() || value == "true" || value == "1")
        return true;
    if (value == "false" || value == "0")
        return false;
    return failure("'{}' is neither true nor false", printable(value));
}

// Docker's words for --mount, and every mount option by its own name.
Result<void> apply_mount_key(Mount& mount, bool& read_only, const std::string& part) {
    const size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (key == "type")
        mount.type = value;
    else if (key == "source" || key == "src")
        mount.source = value;
    else if (key == "target" || key == "destination" || key == "dst")
        mount.target = value;
    else if (key == "readonly" || key == "ro")
        read_only = TRY(parse_switch(value), "{}", key);
    else if (key == "bind-propagation")
        mount.options.push_back(value);
    else if (key == "tmpfs-size")
        mount.options.push_back(fmt::format("size={}", TRY(parse_size(value), "tmpfs-size")));
    else if (key == "tmpfs-mode")
        mount.options.push_back("mode=" + value);
    else
        mount.options.push_back(part);
    return {};
}

Result<void> add_mount(Spec& spec, Text text) {
    Mount mount = {.type = "bind",
                   .source = {},
                   .target = {},
                   .options = {},
                   .origin = "--mount " + printable(text)};
    bool read_only = false;
    for (const std::string& part : split(text, ','))
        TRY(apply_mount_key(mount, read_only, part));
    const bool is_bind = mount.type == "bind";
    if (mount.target.empty())
        return failure("'{}' has no target", printable(text));
    if (mount.type.empty() || (is_bind && mount.source.empty()))
        return failure("'{}' has no {}", printable(text), mount.type.empty() ? "type" : "source");
    if (is_bind && std::ranges::find(mount.options, "bind") == mount.options.end())
        mount.options.insert(mount.options.begin(), "rbind");
    if (read_only)
        mount.options.push_back(is_bind ? "rro" : "ro");
    TRY(isolation::parse_mount_options(mount.options, is_bind));
    spec.mounts.push_back(std::move(mount));
    return {};
}

// ---- resources --------------------------------------------------------------------------------

Result<void> set_limit(std::optional<uint64_t>& limit, Text text) {
    limit = text == "max" || text == "-1" ? UINT64_MAX : TRY(parse_size(text));
    return {};
}

Result<void> set_cpus(Spec& spec, Text text) {
    constexpr double kPeriod = 100'000;
    constexpr double kLeastQuota = 1000;  // the kernel's
    const std::string copy(text);
    char* end = nullptr;
    const double cpus = ::strtod(copy.c_str(), &end);
    if (copy.empty() || *end != '\0' || !std::isfinite(cpus) || cpus <= 0 || cpus > 1e6)
        return failure("'{}' is not a number of processors", printable(text));
    if (cpus * kPeriod < kLeastQuota)
        return failure("{} is less than 0.01, the least that the kernel takes", copy);
    spec.resources.cpu_quota = static_cast<uint64_t>(std::llround(cpus * kPeriod));
    return {};
}

Result<void> set_pids(Spec& spec, Text text) {
    if (text == "max" || text == "-1")
        spec.resources.pids = UINT64_MAX;
    else
        spec.resources.pids = TRY(parse_number(text, 1U << 22));
    return {};
}

// "/dev/sda" or "8:0", as "8:0".
Result<std::string> device_number(Text device) {
    if (!device.starts_with('/'))
        return std::string(device);
    const std::string path(device);
    struct statx facts = TRY(sys::stat(AT_FDCWD, path.c_str()), "{}", printable(device));
    if (!S_ISBLK(facts.stx_mode))
        return failure("{} is not a block device", printable(device));
    return fmt::format("{}:{}", facts.stx_rdev_major, facts.stx_rdev_minor);
}

Result<void> add_io_max(Spec& spec, Text text) {
    const size_t first_key = text.find('=');
    const size_t separator =
        first_key == Text::npos ? Text::npos : text.find_last_of(": ", first_key);
    if (separator == Text::npos || separator == 0)
        return failure("'{}' is not DEVICE:KEY=VALUE[,KEY=VALUE...]", printable(text));
    std::string line = TRY(device_number(text.substr(0, separator)));
    for (const std::string& part : split(text.substr(separator + 1), ',')) {
        const size_t equals = part.find('=');
        const Text key = Text(part).substr(0, equals);
        const Text value = equals == std::string::npos ? Text() : Text(part).substr(equals + 1);
        if (key != "rbps" && key != "wbps" && key != "riops" && key != "wiops")
            return failure("'{}' is none of rbps, wbps, riops, wiops", printable(key));
        line += value == "max" ? fmt::format(" {}=max", key)
                               : fmt::format(" {}={}", key, TRY(parse_size(value), "{}", key));
    }
    spec.resources.io_max.push_back(std::move(line));
    return {};
}

Result<void> add_cgroup_file(Spec& spec, Text text) {
    const size_t equals = text.find('=');
    const Text file = text.substr(0, equals);
    if (equals == Text::npos || file.find('.') == Text::npos || file.find('/') != Text::npos ||
        file.starts_with('.'))
        return failure("'{}' is not FILE=VALUE, such as cpu.weight=200", printable(text));
    spec.resources.files.push_back({std::string(file), std::string(text.substr(equals + 1))});
    return {};
}

// ---- the table --------------------------------------------------------------------------------

constexpr std::array kOptions = {
    Option<Request>{"Container", "rootfs", 0, "DIR", "The root filesystem, a directory (required)",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.rootfs = v;
                        return {};
                    }},
    Option<Request>{nullptr, "name", 0, "NAME", "Its name; default: twelve hexadecimal digits",
                    [](Request& r, Text v) -> Result<void> {
                        TRY(check_name(v));
                        r.spec.name = v;
                        return {};
                    }},
    Option<Request>{nullptr, "hostname", 0, "NAME", "Its hostname; default: its name",
                    [](Request& r, Text v) -> Result<void> {
                        TRY(check_name(v));
                        r.spec.hostname = v;
                        return {};
                    }},
    Option<Request>{nullptr, "network", 0, "none|host",
                    "none: only a loopback (the default); host: the host's",
                    [](Request& r, Text v) { return set_network(r.spec, v); }},
    Option<Request>{nullptr, "no-init", 0, nullptr,
                    "Make the command PID 1, instead of the child of sigil's init",
                    [](Request& r, Text) -> Result<void> {
                        r.spec.init = false;
                        return {};
                    }},
    Option<Request>{nullptr, "signal-group", 0, nullptr,
                    "Forward signals to the command's whole process group",
                    [](Request& r, Text) -> Result<void> {
                        r.spec.signal_group = true;
                        return {};
                    }},

    Option<Request>{"Process", "env", 'e', "NAME[=VALUE]",
                    "Set a variable; without a value, sigil's own",
                    [](Request& r, Text v) { return add_variable(r.spec, v); }},
    Option<Request>{nullptr, "env-file", 0, "FILE",
                    "Set the variables of a file, one NAME=VALUE a line",
                    [](Request& r, Text v) { return read_env_file(r.spec, v); }},
    Option<Request>{nullptr, "workdir", 'w', "DIR",
                    "Start in this directory, made if it is missing; default: /",
                    [](Request& r, Text v) -> Result<void> {
                        if (!v.starts_with('/'))
                            return failure("'{}' is not an absolute path", printable(v));
                        r.spec.cwd = v;
                        return {};
                    }},
    Option<Request>{nullptr, "user", 'u', "USER[:GROUP]",
                    "Run as this user, by number or by the container's passwd",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.user = v;
                        return {};
                    }},
    Option<Request>{nullptr, "cap-add", 0, "NAME", "Give a capability, or ALL",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.capabilities |= TRY(isolation::parse_capability_to_give(v));
                        return {};
                    }},
    Option<Request>{nullptr, "cap-drop", 0, "NAME", "Take a capability away, or ALL",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.capabilities &= ~TRY(isolation::parse_capability(v));
                        return {};
                    }},
    Option<Request>{nullptr, "ulimit", 0, "NAME=SOFT[:HARD]",
                    "Set a resource limit: nofile, nproc, core, stack, ...",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.rlimits.push_back(TRY(isolation::parse_rlimit(v)));
                        return {};
                    }},
    Option<Request>{nullptr, "pass-fd", 0, "N",
                    "Let the command have descriptor N; nothing but 0, 1 and 2\notherwise",
                    [](Request& r, Text v) { return pass_descriptor(r.spec, v); }},
    Option<Request>{nullptr, "timeout", 0, "TIME", "Kill it after this long (ms, s, m, h)",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.timeout = TRY(parse_duration(v));
                        return {};
                    }},
    Option<Request>{nullptr, "stop-timeout", 0, "TIME",
                    "Kill it this long after SIGTERM or SIGINT; default: 10s",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.stop_timeout = TRY(parse_duration(v));
                        return {};
                    }},

    Option<Request>{"Filesystem", "read-only", 0, nullptr, "Make the root filesystem read-only",
                    [](Request& r, Text) -> Result<void> {
                        r.spec.read_only_root = true;
                        return {};
                    }},
    Option<Request>{nullptr, "bind", 0, "SRC:DST[:ro]",
                    "Bind a file or directory of the host, with all mounts\nbelow it",
                    [](Request& r, Text v) { return add_bind(r.spec, v); }},
    Option<Request>{nullptr, "tmpfs", 0, "DST[:SIZE]", "Mount an empty tmpfs",
                    [](Request& r, Text v) { return add_tmpfs(r.spec, v); }},
    Option<Request>{nullptr, "mount", 0, "type=T,source=S,target=D,...",
                    "Mount anything: a bind, a tmpfs, or any filesystem, with\n"
                    "the options of mount(8)",
                    [](Request& r, Text v) { return add_mount(r.spec, v); }},

    Option<Request>{"Resources", "memory", 'm', "SIZE",
                    "Limit of memory (memory.max; no swap unless --memory-swap)",
                    [](Request& r, Text v) { return set_limit(r.spec.resources.memory, v); }},
    Option<Request>{nullptr, "memory-high", 0, "SIZE", "Above this it is slowed down (memory.high)",
                    [](Request& r, Text v) { return set_limit(r.spec.resources.memory_high, v); }},
    Option<Request>{nullptr, "memory-swap", 0, "SIZE",
                    "Limit of memory and swap together; max: no limit",
                    [](Request& r, Text v) { return set_limit(r.spec.resources.memory_swap, v); }},
    Option<Request>{nullptr, "oom-group", 0, nullptr,
                    "Out of memory, kill all of it (memory.oom.group)",
                    [](Request& r, Text) -> Result<void> {
                        r.spec.resources.oom_group = true;
                        return {};
                    }},
    Option<Request>{nullptr, "cpus", 0, "NUMBER", "Limit of processor time, such as 1.5 (cpu.max)",
                    [](Request& r, Text v) { return set_cpus(r.spec, v); }},
    Option<Request>{nullptr, "cpuset-cpus", 0, "LIST",
                    "Only these processors, such as 0-3,7 (cpuset.cpus)",
                    [](Request& r, Text v) -> Result<void> {
                        r.spec.resources.cpuset_cpus = v;
                        return {};
                    }},
    Option<Request>{nullptr, "pids-limit", 0, "NUMBER", "Limit of processes and threads (pids.max)",
                    [](Request& r, Text v) { return set_pids(r.spec, v); }},
    Option<Request>{nullptr, "io-max", 0, "DEVICE:KEY=VALUE[,...]",
                    "Limit of a block device: rbps, wbps, riops, wiops (io.max)",
                    [](Request& r, Text v) { return add_io_max(r.spec, v); }},
    Option<Request>{nullptr, "cgroup-set", 0, "FILE=VALUE", "Write any other file of the cgroup",
                    [](Request& r, Text v) { return add_cgroup_file(r.spec, v); }},
    Option<Request>{nullptr, "cgroup-parent", 0, "PATH",
                    "The cgroup to be in: absolute, or relative to sigil's own",
                    [](Request& r, Text v) -> Result<void> {
                        if (v.empty() || fmt::format("/{}/", v).find("/../") != std::string::npos)
                            return failure("'{}' is not a path without '..'", printable(v));
                        r.spec.cgroup_parent = v;
                        return {};
                    }},

    Option<Request>{"Output", "report", 0, "FILE|fd:N|-", "Write how it went, as one JSON object",
                    [](Request& r, Text v) -> Result<void> {
                        r.report = v;
                        return {};
                    }},
    Option<Request>{nullptr, "help", 'h', nullptr, "Show this",
                    [](Request& r, Text) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

// Twelve digits of the 16 random bytes that the kernel gives each program (getauxval(3)).
std::string random_name() {
    const auto* bytes = reinterpret_cast<const unsigned char*>(::getauxval(AT_RANDOM));
    std::string name;
    for (int index = 0; index < 6; ++index)
        name += fmt::format("{:02x}", bytes[index]);
    return name;
}

Result<void> check(const Spec& spec) {
    const Resources& resources = spec.resources;
    if (spec.rootfs.empty())
        return failure("--rootfs: the root filesystem is missing");
    if (spec.args.empty())
        return failure("the command is missing: sigil run [OPTIONS] [--] COMMAND [ARG...]");
    if (spec.args[0].empty())
        return failure("the command is empty");
    if (spec.signal_group && !spec.init)
        return failure("--signal-group: it is the init that signals the group: not with --no-init");
    // The command runs a moment before the init replaces what PID 1 was: a tracer could reach into
    // it. Who has all capabilities needs no such way.
    if (spec.init && isolation::can_trace_but_not_administer(spec.capabilities))
        return failure("--cap-add SYS_PTRACE: it needs --no-init");
    if (resources.memory_swap && !resources.memory && *resources.memory_swap != UINT64_MAX)
        return failure(
            "--memory-swap: it is a limit of memory and swap together: give --memory too");
    if (resources.memory_swap && resources.memory && *resources.memory_swap < *resources.memory)
        return failure(
            "--memory-swap: it is a limit of memory and swap together: not below --memory");
    return {};
}

}  // namespace

std::span<const Option<RunRequest>> run_options() {
    return kOptions;
}

Result<RunRequest> parse_run(std::span<const char* const> arguments) {
    RunRequest request;
    request.spec.capabilities = isolation::default_capabilities();
    TRY(parse_options(run_options(), request, arguments));
    if (request.wants_help)
        return request;
    Spec& spec = request.spec;
    spec.args.assign(arguments.begin(), arguments.end());
    if (spec.name.empty())
        spec.name = random_name();
    if (spec.hostname.empty())
        spec.hostname = spec.name;
    TRY(check(spec));
    return request;
}

}  // namespace sigil::cli
