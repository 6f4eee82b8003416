#include "core/own_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <string>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil {
namespace {

// mountinfo shows the mounts beneath our root in our namespace, an id at the start of each line
// (proc_pid_mountinfo(5)); no two mounts of the machine have the same.
bool is_mounted_here(std::string_view mountinfo, uint64_t id) {
    const std::string start = std::to_string(id) + " ";
    while (!mountinfo.empty())
        if (take_part(mountinfo, '\n').starts_with(start))
            return true;
    return false;
}

}  // namespace

Result<bool> check_own_program() {
    auto self = sys::open(AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY);
    if (!self && (self.error().is(ENOENT) || self.error().is(ENOTDIR)))
        return false;
    if (!self)
        return tl::unexpected(std::move(self).error().in("open /proc/self"));
    if (TRY(sys::filesystem_type(self->get())) != PROC_SUPER_MAGIC)  // a hostile root's own
        return false;
    // On the same mount as our root: in our namespace, then, which is the usual case.
    const uint64_t program = TRY(sys::mount_id(self->get(), "exe"), "find sigil's own program");
    if (program == TRY(sys::mount_id(AT_FDCWD, "/"), "find the root's mount"))
        return true;
    const Fd mounts = TRY(sys::open(self->get(), "mountinfo", O_RDONLY), "read mountinfo");
    if (is_mounted_here(TRY(sys::read_all(mounts.get()), "read mountinfo"), program))
        return true;
    return failure("sigil's own program was executed from outside of this mount namespace");
}

}  // namespace sigil
