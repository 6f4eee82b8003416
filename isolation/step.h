// One step of a launch, as flat data. The parent writes the steps (mount_plan, process_plan); the
// child (bootstrap) interprets them with raw system calls and nothing else, because it shares its
// parent's memory. The order is the recipe: see mount_plan.cc and process_plan.cc.
#pragma once

#include <stdint.h>

#include <string>

namespace sigil::isolation {

enum class StepKind : uint8_t {
    // Mount namespace and root.
    make_mounts_private,  // nothing propagates in or out
    open_root,            // the root is there already: keep its descriptor
    attach_root,          // fd: the root's detached tree, put on top of the old root
    pivot_root,           // fd: the tree, now attached, becomes "/"
    detach_old_root,
    new_mount,       // source: type; data: "a=b,c"; flags: MOUNT_ATTR_*; path: one name below "/";
                     // place: the register that keeps its descriptor. Never follows a link
    enter,           // place: work there from now on; names of the next steps are relative to it
    mount_here,      // path: name; source: type and source; flags: MS_*; data
    make_directory,  // path: name; mode
    make_node,       // path: name; mode; device
    make_link,       // path: name; source: what it points to
    open_null,       // path: name; keeps the descriptor that masks of files are bound from
    mask_file,       // path: name. A missing one is skipped
    mask_directory,  // path: name; source: an earlier mask to bind, or null: a new empty tmpfs
    bind_here,       // path: name, bound on itself with the flags that its place has now. A missing
                     // one is skipped
    make_writable,   // place: the mount itself, without what was bound in it
    attach_tree,     // fd: a detached tree; path: where, in the root; mode: S_IFDIR or S_IFREG
    mount_at,        // path: where, in the root; source: type; data; flags: MS_*
    read_only_root,

    // Namespaces beside it.
    begin_network,  // a helper makes the namespace, its loopback up, while the mounts are made
    join_network,   // fd: one that is ready; else waits for the helper
    unshare_cgroup,
    set_hostname,  // source: the name

    // The process.
    set_umask,  // mode
    new_session,
    new_keyring,       // an empty session keyring, where the kernel has keyrings
    own_group,         // flags 1: and make it the terminal's foreground group (fd 0)
    set_rlimit,        // fd: resource; flags: soft; device: hard
    drop_bounding,     // flags: mask of capabilities to keep
    set_groups,        // ids: the supplementary groups alone
    set_ids,           // ids
    set_capabilities,  // flags: the effective and permitted set
    no_new_privileges,
    change_directory,   // path, made where it is missing
    keep_descriptor,    // fd: stays open over the execve
    move_descriptor,    // fd: the number; fd2: the one it gets
    close_descriptors,  // flags: first; device: last
    close_on_exec,      // the same, by the execve
    reset_signal,       // fd: back to SIG_DFL
    unblock_signals,
    die_with_parent,  // fd: the supervisor's pidfd
    // With a parent that does not share our memory (meeting.h).
    join_namespace,  // fd; flags: CLONE_NEW*
    set_undumpable,  // whoever else is in the namespaces may not look into this process
    meet_parent,     // flags: Meeting; goes on when the parent says so
    find_command,    // exec: fails as its execve would where there is none
    await_start,     // fd: a listening socket; goes on when `start` says so

    exec_command,     // exec
    exec_init,        // fd: its image; exec
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

struct Step {
    StepKind kind;
    Place place = Place::none;
    int fd = -1;
    int fd2 = -1;
    uint32_t mode = 0;
    const char* path = nullptr;
    const char* source = nullptr;
    const char* device_name = nullptr;  // what mount_at mounts; null: the type's name
    const char* data = nullptr;
    uint64_t flags = 0;
    uint64_t device = 0;
    const Ids* ids = nullptr;
    const ExecArguments* exec = nullptr;
    const char* origin = nullptr;  // the option or property behind it, for errors
};

// What a step was about to do, for an error: "mount proc on /proc".
std::string describe(const Step& step);

}  // namespace sigil::isolation
