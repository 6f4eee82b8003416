#include "isolation/mount_points.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/parse.h"
#include "core/path.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/mount_options.h"

namespace sigil::isolation {
namespace {

constexpr mode_t kDirectoryMode = 0755;
constexpr mode_t kFileMode = 0644;

bool is_below(std::string_view path, std::string_view directory) {
    return directory == "/" || (path.starts_with(directory) && path.size() > directory.size() &&
                                path[directory.size()] == '/');
}

// Neither follows what somebody has put there meanwhile, nor takes it for ours.
Result<Fd> make(int parent, const char* name, bool is_directory) {
    if (is_directory)
        TRY(sys::mkdirat(parent, name, kDirectoryMode));
    Fd made =
        TRY(is_directory ? sys::open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                         : sys::open(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0));
    const struct statx owner = TRY(sys::stat(parent, "", AT_EMPTY_PATH));
    TRY(sys::fchownat(made.get(), "", owner.stx_uid, owner.stx_gid, AT_EMPTY_PATH));
    // Whatever our umask is.
    if (::fchmod(made.get(), is_directory ? kDirectoryMode : kFileMode) != 0)
        return tl::unexpected(Error::from_errno(errno, "fchmod"));
    return made;
}

// One component after the other, each opened beneath the root.
Result<void> make_path(int root, std::string_view path, bool is_directory) {
    Fd parent = TRY(open_in_root(root, "/", O_PATH | O_DIRECTORY));
    std::string prefix;
    while (!path.empty()) {
        const std::string name(take_part(path, '/'));
        if (name.empty())
            continue;
        prefix += "/" + name;
        auto next = open_in_root(root, prefix.c_str(), O_PATH);
        if (!next && next.error().is(ENOENT))
            next = make(parent.get(), name.c_str(), is_directory || !path.empty());
        parent = TRY(std::move(next));
    }
    return {};
}

// The kernel's own filesystems are mounted on no link (see open_target() in child_mounts.cc).
bool is_missing(int root, const std::string& target, bool follows_links) {
    const auto found = sys::openat2(root, target.c_str(), O_PATH,
                                    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
                                        (follows_links ? 0 : uint64_t{RESOLVE_NO_SYMLINKS}));
    return !found && found.error().is(ENOENT);
}

bool binds_a_file(const Mount& mount) {
    if (!is_bind(mount))
        return false;
    const auto source = sys::stat(AT_FDCWD, mount.source.c_str());
    return source && !S_ISDIR(source->stx_mode);
}

}  // namespace

void make_mount_points(const Spec& spec, int root) {
    std::vector<std::string> mounted;
    for (const Mount& mount : spec.mounts) {
        const auto target = clean_destination(mount);
        if (!target)
            return;  // the plan tells of it
        bool is_in_root = true;
        for (const std::string& earlier : mounted)
            is_in_root &= !is_below(*target, earlier);
        mounted.push_back(*target);
        const bool follows_links = mount.type != "proc" && mount.type != "sysfs";
        if (is_in_root && is_missing(root, *target, follows_links))
            (void)make_path(root, *target, !binds_a_file(mount));
    }
}

}  // namespace sigil::isolation
