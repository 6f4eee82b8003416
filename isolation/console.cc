#include "isolation/console.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/meeting.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

namespace sigil::isolation {
namespace {

constexpr int kStandardStreams = 3;

// The multiplexer of a devpts and of nothing else.
long open_multiplexer(int root) {
    open_how how = {.flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
                    .mode = 0,
                    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    const long fd = raw::call(__NR_openat2, root, "/dev/pts/ptmx", &how, sizeof how);
    if (fd < 0)
        return fd;
    return is_of_type(fd, DEVPTS_SUPER_MAGIC) ? fd : -ENOTTY;
}

long open_peer(long master) {
    int unlocked = 0;
    if (long done = raw::call(__NR_ioctl, master, TIOCSPTLCK, &unlocked); done < 0)
        return done;
    return raw::call(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

}  // namespace

long open_console(const ConsoleRequest& request) {
    const long master = open_multiplexer(request.root);
    if (master < 0)
        return master;
    const long peer = open_peer(master);
    if (peer < 0)
        return peer;
    if (request.height != 0 || request.width != 0) {
        winsize size = {.ws_row = request.height, .ws_col = request.width};
        if (long set = raw::call(__NR_ioctl, peer, TIOCSWINSZ, &size); set < 0)
            return set;
    }
    if (request.uid != 0) {
        const uint32_t same_group = ~0U;
        if (long owned = raw::call(__NR_fchown, peer, request.uid, same_group); owned < 0)
            return owned;
    }
    const long mount =
        raw::call(__NR_open_tree, peer, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
    const auto give = request.is_awaited ? hand_over : pass_on;
    const long given =
        give(request.channel, static_cast<uint32_t>(Meeting::console), static_cast<int>(master));
    if (given < 0)
        return given;
    close(master);
    for (int number = 0; number < kStandardStreams; ++number)
        if (long moved = raw::call(__NR_dup3, peer, number, 0); moved < 0)
            return moved;
    close(peer);
    if (long taken = raw::call(__NR_ioctl, 0, TIOCSCTTY, 0); taken < 0)
        return taken;
    return mount;
}

}  // namespace sigil::isolation
