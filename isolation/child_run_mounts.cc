// The mounts of a container of `sigil run`: the root is its own by then, and most of them are made
// from the directory that they are in (Child::place).
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"

namespace sigil::isolation {
namespace {

// Binds a mask by its descriptor, which nobody else can lead astray, and further ones of that place
// from the first.
long bind_mask(int mask, const char*& first, const char* name) {
    if (first)
        return mount_call(first, name, nullptr, MS_BIND, nullptr);
    // A tree that goes unused costs a grace period of RCU when it is closed (namespace_unlock() in
    // fs/namespace.c), and most names are not in every kernel.
    if (long seen = raw::call(__NR_faccessat, AT_FDCWD, name, F_OK); seen < 0)
        return seen;
    long tree =
        raw::call(__NR_open_tree, mask, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return tree;
    long moved = raw::call(__NR_move_mount, tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH);
    close(tree);
    if (moved == kDone)
        first = name;
    return moved == -EINVAL ? -ENOTDIR : moved;  // how move_mount(2) says that the kinds differ
}

long mask_file(Child& child, const char* name) {
    return bind_mask(child.null_device, child.masked_file[static_cast<size_t>(child.place)], name);
}

// procfs has an empty directory itself, that nothing is ever put into: proc_tty_init() in
// fs/proc/proc_tty.c. It comes read-only, as /proc still is; a tmpfs would cost 30 us more.
long mount_empty(const Child& child, const char* name) {
    if (child.place == static_cast<int>(Place::proc) &&
        mount_call("tty/ldisc", name, nullptr, MS_BIND, nullptr) == kDone)
        return kDone;
    return mount_call("tmpfs", name, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                      "size=0,nr_inodes=1");
}

// One empty read-only directory serves for each.
long mask_directory(Child& child, const char* name) {
    const char*& first = child.masked_directory[static_cast<size_t>(child.place)];
    if (child.empty_directory >= 0)
        return bind_mask(child.empty_directory, first, name);
    if (long made = mount_empty(child, name); made != kDone)
        return made;
    first = name;
    child.empty_directory = static_cast<int>(
        raw::call(__NR_openat, AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    return child.empty_directory < 0 ? child.empty_directory : kDone;
}

}  // namespace

// A filesystem of our own, held by its descriptor from its birth on: what is done in it later
// cannot be led astray by whatever the root has at that path.
long new_mount(Child& child, const Step& step) {
    if (child.is_shared[static_cast<size_t>(step.place)])
        return kDone;
    long tree = make_filesystem(step.source, step.options, step.flags);
    if (tree == -EPERM && step.device_name)
        tree = clone_from_host(step);
    if (tree < 0)
        return tree;
    // One name beneath the root, and no MOVE_MOUNT_T_SYMLINKS: a link there fails with ENOTDIR.
    const int root = root_of(child);
    long moved = raw::call(__NR_move_mount, tree, "", root, step.path, MOVE_MOUNT_F_EMPTY_PATH);
    if (moved == -ENOENT) {
        // EEXIST: another container of the same root has made it just now.
        moved = raw::call(__NR_mkdirat, root, step.path, 0755);
        if (moved < 0 && moved != -EEXIST)
            return moved;
        moved = raw::call(__NR_move_mount, tree, "", root, step.path, MOVE_MOUNT_F_EMPTY_PATH);
    }
    child.places[static_cast<size_t>(step.place)] = static_cast<int>(tree);
    return moved;
}

long mask(Child& child, const Step& step) {
    if (child.is_shared[static_cast<size_t>(child.place)])
        return kDone;
    const bool as_file = step.kind == StepKind::mask_file;
    long done = as_file ? mask_file(child, step.path) : mask_directory(child, step.path);
    if (done == -ENOTDIR)  // this kernel has the other kind there
        done = as_file ? mask_directory(child, step.path) : mask_file(child, step.path);
    return done == -ENOENT ? kDone : done;
}

// Whoever can write to the root can have moved the place from under its mount, or removed both:
// then the container makes its own.
long use_shared(Child& child, const Step& step) {
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const long mount = raw::call(__NR_openat, root_of(child), step.path, kFlags, 0);
    if (mount < 0 || !is_of_type(mount, SYSFS_MAGIC))
        return kDone;
    const auto place = static_cast<size_t>(step.place);
    child.places[place] = static_cast<int>(mount);
    child.is_shared[place] = true;
    const long empty = raw::call(__NR_openat, mount, step.source, kFlags, 0);
    if (empty >= 0 && is_of_type(empty, TMPFS_MAGIC))
        child.empty_directory = static_cast<int>(empty);
    return kDone;
}

long bind_here(const Step& step) {
    long bound = mount_call(step.path, step.path, nullptr, MS_BIND | MS_REC, nullptr);
    return bound == -ENOENT ? kDone : bound;
}

long attach_tree(Child& child, const Step& step) {
    long target = open_or_make(child, step.path, step.mode == S_IFDIR);
    if (target < 0)
        return target;
    long moved = attach(step.fd, static_cast<int>(target));
    close(target);
    return moved;
}

long mount_at(Child& child, const Step& step) {
    long done = enter_directory(child, step.path);
    return done < 0 ? done
                    : mount_call(step.device_name ? step.device_name : step.source, ".",
                                 step.source, step.flags, step.data);
}

}  // namespace sigil::isolation
