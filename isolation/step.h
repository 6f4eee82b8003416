// One step of a launch, as flat data. The parent writes the steps (mount_plan, process_plan); the
// child (bootstrap) interprets them with raw system calls and nothing else, because it shares its
// parent's memory. The order is the recipe: see mount_plan.cc and process_plan.cc.
#pragma once

#include <stdint.h>

#include <string>

struct sock_fprog;

namespace sigil::isolation {

enum class StepKind : uint8_t {
    // Mount namespace and root.
    make_mounts_private,  // nothing propagates in or out
    open_root,            // the root is there already: keep its descriptor
    attach_root,          // fd: the root's detached tree, put on top of the old root
    pivot_root,           // fd: the tree, now attached, becomes "/"
    detach_old_root,
    use_shared,      // place: it may be there with the root, as path, and what is masked in it, of
                     // which source is one; then new_mount and masks of that place do nothing
    new_mount,       // source: type; options; flags: MOUNT_ATTR_*; path: one name below "/";
                     // place: the register that keeps its descriptor. Never follows a link.
                     // device_name: bind of the host's instead, where we may make none
    enter,           // place: work there from now on; names of the next steps are relative to it
    mount_here,      // path: name; source: type and source; flags: MS_*; data
    make_directory,  // path: name; mode
    make_link,       // path: name; source: what it points to
    open_null,       // path: name; keeps the descriptor that masks of files are bound from
    mask_file,       // path: name. A missing one is skipped
    mask_directory,  // path: name. The first mask is a new empty tmpfs
    bind_here,       // path: name, bound on itself with the flags that its place has now. A missing
                     // one is skipped
    make_writable,   // place: the mount itself, without what was bound in it
    attach_tree,     // fd: a detached tree; path: where, in the root; mode: S_IFDIR or S_IFREG
    mount_at,        // path: where, in the root; source: type; data; flags: MS_*
    read_only_root,

    // Mounts of a bundle. Paths are absolute in the root and resolved there; flags of the kind
    // kMayCoverProc and the like are in `device`.
    set_propagation,  // flags: MS_SHARED and the like, of everything from "/" on
    open_proc,        // for write_proc
    open_null_mask,
    bind_tree,        // fd: a detached tree; path; mode: S_IFDIR or S_IFREG; device
    new_filesystem,   // path; source: type; options; flags: MOUNT_ATTR_*; mode: propagation;
                      // device_name: bind of the host's instead, where we may make none; place
    mount_in_root,    // path; device_name: type; source; data; flags: MS_*; mode: propagation;
                      // device
    read_only_mount,  // place: the mount itself
    enter_directory,  // path: names of the next steps are relative to it. Made where it is missing
    make_device,      // path: name; mode; device; ids: owner, or null: root. source: the host's
                      // path, bound where we may make no nodes, or null. One that is there is fine
    ensure_link,      // path: name; source: what it points to; flags 1: replaces what is there
    hide_host,        // path: a procfs or sysfs of the host's
    change_root,      // instead of pivot_root: the old root stays beneath
    mask_path,        // path. A missing one is skipped, here and below
    protect_path,     // path: read-only from now on
    write_proc,       // path: in the procfs of open_proc; source: what; mode: its length;
                      // device_name: path to try if there is none; flags: kMayBeDenied

    // Namespaces beside it.
    begin_network,  // a helper makes the namespace, its loopback up, while the mounts are made
    join_network,   // fd: one that is ready; else waits for the helper; without one, makes it
    unshare_cgroup,
    set_hostname,    // source: the name; flags: its length
    set_domainname,  // the same
    raise_loopback,

    // The process.
    set_umask,  // mode
    new_session,
    new_keyring,       // an empty session keyring, where the kernel has keyrings
    own_group,         // flags 1: and make it the terminal's foreground group (fd 0)
    set_rlimit,        // fd: resource; flags: soft; device: hard
    drop_bounding,     // flags: mask of capabilities to keep
    set_groups,        // ids: the supplementary groups alone
    set_ids,           // ids; flags: as become_user
    set_capabilities,  // flags: the effective and permitted set
    no_new_privileges,
    seccomp,              // filter; flags: SECCOMP_FILTER_FLAG_*. Of what follows it filters all
    become_user,          // ids; flags: kMayBeDenied
    own_stream,           // fd: belongs to the user `mode` from now on, where that can be done
    keep_capabilities,    // flags 1: over the next change of ids; 0: no longer
    set_capability_sets,  // words: effective, permitted, inheritable, ambient
    set_scheduler,        // words: a sched_attr (sched_setattr(2))
    set_io_priority,      // flags: as ioprio_set(2)
    set_personality,      // flags: as personality(2)
    set_memory_policy,    // mode: as set_mempolicy(2); words: the nodes' bits; device: how many
    enter_cwd,            // path; flags kMayBeDenied: root's try, which makes it; else the user's
    check_cwd,
    change_directory,   // path, made where it is missing
    keep_descriptor,    // fd: stays open over the execve
    move_descriptor,    // fd: the number; fd2: the one it gets
    move_passed,        // fd: which of those that came with the step; fd2: the number it gets
    close_descriptors,  // flags: first; device: last
    close_on_exec,      // the same, by the execve
    reset_signal,       // fd: back to SIG_DFL
    unblock_signals,
    die_with_parent,  // fd: the supervisor's pidfd
    // With a parent that does not share our memory (meeting.h).
    join_namespace,  // fd; flags: CLONE_NEW*
    set_undumpable,  // whoever else is in the namespaces may not look into this process
    meet_parent,     // flags: Meeting; goes on when the parent says so
    open_console,    // mode: its owner; flags: height << 16 | width; fd: what the master is sent on
                     // where the parent is parked, and reads it later; none: it is met
    pass_listener,   // of the filter just installed
    find_command,    // exec: fails as its execve would where there is none
    await_start,     // fd: a listening socket; goes on when `start` says so

    exec_command,  // exec
    exec_init,     // fd: its image; exec
};

enum class Place : uint8_t { none, root, proc, dev, sys };
inline constexpr int kPlaces = 5;

struct Ids {
    uint32_t uid;
    uint32_t gid;
    const uint32_t* groups;
    uint32_t group_count;
};

struct ExecArguments {
    const char* const* candidates;  // paths to try in turn, as execvp(3); null at the end
    const char* const* argv;
    const char* const* envp;
};

// In Step::device, of mounts of a bundle.
inline constexpr uint64_t kMayCoverProc = 1;    // the place may be /proc or below
inline constexpr uint64_t kPlainDirectory = 2;  // no link leads there
inline constexpr uint64_t kCopyUp = 4;          // begins with what the image has there
inline constexpr uint64_t kKeepMode = 8;        // has the mode of what it covers
// In Step::flags: EPERM and EACCES are no errors.
inline constexpr uint64_t kMayBeDenied = 1;

struct Step {
    StepKind kind;
    Place place = Place::none;
    int fd = -1;
    int fd2 = -1;
    uint32_t mode = 0;
    uint32_t word_count = 0;
    const char* path = nullptr;
    const char* source = nullptr;
    const char* device_name = nullptr;  // what mount_at mounts; null: the type's name
    const char* data = nullptr;
    uint64_t flags = 0;
    uint64_t device = 0;
    const Ids* ids = nullptr;
    const ExecArguments* exec = nullptr;
    const sock_fprog* filter = nullptr;
    const char* const* options = nullptr;  // key, value, key, ...: see keep_options()
    const uint64_t* words = nullptr;       // word_count of them
    const char* origin = nullptr;          // the option or property behind it, for errors
};

// What a step was about to do, for an error: "mount proc on /proc".
std::string describe(const Step& step);

}  // namespace sigil::isolation
