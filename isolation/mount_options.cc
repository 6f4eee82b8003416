#include "isolation/mount_options.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/parse.h"

namespace sigil::isolation {
namespace {

#ifndef MOUNT_ATTR_NOSYMFOLLOW
constexpr uint64_t MOUNT_ATTR_NOSYMFOLLOW = 0x00200000;
#endif

enum class Kind : uint8_t { set, clear, atime, superblock, clear_superblock, propagation, bind };

struct Row {
    std::string_view name;
    Kind kind;
    uint64_t mount_flag;
    uint64_t attribute;
};

// Each "set", "clear" and "atime" row also has an "r" form that reaches every mount below.
constexpr std::array kTable = {
    Row{"ro", Kind::set, MS_RDONLY, MOUNT_ATTR_RDONLY},
    Row{"rw", Kind::clear, MS_RDONLY, MOUNT_ATTR_RDONLY},
    Row{"nosuid", Kind::set, MS_NOSUID, MOUNT_ATTR_NOSUID},
    Row{"suid", Kind::clear, MS_NOSUID, MOUNT_ATTR_NOSUID},
    Row{"nodev", Kind::set, MS_NODEV, MOUNT_ATTR_NODEV},
    Row{"dev", Kind::clear, MS_NODEV, MOUNT_ATTR_NODEV},
    Row{"noexec", Kind::set, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    Row{"exec", Kind::clear, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    Row{"nosymfollow", Kind::set, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    Row{"symfollow", Kind::clear, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    Row{"nodiratime", Kind::set, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    Row{"diratime", Kind::clear, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    Row{"relatime", Kind::atime, MS_RELATIME, MOUNT_ATTR_RELATIME},
    Row{"norelatime", Kind::atime, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    Row{"noatime", Kind::atime, MS_NOATIME, MOUNT_ATTR_NOATIME},
    Row{"atime", Kind::atime, MS_RELATIME, MOUNT_ATTR_RELATIME},
    Row{"strictatime", Kind::atime, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    Row{"nostrictatime", Kind::atime, MS_RELATIME, MOUNT_ATTR_RELATIME},
    Row{"sync", Kind::superblock, MS_SYNCHRONOUS, 0},
    Row{"async", Kind::clear_superblock, MS_SYNCHRONOUS, 0},
    Row{"dirsync", Kind::superblock, MS_DIRSYNC, 0},
    Row{"mand", Kind::superblock, MS_MANDLOCK, 0},
    Row{"nomand", Kind::clear_superblock, MS_MANDLOCK, 0},
    Row{"silent", Kind::superblock, MS_SILENT, 0},
    Row{"loud", Kind::clear_superblock, MS_SILENT, 0},
    Row{"lazytime", Kind::superblock, MS_LAZYTIME, 0},
    Row{"nolazytime", Kind::clear_superblock, MS_LAZYTIME, 0},
    Row{"iversion", Kind::superblock, MS_I_VERSION, 0},
    Row{"noiversion", Kind::clear_superblock, MS_I_VERSION, 0},
    Row{"defaults", Kind::superblock, 0, 0},
    Row{"bind", Kind::bind, 0, 0},
    Row{"rbind", Kind::bind, MS_REC, 0},
    Row{"private", Kind::propagation, MS_PRIVATE, 0},
    Row{"rprivate", Kind::propagation, MS_PRIVATE | MS_REC, 0},
    Row{"slave", Kind::propagation, MS_SLAVE, 0},
    Row{"rslave", Kind::propagation, MS_SLAVE | MS_REC, 0},
    Row{"shared", Kind::propagation, MS_SHARED, 0},
    Row{"rshared", Kind::propagation, MS_SHARED | MS_REC, 0},
    Row{"unbindable", Kind::propagation, MS_UNBINDABLE, 0},
    Row{"runbindable", Kind::propagation, MS_UNBINDABLE | MS_REC, 0},
};

const Row* find_row(std::string_view name) {
    auto row = std::ranges::find(kTable, name, &Row::name);
    return row == kTable.end() ? nullptr : row;
}

bool has_recursive_form(const Row& row) {
    return row.kind == Kind::set || row.kind == Kind::clear || row.kind == Kind::atime;
}

void set_attribute(MountFlags& flags, bool recursive, uint64_t set, uint64_t clear) {
    uint64_t& to_set = recursive ? flags.recursive_set : flags.attributes_set;
    uint64_t& to_clear = recursive ? flags.recursive_clear : flags.attributes_clear;
    to_set = (to_set & ~clear) | set;
    to_clear = (to_clear & ~set) | clear;
}

void apply(const Row& row, bool recursive, MountFlags& flags) {
    constexpr uint64_t kAllAtime = MS_RELATIME | MS_NOATIME | MS_STRICTATIME;
    switch (row.kind) {
        case Kind::set:
            flags.mount_flags |= row.mount_flag;
            set_attribute(flags, recursive, row.attribute, 0);
            break;
        case Kind::clear:
            flags.mount_flags &= ~row.mount_flag;
            set_attribute(flags, recursive, 0, row.attribute);
            break;
        case Kind::atime:
            flags.mount_flags = (flags.mount_flags & ~kAllAtime) | row.mount_flag;
            // The kernel wants the whole field cleared before one value of it is set.
            set_attribute(flags, recursive, 0, MOUNT_ATTR__ATIME);
            (recursive ? flags.recursive_set : flags.attributes_set) |= row.attribute;
            break;
        case Kind::superblock:
            flags.mount_flags |= row.mount_flag;
            break;
        case Kind::clear_superblock:
            flags.mount_flags &= ~row.mount_flag;
            break;
        case Kind::propagation:
            flags.propagation = row.mount_flag & ~uint64_t{MS_REC};
            flags.recursive_propagation = row.mount_flag & MS_REC;
            break;
        case Kind::bind:
            flags.recursive_bind = row.mount_flag & MS_REC;
            break;
    }
}

}  // namespace

Result<MountFlags> parse_mount_options(std::span<const std::string> options, bool is_bind) {
    MountFlags flags;
    for (const std::string& option : options) {
        if (const Row* row = find_row(option)) {
            apply(*row, false, flags);
            continue;
        }
        const Row* row =
            option.starts_with('r') ? find_row(std::string_view(option).substr(1)) : nullptr;
        if (row && has_recursive_form(*row)) {
            if (!is_bind)
                return failure("option '{}' is for binds: a new filesystem has nothing below it",
                               printable(option));
            apply(*row, true, flags);
            continue;
        }
        if (is_bind)
            return failure("'{}' is not an option of a bind", printable(option));
        flags.data += flags.data.empty() ? "" : ",";
        flags.data += option;
    }
    return flags;
}

MountExtensions take_extensions(Mount& mount) {
    auto take = [&mount](std::string_view word) { return std::erase(mount.options, word) > 0; };
    MountExtensions extensions;
    extensions.copy_up = take("tmpcopyup");
    extensions.id_mapped_below = take("ridmap");
    const bool is_asked_for = take("idmap") || extensions.id_mapped_below;
    extensions.id_mapped =
        is_asked_for || !mount.uid_mappings.empty() || !mount.gid_mappings.empty();
    return extensions;
}

bool is_bind(const Mount& mount) {
    auto says_so = [](const std::string& option) { return option == "bind" || option == "rbind"; };
    return mount.type == "bind" || std::ranges::any_of(mount.options, says_so);
}

Result<std::string> clean_destination(const Mount& mount) {
    constexpr size_t kLongest = 4000;
    if (!mount.target.starts_with('/'))
        return failure("{}: the destination '{}' is not an absolute path", mount.origin,
                       printable(mount.target));
    if (mount.target.size() > kLongest)
        return failure("{}: the destination is longer than {} bytes", mount.origin, kLongest);
    std::string clean;
    std::string_view rest = mount.target;
    while (!rest.empty()) {
        rest.remove_prefix(1);
        std::string_view name = rest.substr(0, rest.find('/'));
        rest.remove_prefix(name.size());
        if (name == "..")
            clean.resize(clean.empty() ? 0 : clean.rfind('/'));
        else if (!name.empty() && name != ".")
            clean.append("/").append(name);
    }
    if (clean.empty())
        return failure("{}: the destination is the root itself", mount.origin);
    return clean;
}

std::vector<std::string> mount_option_names() {
    std::vector<std::string> names;
    for (const Row& row : kTable) {
        names.emplace_back(row.name);
        if (has_recursive_form(row))
            names.push_back("r" + names.back());
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace sigil::isolation
