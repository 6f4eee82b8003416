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

// All of it: other files of procfs are small.
Result<std::string> read_mountinfo(int self) {
    const Fd file = TRY(sys::open(self, "mountinfo", O_RDONLY));
    std::string text(size_t{16} << 10, '\0');
    for (size_t filled = 0;;) {
        if (filled == text.size())
            text.resize(2 * filled);
        const size_t count =
            TRY(sys::read(file.get(), {text.data() + filled, text.size() - filled}));
        if (count == 0) {
            text.resize(filled);
            return text;
        }
        filled += count;
    }
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
    if (is_mounted_here(TRY(read_mountinfo(self->get()), "read mountinfo"), program))
        return true;
    return failure("sigil's own program was executed from outside of this mount namespace");
}

}  // namespace sigil
