#include "isolation/notify_socket.h"

#include <linux/mount.h>

#include "core/datagram.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

}  // namespace

Result<NotifySocket> NotifySocket::open() {
    Fd filesystem = TRY(sys::fsopen("tmpfs"), "make a tmpfs");
    // The root, the socket, and nothing that a container could put there.
    for (auto [key, value] : {std::pair{"mode", "0755"}, {"nr_inodes", "3"}, {"size", "4096"}})
        TRY(sys::fsconfig_string(filesystem.get(), key, value), "make a tmpfs: {}", key);
    TRY(sys::fsconfig_create(filesystem.get()), "make a tmpfs");
    NotifySocket made;
    made.mount = TRY(sys::fsmount(filesystem.get(), kAttributes), "make a tmpfs");
    const std::string path = fmt::format("/proc/self/fd/{}/notify", made.mount.get());
    made.socket = TRY(bind_datagram(path.c_str()));
    // To connect to a socket is no write to its filesystem (inode_permission(), fs/namei.c).
    const mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    TRY(sys::mount_setattr(made.mount.get(), 0, read_only), "make a tmpfs read-only");
    return made;
}

}  // namespace sigil::isolation
