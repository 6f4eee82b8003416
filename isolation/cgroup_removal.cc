#include "isolation/cgroup_removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include <string_view>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_wait.h"

namespace sigil::isolation {
namespace {

// rmdir(2) on cgroupfs says EBUSY for processes and for directories below alike.
bool is_in_use(const Error& error) {
    return error.is(EBUSY) || error.is(ENOTEMPTY);
}

Result<void> remove_whole(int parent, const char* name, int directory) {
    auto removed = sys::rmdirat(parent, name);
    if (!removed && is_in_use(removed.error())) {
        remove_cgroups_below(directory);
        removed = sys::rmdirat(parent, name);
    }
    if (!removed && removed.error().is(ENOENT))
        return {};
    return removed;
}

}  // namespace

void remove_cgroups_below(int directory) {
    auto listing = sys::open(directory, ".", O_RDONLY | O_DIRECTORY);
    if (!listing)
        return;
    DIR* stream = ::fdopendir(listing->release());
    if (!stream)
        return;
    while (dirent* entry = ::readdir(stream)) {
        std::string_view name = entry->d_name;
        if (entry->d_type != DT_DIR || name == "." || name == "..")
            continue;
        if (auto child = sys::open(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            remove_cgroups_below(child->get());
        (void)sys::rmdirat(directory, entry->d_name);
    }
    ::closedir(stream);
}

Result<void> end_cgroup(int parent, const char* name, int directory,
                        std::chrono::nanoseconds deadline) {
    auto removed = remove_whole(parent, name, directory);
    if (removed || !is_in_use(removed.error()))
        return removed;
    TRY(sys::write_file(directory, "cgroup.kill", "1"), "kill what is in it");
    TRY(wait_for_events(directory, deadline, [&](std::string_view) -> Result<bool> {
        removed = remove_whole(parent, name, directory);
        return removed || !is_in_use(removed.error());
    }));
    return removed;
}

}  // namespace sigil::isolation
