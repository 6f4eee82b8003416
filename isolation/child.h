// What the files of the child half share (bootstrap.cc interprets; child_*.cc are the steps that
// take more than a call). All of it is raw system calls: see bootstrap.h for what is allowed there.
// Functions return what the kernel returns: -errno on failure.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <array>

#include "isolation/bootstrap.h"
#include "isolation/step.h"

struct statx;

namespace sigil::isolation {

inline constexpr long kDone = 0;
inline constexpr int kNoPlace = static_cast<int>(Place::none);

// A mount of which any number of places get a copy. The first one gets the mount itself: before it
// is attached the kernel lets nobody clone it (open_tree(2), until Linux 6.15).
struct Master {
    int tree = -1;
    bool is_attached = false;
};

// What the child knows beside its plan. It lives on the child's stack.
struct Child {
    const Bootstrap* plan;
    std::array<int, kPlaces> places = {-1, -1, -1, -1, -1};
    int place = kNoPlace;                      // where the working directory is
    std::array<bool, kPlaces> is_shared = {};  // it was there with the root: nothing to be made
    // What masks are bound from: a descriptor, and what is masked already in each place.
    int null_device = -1;
    int empty_directory = -1;
    std::array<const char*, kPlaces> masked_file = {};
    std::array<const char*, kPlaces> masked_directory = {};
    bool has_network_helper = false;
    uint32_t network_helper = 0;  // its thread id; 0 once it has ended
    long network = -1;            // the namespace's descriptor, or -errno
    int seccomp_listener = -1;    // of a filter with SECCOMP_FILTER_FLAG_NEW_LISTENER

    // Of a bundle.
    Master null_mask;         // the host's /dev/null
    Master directory_mask;    // an empty tmpfs
    int own_proc = -1;        // a procfs that is one, writable, with nothing mounted in it
    bool cwd_denied = false;  // root of the container may not enter the working directory
};

inline int root_of(const Child& child) {
    return child.places[static_cast<size_t>(Place::root)];
}

// ---- bootstrap.cc ------------------------------------------------------------------------------

[[noreturn]] void leave();

// ---- child_paths.cc ---------------------------------------------------------------------------

void close(long fd);
long status_of(long directory, const char* name, int flags, struct statx& facts);
// Whether it is on a filesystem of that magic number (statfs(2)).
bool is_of_type(long fd, long type);

// Paths inside the root; nothing outside is ever reached.
// `resolve`: RESOLVE_* beside RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS.
long open_in_root(const Child& child, const char* path, uint64_t flags, uint64_t resolve = 0);
// An O_PATH descriptor; what is missing is made, as a directory or as a file.
long open_or_make(const Child& child, const char* path, bool is_directory);
long make_in_root(const Child& child, const char* path, bool is_directory);
// Works there from now on.
long enter(Child& child, Place place);
long enter_directory(Child& child, const char* path);

// ---- child_mounts.cc --------------------------------------------------------------------------

long mount_call(const char* source, const char* target, const char* type, uint64_t flags,
                const char* data);
// A detached mount of a new filesystem. `options`: as Step::options has them, or null. `mode`: of
// the directory that it is going to cover, and gets; null: it is the filesystem's own.
long make_filesystem(const char* type, const char* const* options, uint64_t attributes,
                     const uint32_t* mode = nullptr);
// A copy of the host's mounts at Step::device_name, for one that the kernel does not make: a sysfs
// only for who owns the network namespace, a procfs only for who owns the pid namespace. The
// container then sees the host's, as runc and crun have it.
long clone_from_host(const Step& step);
// Puts a detached tree on what `target` refers to.
long attach(int tree, int target);
// mount_setattr(2) of MOUNT_ATTR_* on one mount.
long change_attributes(int mount, uint64_t set, uint64_t clear);

long open_proc(Child& child);
long open_null_mask(Child& child);
long bind_tree(Child& child, const Step& step);
long new_filesystem(Child& child, const Step& step);
long mount_in_root(Child& child, const Step& step);
long make_device(const Step& step);
long ensure_link(const Step& step);
long hide_host(const Step& step);
long change_root(Child& child);
long mask_path(Child& child, const Step& step);
long protect_path(Child& child, const Step& step);

// ---- child_run_mounts.cc ----------------------------------------------------------------------

long new_mount(Child& child, const Step& step);
long mask(Child& child, const Step& step);
long use_shared(Child& child, const Step& step);
long bind_here(const Step& step);
long attach_tree(Child& child, const Step& step);
long mount_at(Child& child, const Step& step);

// ---- child_copy.cc ----------------------------------------------------------------------------

// Copies what is in one directory into another, with owners, modes and times. Follows no link.
long copy_directory(int source, int target);

// ---- child_network.cc -------------------------------------------------------------------------

long begin_network(Child& child);
long join_network(Child& child, const Step& step);
long raise_loopback();

// ---- child_process.cc -------------------------------------------------------------------------

long new_keyring();
long own_group(bool take_terminal);
long set_rlimit(const Step& step);
long drop_bounding(uint64_t keep);
long set_groups(const Ids& ids);
long set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable);
long set_capability_sets(const Step& step);
long write_proc(const Child& child, const Step& step);
long become_user(const Step& step);
long own_stream(const Step& step);
long enter_cwd(Child& child, const Step& step);
long check_cwd();
long change_directory(Child& child, const char* path);
long install_filter(Child& child, const Step& step);
long pass_listener(Child& child);
long reset_signal(int signal);
long unblock_signals();
long die_with_parent(int supervisor);
long console(Child& child, const Step& step);
long find_command(const ExecArguments& exec);
long exec_command(const Child& child, const Step& step);

}  // namespace sigil::isolation
