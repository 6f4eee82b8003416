#include "isolation/cgroup_control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <string_view>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_wait.h"

namespace sigil::isolation {
namespace {

bool says_frozen(std::string_view events) {
    return events.find("frozen 1") != std::string_view::npos;
}

Result<void> set_frozen(int directory, bool frozen, std::chrono::nanoseconds deadline) {
    TRY(sys::write_file(directory, "cgroup.freeze", frozen ? "1" : "0"), "write cgroup.freeze");
    const bool is_so =
        TRY(wait_for_events(directory, deadline, [frozen](std::string_view events) -> Result<bool> {
            return says_frozen(events) == frozen;
        }));
    if (!is_so)
        return tl::unexpected(Error::from_errno(ETIMEDOUT, "cgroup.events")
                                  .in(frozen ? "a process does not stop" : "it stays frozen"));
    return {};
}

Result<void> add_processes(int directory, std::vector<pid_t>& into) {
    auto text = sys::read_file(directory, "cgroup.procs");
    // A threaded cgroup (EOPNOTSUPP): the processes are listed in the one that it belongs to. One
    // below may be removed meanwhile.
    if (!text && !text.error().is(EOPNOTSUPP) && !text.error().is(ENODEV) &&
        !text.error().is(ENOENT))
        return tl::unexpected(std::move(text).error().in("read cgroup.procs"));
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
        const uint64_t pid = TRY(parse_number(take_part(rest, '\n'), INT32_MAX), "cgroup.procs");
        if (pid != 0)
            into.push_back(static_cast<pid_t>(pid));
    }
    return {};
}

Result<void> add_processes_below(int directory, std::vector<pid_t>& into) {
    TRY(add_processes(directory, into));
    Fd listing = TRY(sys::open(directory, ".", O_RDONLY | O_DIRECTORY), "list a cgroup");
    DIR* stream = ::fdopendir(listing.release());
    if (!stream)
        return tl::unexpected(Error::from_errno(ENOMEM, "fdopendir"));
    Result<void> done;
    while (const dirent* entry = ::readdir(stream)) {
        const std::string_view name = entry->d_name;
        if (entry->d_type != DT_DIR || name == "." || name == "..")
            continue;
        if (auto child = sys::open(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            done = add_processes_below(child->get(), into);
        if (!done)
            break;
    }
    ::closedir(stream);
    return done;
}

}  // namespace

Result<void> freeze_cgroup(int directory, std::chrono::nanoseconds deadline) {
    auto frozen = set_frozen(directory, true, deadline);
    if (!frozen) {
        // A process in an uninterruptible sleep holds out; the others would stand for ever.
        (void)sys::write_file(directory, "cgroup.freeze", "0");
        return tl::unexpected(std::move(frozen).error().in("freeze the cgroup"));
    }
    return {};
}

Result<void> thaw_cgroup(int directory, std::chrono::nanoseconds deadline) {
    TRY(set_frozen(directory, false, deadline), "thaw the cgroup");
    return {};
}

Result<bool> is_cgroup_frozen(int directory) {
    return says_frozen(TRY(sys::read_file(directory, "cgroup.events"), "read cgroup.events"));
}

Result<std::vector<pid_t>> cgroup_processes(int directory) {
    std::vector<pid_t> processes;
    TRY(add_processes_below(directory, processes));
    std::ranges::sort(processes);
    // One that moved meanwhile was met twice.
    processes.erase(std::unique(processes.begin(), processes.end()), processes.end());
    return processes;
}

}  // namespace sigil::isolation
