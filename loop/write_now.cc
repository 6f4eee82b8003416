#include "loop/write_now.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

// RWF_NOWAIT is for files that support it (pwritev2(2)): pipes of pipe(2) and sockets since Linux
// 6.4, no FIFO and no terminal. ENOSYS, EPERM: a seccomp filter doesn't know the call.
bool cannot_tell(const Error& error) {
    return error.is(EOPNOTSUPP) || error.is(ENOSYS) || error.is(EPERM);
}

}  // namespace

Result<size_t> write_now(int fd, std::string_view bytes, bool is_writable) {
    auto taken = sys::write_nowait(fd, bytes);
    if (taken || !cannot_tell(taken.error()))
        return taken;
    const auto kind = TRY(sys::stat(fd, "", AT_EMPTY_PATH)).stx_mode & S_IFMT;
    if (kind == S_IFSOCK)
        return sys::send_nowait(fd, bytes);
    if (kind != S_IFIFO && kind != S_IFCHR)
        return tl::unexpected(Error::from_errno(EAGAIN, "write"));
    // Opened anew, the pipe or device has a description of our own (proc(5), /proc/pid/fd).
    const auto path = fmt::format("/proc/self/fd/{}", fd);
    if (auto own = sys::open(AT_FDCWD, path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY))
        return sys::write(own->get(), bytes);
    if (!is_writable)
        return tl::unexpected(Error::from_errno(EAGAIN, "write"));
    return sys::write(fd, bytes.substr(0, PIPE_BUF));
}

}  // namespace sigil::loop
