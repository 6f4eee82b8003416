// The mounts of a bundle. Everything in the root is reached by descriptor: opened beneath the root,
// looked at, and then mounted on, so that nobody who changes the root meanwhile leads a mount
// astray.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kNullMajor = 1;
constexpr uint32_t kNullMinor = 3;
constexpr uint64_t kProcRootInode = 1;  // fs/proc/internal.h: PROC_ROOT_INO
constexpr uint64_t kLocked = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

bool is_device(const struct statx& facts, uint32_t mode, uint64_t device) {
    return (facts.stx_mode & S_IFMT) == (mode & S_IFMT) &&
           makedev(facts.stx_rdev_major, facts.stx_rdev_minor) == device;
}

// Whether a mount there would hide /proc or a part of it. A link in the root can lead there from
// anywhere (CVE-2019-19921), which only the place itself tells.
long check_outside_proc(const Child& child, long target) {
    if (is_of_type(target, PROC_SUPER_MAGIC))
        return -EPERM;
    struct statx proc;
    struct statx place;
    if (status_of(root_of(child), "proc", AT_SYMLINK_NOFOLLOW, proc) < 0)
        return kDone;
    if (long known = status_of(target, "", AT_EMPTY_PATH, place); known < 0)
        return known;
    const bool same = proc.stx_ino == place.stx_ino && proc.stx_dev_major == place.stx_dev_major &&
                      proc.stx_dev_minor == place.stx_dev_minor;
    return same ? -EPERM : kDone;
}

long open_target(const Child& child, const Step& step, bool is_directory, bool& made) {
    const bool plain = step.device & kPlainDirectory;
    long target = open_in_root(child, step.path, O_PATH | (plain ? O_DIRECTORY : 0),
                               plain ? RESOLVE_NO_SYMLINKS : 0);
    made = target == -ENOENT;
    if (made) {
        target = make_in_root(child, step.path, is_directory);
        if (target >= 0 && plain) {  // again: the walk that makes follows links
            close(target);
            target = open_in_root(child, step.path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        }
    }
    if (target < 0 || step.device & kMayCoverProc)
        return target;
    if (long fine = check_outside_proc(child, target); fine < 0) {
        close(target);
        return fine;
    }
    return target;
}

long open_target(const Child& child, const Step& step, bool is_directory) {
    bool made;
    return open_target(child, step, is_directory, made);
}

long clone_tree(long directory, const char* path, uint64_t flags) {
    return raw::call(__NR_open_tree, directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

long change_mount(long mount, unsigned flags, uint64_t set, uint64_t propagation) {
    mount_attr attributes = {};
    attributes.attr_set = set;
    attributes.propagation = propagation;
    return raw::call(__NR_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &attributes,
                     sizeof attributes);
}

// The mode of a directory, as a filesystem's option: "0755".
void write_mode(char (&text)[8], uint32_t mode) {
    size_t at = sizeof text - 1;
    text[at] = '\0';
    for (uint32_t rest = mode & 07777; at > 0; rest >>= 3)
        text[--at] = static_cast<char>('0' + (rest & 7));
}

long set_option(long context, const char* key, const char* value) {
    return *value ? raw::call(__NR_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0)
                  : raw::call(__NR_fsconfig, context, FSCONFIG_SET_FLAG, key, nullptr, 0);
}

long create(long context) {
    return raw::call(__NR_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
}

// `mode`: of the directory that the filesystem is going to cover; null: it is new.
long configure(long context, const char* const* options, const uint32_t* mode) {
    char text[8];
    if (mode) {
        write_mode(text, *mode);
        if (long set = set_option(context, "mode", text); set < 0)
            return set;
    }
    for (; options && *options; options += 2)
        if (long set = set_option(context, options[0], options[1]); set < 0)
            return set;
    return create(context);
}

// What the image has where a tmpfs is about to be becomes the tmpfs's.
long copy_up(long image, const struct statx& facts, long tree) {
    const long source = raw::call(__NR_openat, image, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (source < 0)
        return source;
    const long target = raw::call(__NR_openat, tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long copied = target;
    if (copied >= 0)
        copied = copy_directory(static_cast<int>(source), static_cast<int>(target));
    if (copied >= 0)
        copied = raw::call(__NR_fchown, target, facts.stx_uid, facts.stx_gid);
    close(source);
    if (target >= 0)
        close(target);
    return copied;
}

long make_tree(const Step& step, long target, bool target_is_new) {
    struct statx facts = {};
    if (long known = status_of(target, "", AT_EMPTY_PATH, facts); known < 0)
        return known;
    const uint32_t mode = facts.stx_mode;
    const bool copies = step.device & kCopyUp;
    const bool keeps_mode = step.device & kKeepMode && !target_is_new;
    const long tree = make_filesystem(
        step.source, step.options, copies ? step.flags & ~uint64_t{MOUNT_ATTR_RDONLY} : step.flags,
        keeps_mode ? &mode : nullptr);
    if (tree == -EPERM && step.device_name)
        return clone_from_host(step);
    if (tree < 0 || !copies)
        return tree;
    long copied = copy_up(target, facts, tree);
    if (copied >= 0 && step.flags & MOUNT_ATTR_RDONLY)
        copied = change_mount(tree, 0, MOUNT_ATTR_RDONLY, 0);
    if (copied >= 0)
        return tree;
    close(tree);
    return copied;
}

// Attaches the master, or a copy of it where it is attached already.
long attach_copy(Master& master, long target) {
    if (!master.is_attached) {
        const long attached = attach(master.tree, static_cast<int>(target));
        master.is_attached = attached >= 0;
        return attached;
    }
    const long copy = clone_tree(master.tree, "", AT_EMPTY_PATH);
    if (copy < 0)
        return copy;
    const long attached = attach(static_cast<int>(copy), static_cast<int>(target));
    close(copy);
    return attached;
}

long make_directory_mask(Child& child) {
    static constexpr const char* kNoRoom[] = {"size", "0", "nr_inodes", "1", nullptr};
    if (child.directory_mask.tree >= 0)
        return kDone;
    const long tree = make_filesystem("tmpfs", kNoRoom, kLocked | MOUNT_ATTR_RDONLY);
    child.directory_mask.tree = static_cast<int>(tree);
    return tree;
}

bool is_missing(long error) {
    return error == -ENOENT || error == -ENOTDIR;
}

// The host's node on a new file by that name (user namespaces may make no nodes).
long bind_device(const Step& step) {
    const long tree = clone_tree(AT_FDCWD, step.source, 0);
    if (tree < 0)
        return tree;
    struct statx facts = {};
    long done = status_of(tree, "", AT_EMPTY_PATH, facts);
    if (done >= 0 && !is_device(facts, step.mode, step.device))
        done = -ENODEV;
    if (done >= 0)
        done = raw::call(__NR_openat, AT_FDCWD, step.path,
                         O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (done >= 0) {
        const long target = done;
        done = attach(static_cast<int>(tree), static_cast<int>(target));
        close(target);
    }
    close(tree);
    return done;
}

}  // namespace

long mount_call(const char* source, const char* target, const char* type, uint64_t flags,
                const char* data) {
    return raw::call(__NR_mount, source, target, type, flags, data);
}

long make_filesystem(const char* type, const char* const* options, uint64_t attributes,
                     const uint32_t* mode) {
    const long context = raw::call(__NR_fsopen, type, FSOPEN_CLOEXEC);
    if (context < 0)
        return context;
    long tree = configure(context, options, mode);
    if (tree >= 0)
        tree = raw::call(__NR_fsmount, context, FSMOUNT_CLOEXEC, attributes);
    close(context);
    return tree;
}

long clone_from_host(const Step& step) {
    const long tree = clone_tree(AT_FDCWD, step.device_name, AT_RECURSIVE);
    if (tree < 0)
        return tree;
    const long changed =
        change_mount(tree, AT_RECURSIVE, step.flags & ~uint64_t{MOUNT_ATTR__ATIME}, MS_PRIVATE);
    if (changed >= 0)
        return tree;
    close(tree);
    return changed;
}

long attach(int tree, int target) {
    return raw::call(__NR_move_mount, tree, "", target, "",
                     MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

long change_attributes(int mount, uint64_t set, uint64_t clear) {
    mount_attr attributes = {};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    return raw::call(__NR_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}

// One that is nowhere to be seen, whatever becomes of the container's; where the kernel makes us
// none, the host's, if that is really one.
long open_proc(Child& child) {
    long proc = make_filesystem("proc", nullptr, kLocked);
    if (proc == -EPERM) {
        proc = raw::call(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        struct statx facts = {};
        if (proc >= 0 &&
            (!is_of_type(proc, PROC_SUPER_MAGIC) || status_of(proc, "", AT_EMPTY_PATH, facts) < 0 ||
             facts.stx_ino != kProcRootInode))
            return -EPERM;
    }
    child.own_proc = static_cast<int>(proc);
    return proc;
}

// Masks of files are the host's /dev/null: what the container has by that name may be anything
// (CVE-2025-31133). Read-only, which no write to the device minds: else a chmod(2) of the masked
// path would be one of the host's device.
long open_null_mask(Child& child) {
    const long tree = clone_tree(AT_FDCWD, "/dev/null", 0);
    if (tree < 0)
        return tree;
    struct statx facts = {};
    if (long known = status_of(tree, "", AT_EMPTY_PATH, facts); known < 0)
        return known;
    child.null_mask.tree = static_cast<int>(tree);
    if (!is_device(facts, S_IFCHR, makedev(kNullMajor, kNullMinor)))
        return -ENODEV;
    return change_mount(tree, 0, MOUNT_ATTR_RDONLY, 0);
}

long bind_tree(Child& child, const Step& step) {
    const long target = open_target(child, step, step.mode == S_IFDIR);
    if (target < 0)
        return target;
    const long attached = attach(step.fd, static_cast<int>(target));
    close(target);
    return attached;
}

long new_filesystem(Child& child, const Step& step) {
    bool target_is_new = false;
    const long target = open_target(child, step, true, target_is_new);
    if (target < 0)
        return target;
    const long tree = make_tree(step, target, target_is_new);
    long done = tree;
    if (done >= 0 && step.mode)
        done = change_mount(tree, 0, 0, step.mode);
    if (done >= 0)
        done = attach(static_cast<int>(tree), static_cast<int>(target));
    close(target);
    if (done >= 0 && step.place != Place::none)
        child.places[static_cast<size_t>(step.place)] = static_cast<int>(tree);
    else if (tree >= 0)
        close(tree);
    return done;
}

// mount(2), for filesystems whose options are their own affair: fsconfig(2) takes no value above
// 255 bytes, and an overlay's layers are longer.
long mount_in_root(Child& child, const Step& step) {
    const long target = open_target(child, step, true);
    if (target < 0)
        return target;
    child.place = kNoPlace;
    long done = raw::call(__NR_fchdir, target);
    close(target);
    if (done >= 0)
        done = mount_call(step.source ? step.source : "none", ".", step.device_name, step.flags,
                          step.data);
    if (done < 0 || !step.mode)
        return done;
    const long mount = open_in_root(child, step.path, O_PATH);  // the top of what is there
    if (mount < 0)
        return mount;
    done = change_mount(mount, 0, 0, step.mode);
    close(mount);
    return done;
}

long make_device(const Step& step) {
    const long made = raw::call(__NR_mknodat, AT_FDCWD, step.path, step.mode, step.device);
    if (made == kDone)
        return step.ids ? raw::call(__NR_fchownat, AT_FDCWD, step.path, step.ids->uid,
                                    step.ids->gid, AT_SYMLINK_NOFOLLOW)
                        : kDone;
    if (made == -EPERM && step.source)
        return bind_device(step);
    struct statx facts = {};
    if (made == -EEXIST && status_of(AT_FDCWD, step.path, AT_SYMLINK_NOFOLLOW, facts) == kDone &&
        is_device(facts, step.mode, step.device))
        return kDone;
    return made;
}

// flags 1: instead of what is there.
long ensure_link(const Step& step) {
    if (step.flags)
        raw::call(__NR_unlinkat, AT_FDCWD, step.path, 0);
    const long made = raw::call(__NR_symlinkat, step.source, AT_FDCWD, step.path);
    return made == -EEXIST && !step.flags ? kDone : made;
}

// Without pivot_root the host's mounts stay in the namespace, beneath the root: a full procfs or
// sysfs among them would let the container mount new ones unmasked (mount_too_revealing() in
// fs/namespace.c). In a user namespace they are locked, and can only be covered.
long hide_host(const Step& step) {
    const long detached = raw::call(__NR_umount2, step.path, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (detached == kDone || is_missing(detached))
        return kDone;
    struct statfs facts = {};
    if (raw::call(__NR_statfs, step.path, &facts) < 0 ||
        (facts.f_type != PROC_SUPER_MAGIC && facts.f_type != SYSFS_MAGIC))
        return kDone;  // nothing of the kind is mounted there
    return mount_call("tmpfs", step.path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                      "size=0,nr_inodes=1");
}

long change_root(Child& child) {
    const long entered = enter(child, Place::root);
    return entered < 0 ? entered : raw::call(__NR_chroot, ".");
}

long mask_path(Child& child, const Step& step) {
    const long target = open_in_root(child, step.path, O_PATH);
    if (target < 0)
        return is_missing(target) ? kDone : target;
    struct statx facts = {};
    long done = status_of(target, "", AT_EMPTY_PATH, facts);
    const bool is_directory = S_ISDIR(facts.stx_mode);
    if (done >= 0 && is_directory)
        done = make_directory_mask(child);
    if (done >= 0)
        done = attach_copy(is_directory ? child.directory_mask : child.null_mask, target);
    close(target);
    return done;
}

// The place on itself, read-only. What is mounted below it stays as it is (runc has it so).
long protect_path(Child& child, const Step& step) {
    const long target = open_in_root(child, step.path, O_PATH);
    if (target < 0)
        return is_missing(target) ? kDone : target;
    const long tree = clone_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE);
    long done = tree;
    if (done >= 0)
        done = change_mount(tree, 0, MOUNT_ATTR_RDONLY, 0);
    if (done >= 0)
        done = attach(static_cast<int>(tree), static_cast<int>(target));
    if (tree >= 0)
        close(tree);
    close(target);
    return done;
}

}  // namespace sigil::isolation
