#include "cli/device_words.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cli/container_words.h"
#include "core/capabilities.h"
#include "core/fd.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;

constexpr Text kDev = "/dev/";
// Names in /dev that are the container's own, whatever the host has there.
constexpr std::array<Text, 11> kOwn = {"pts",    "shm",  "mqueue", "fd",      "stdin", "stdout",
                                       "stderr", "ptmx", "core",   "console", "sigil"};
// The same, that sigil makes as nodes.
constexpr std::array<Text, 6> kStandard = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr size_t kDeepest = 8;

bool is_one_of(Text name, std::span<const Text> names) {
    return std::ranges::find(names, name) != names.end();
}

bool is_access(Text text) {
    return !text.empty() && !text.starts_with('/') && text.find_first_not_of("rwm") == Text::npos;
}

// Below /dev, and nothing that sigil makes there.
Result<void> check_inside(const std::string& path) {
    if (!path.starts_with(kDev))
        return failure("'{}' is not below /dev", printable(path));
    const std::vector<std::string> parts = split(Text(path).substr(kDev.size()), '/');
    for (const std::string& part : parts)
        if (part.empty() || part == "." || part == "..")
            return failure("'{}' is not a plain path", printable(path));
    if (is_one_of(parts[0], kOwn))
        return failure("/dev/{} is the container's own", parts[0]);
    return {};
}

Device device_of(const struct statx& facts, std::string path) {
    return {.path = std::move(path),
            .type = S_ISBLK(facts.stx_mode) ? 'b' : 'c',
            .major = facts.stx_rdev_major,
            .minor = facts.stx_rdev_minor,
            .mode = facts.stx_mode & 07777U,
            .uid = facts.stx_uid,
            .gid = facts.stx_gid};
}

bool is_device(const struct statx& facts) {
    return S_ISBLK(facts.stx_mode) || S_ISCHR(facts.stx_mode);
}

// The host's nodes, without those that go while they are looked at.
Result<void> add_all(Spec& spec, const std::string& directory, size_t depth) {
    Fd opened = TRY(sys::open(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                    "{}", directory);
    for (const std::string& name : TRY(sys::all_names(opened.get()), "{}", directory)) {
        const bool is_ours = depth == 0 && (is_one_of(name, kOwn) || is_one_of(name, kStandard));
        auto facts = sys::stat(opened.get(), name.c_str(), AT_SYMLINK_NOFOLLOW);
        if (is_ours || !facts)
            continue;
        const std::string path = fmt::format("{}/{}", directory, name);
        if (S_ISDIR(facts->stx_mode) && depth < kDeepest)
            (void)add_all(spec, path, depth + 1);
        if (is_device(*facts))
            spec.devices.push_back({.source = path,
                                    .node = device_of(*facts, path),
                                    .rule = {.allow = true},
                                    .origin = "--privileged"});
    }
    return {};
}

Result<uint32_t> parse_id(Text text) {
    return static_cast<uint32_t>(TRY(parse_number(text, UINT32_MAX - 1)));
}

// `next`: the first number inside.
Result<void> add_mapping(Spec& spec, Text text, uint32_t& next) {
    const std::vector<std::string> parts = split(text, ':');
    if (parts.size() != 3)
        return failure("'{}' is none of host, auto, UID:GID:SIZE", printable(text));
    const uint32_t uid = TRY(parse_id(parts[0]));
    const uint32_t gid = TRY(parse_id(parts[1]));
    const uint32_t size = TRY(parse_id(parts[2]));
    if (uid == 0 || gid == 0)
        return failure("'{}' has the host's root in it", printable(text));
    const uint32_t most = UINT32_MAX - std::max({uid, gid, next});
    if (size == 0 || size > most)
        return failure("'{}': {} users from there on are not to be had", printable(text), size);
    spec.uid_mappings.push_back({next, uid, size});
    spec.gid_mappings.push_back({next, gid, size});
    next += size;
    return {};
}

}  // namespace

Result<void> add_device(Spec& spec, Text text) {
    std::vector<std::string> parts = split(text, ':');
    std::string access = "rwm";
    if (parts.size() > 1 && is_access(parts.back())) {
        access = parts.back();
        parts.pop_back();
    }
    if (parts.size() > 2 || !parts[0].starts_with('/'))
        return failure("'{}' is not PATH[:INSIDE][:rwm]", printable(text));
    const std::string& source = parts[0];
    const std::string& inside = parts.size() == 2 ? parts[1] : source;
    TRY(check_inside(inside));
    const struct statx facts = TRY(sys::stat(AT_FDCWD, source.c_str()), "{}", printable(source));
    if (!is_device(facts))
        return failure("'{}' is not a device", printable(source));
    HostDevice device = {.source = source,
                         .node = device_of(facts, inside),
                         .rule = {.allow = true,
                                  .type = S_ISBLK(facts.stx_mode) ? 'b' : 'c',
                                  .major = facts.stx_rdev_major,
                                  .minor = facts.stx_rdev_minor,
                                  .read = access.find('r') != std::string::npos,
                                  .write = access.find('w') != std::string::npos,
                                  .make_node = access.find('m') != std::string::npos},
                         .origin = "--device " + printable(text)};
    spec.devices.push_back(std::move(device));
    return {};
}

Result<void> complete_privileged(Spec& spec) {
    if (!spec.privileged)
        return {};
    spec.capabilities = TRY(parse_capability_to_give("ALL"));
    const auto asked = static_cast<ptrdiff_t>(spec.devices.size());
    TRY(add_all(spec, "/dev", 0));
    // What was asked for by name is there already.
    const auto first = spec.devices.begin() + asked;
    const auto twice = [&](const HostDevice& device) {
        return std::any_of(spec.devices.begin(), first, [&](const HostDevice& other) {
            return other.node.path == device.node.path;
        });
    };
    const auto end = std::remove_if(first, spec.devices.end(), twice);
    spec.devices.erase(end, spec.devices.end());
    return {};
}

Result<void> set_userns(Spec& spec, Text text) {
    spec.uid_mappings.clear();
    spec.gid_mappings.clear();
    spec.user_namespace = text == "host"   ? UserNamespace::host
                          : text == "auto" ? UserNamespace::automatic
                                           : UserNamespace::mapped;
    if (spec.user_namespace != UserNamespace::mapped)
        return {};
    uint32_t next = 0;
    for (const std::string& part : split(text, ','))
        TRY(add_mapping(spec, part, next));
    return {};
}

}  // namespace sigil::cli
