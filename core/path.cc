#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include <algorithm>

#include "core/sys.h"
#include "core/try.h"

namespace sigil {

Result<Fd> open_in_root(int root, const char* path, int flags) {
    return sys::openat2(root, path, static_cast<uint64_t>(flags),
                        RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Result<std::string> read_in_root(int root, const char* path, size_t limit) {
    // Non-blocking: a hostile root may hold a FIFO by that name.
    Fd file = TRY(open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct statx facts = TRY(sys::stat(file.get(), "", AT_EMPTY_PATH));
    if (!S_ISREG(facts.stx_mode))
        return failure("{} is not a regular file", path);
    std::string text(std::min<size_t>(limit, facts.stx_size), '\0');
    text.resize(TRY(sys::read_full(file.get(), text)));
    return text;
}

}  // namespace sigil
