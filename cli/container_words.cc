#include "cli/container_words.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/fd.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/mount_options.h"

namespace sigil::cli {

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

Result<void> add_variable(Spec& spec, Text entry) {
    const size_t equals = entry.find('=');
    if (entry.empty() || equals == 0)
        return failure("'{}' has no name", printable(entry));
    if (equals != Text::npos)
        spec.env.emplace_back(entry);
    else if (const char* value = ::getenv(std::string(entry).c_str()))
        spec.env.push_back(fmt::format("{}={}", entry, value));
    return {};
}

Result<void> read_env_file(Spec& spec, Text path) {
    Fd file = TRY(sys::open(AT_FDCWD, std::string(path).c_str(), O_RDONLY), "{}", printable(path));
    const std::string text = TRY(sys::read_all(file.get()), "{}", printable(path));
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

Result<void> set_workdir(Spec& spec, Text text) {
    if (!text.starts_with('/'))
        return failure("'{}' is not an absolute path", printable(text));
    spec.cwd = text;
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

namespace {

// The value of a word that may stand alone.
Result<bool> parse_switch(Text value) {
    if (value.empty() || value == "true" || value == "1")
        return true;
    if (value == "false" || value == "0")
        return false;
    return failure("'{}' is neither true nor false", printable(value));
}

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

}  // namespace

Result<void> add_mount(Spec& spec, Text text) {
    Mount mount = {.type = "bind",
                   .source = {},
                   .target = {},
                   .options = {},
                   .origin = "--mount " + printable(text)};
    bool read_only = false;
    for (const std::string& part : split(text, ','))
        TRY(apply_mount_key(mount, read_only, part));
    TRY(add_mount(spec, std::move(mount), read_only), "'{}'", printable(text));
    return {};
}

Result<void> add_mount(Spec& spec, Mount mount, bool read_only) {
    const bool is_bind = mount.type == "bind";
    if (mount.target.empty())
        return failure("it has no target");
    if (mount.type.empty() || (is_bind && mount.source.empty()))
        return failure("it has no {}", mount.type.empty() ? "type" : "source");
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

namespace {

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

}  // namespace

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

Result<void> set_cgroup_parent(Spec& spec, Text text) {
    if (text.empty() || fmt::format("/{}/", text).find("/../") != std::string::npos)
        return failure("'{}' is not a path without '..'", printable(text));
    spec.cgroup_parent = text;
    return {};
}

}  // namespace sigil::cli
