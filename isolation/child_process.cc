// What a bundle's process is, beside what every container's command is.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/prctl.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/network_namespace.h"

namespace sigil::isolation {
namespace {

long open_in_proc(const Child& child, const char* path, uint64_t resolve) {
    open_how how = {.flags = O_WRONLY | O_CLOEXEC, .mode = 0, .resolve = resolve};
    return raw::call(__NR_openat2, child.own_proc, path, &how, sizeof how);
}

}  // namespace

long set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    for (int half = 0; half < 2; ++half) {
        data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
        data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
        data[half].inheritable = static_cast<uint32_t>(inheritable >> (32 * half));
    }
    return raw::call(__NR_capset, &header, data);
}

// words: effective, permitted, inheritable, ambient.
long set_capability_sets(const Step& step) {
    const uint64_t* sets = step.words;
    if (long set = set_capabilities(sets[0], sets[1], sets[2]); set < 0)
        return set;
    raw::call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int capability = 0; capability < 64; ++capability) {
        // One that is not both cannot be raised (capabilities(7)): runc and crun leave it out, and
        // the config.json of `runc spec` has three of the kind.
        if (!((sets[3] & sets[1] & sets[2]) >> capability & 1))
            continue;
        const long raised =
            raw::call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        if (raised < 0)
            return raised;
    }
    return kDone;
}

// Beneath a procfs that is one, and nothing that is mounted in it: else a container's own file
// could take the place of what is written here (CVE-2019-16884). Of its links only "self" is
// followed.
long write_proc(const Child& child, const Step& step) {
    constexpr uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    long file = open_in_proc(child, step.path, kResolve);
    if (file == -ENOENT && step.device_name)
        file = open_in_proc(child, step.device_name, kResolve);
    long done = file;
    if (file >= 0) {
        done = raw::call(__NR_write, file, step.source, step.mode);
        raw::call(__NR_close, file);
        if (done >= 0 && done != static_cast<long>(step.mode))
            return -EIO;
    }
    const bool is_denied = done == -EACCES || done == -EPERM;
    return is_denied && step.flags & kMayBeDenied ? kDone : done;
}

// flags kMayBeDenied: a user namespace may forbid setgroups(2) (user_namespaces(7)); who asks for
// no groups then keeps those that it has.
long become_user(const Step& step) {
    const Ids& ids = *step.ids;
    const long grouped = raw::call(__NR_setgroups, ids.group_count, ids.groups);
    const bool tolerated = grouped == -EPERM && step.flags & kMayBeDenied && ids.group_count == 0;
    if (grouped < 0 && !tolerated)
        return grouped;
    if (long set = raw::call(__NR_setresgid, ids.gid, ids.gid, ids.gid); set < 0)
        return set;
    return raw::call(__NR_setresuid, ids.uid, ids.uid, ids.uid);
}

// Asked twice: as root of the container, who may make the directory, and as the user, if root was
// denied (a directory of the user's on a filesystem that knows no root).
long enter_cwd(Child& child, const Step& step) {
    if (step.flags & kMayBeDenied) {
        const long entered = enter_directory(child, step.path);
        child.cwd_denied = entered == -EACCES || entered == -EPERM;
        return child.cwd_denied ? kDone : entered;
    }
    return child.cwd_denied ? enter_directory(child, step.path) : kDone;
}

// A working directory that is not beneath the root has a name that is not absolute (getcwd(2),
// "(unreachable)"): a way out of the container (CVE-2024-21626).
long check_cwd() {
    char path[4096];
    const long length = raw::call(__NR_getcwd, path, sizeof path);
    if (length < 0)
        return length;
    return path[0] == '/' ? kDone : -ENOENT;
}

long raise_loopback() {
    const long socket = open_loopback();
    if (socket >= 0)
        raw::call(__NR_close, socket);
    return socket;
}

}  // namespace sigil::isolation
