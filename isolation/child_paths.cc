#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"

namespace sigil::isolation {

void close(long fd) {
    raw::call(__NR_close, fd);
}

long status_of(long directory, const char* name, int flags, struct statx& facts) {
    return raw::call(__NR_statx, directory, name, flags, STATX_BASIC_STATS, &facts);
}

bool is_of_type(long fd, long type) {
    struct statfs facts = {};
    return raw::call(__NR_fstatfs, fd, &facts) == kDone && facts.f_type == type;
}

long open_in_root(const Child& child, const char* path, uint64_t flags, uint64_t resolve) {
    open_how how = {.flags = flags | O_CLOEXEC,
                    .mode = 0,
                    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
    long fd;
    do
        fd = raw::call(__NR_openat2, root_of(child), path, &how, sizeof how);
    while (fd == -EAGAIN);  // a rename raced with the walk: openat2(2) says to try again
    return fd;
}

// Makes what is missing of `path`, one component at a time beneath directories already held open.
long make_in_root(const Child& child, const char* path, bool is_directory) {
    char prefix[4096];
    long parent = root_of(child);
    size_t length = 0;
    while (path[length] == '/')
        prefix[length] = '/', ++length;
    while (path[length] != '\0') {
        size_t name = length;
        while (path[length] != '\0' && path[length] != '/' && length + 1 < sizeof prefix)
            prefix[length] = path[length], ++length;
        prefix[length] = '\0';
        const bool last = path[length] == '\0';
        long next = open_in_root(child, prefix, O_PATH);
        if (next == -ENOENT) {
            // O_NOFOLLOW and EXCL: a dangling link by that name is an error, not a way to
            // elsewhere.
            if (!last || is_directory) {
                long made = raw::call(__NR_mkdirat, parent, prefix + name, 0755);
                if (made < 0 && made != -EEXIST)  // another container has made it just now
                    return made;
                next = raw::call(__NR_openat, parent, prefix + name,
                                 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
            } else {
                next = raw::call(__NR_openat, parent, prefix + name,
                                 O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0644);
                if (next == -EEXIST)
                    next = raw::call(__NR_openat, parent, prefix + name,
                                     O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
            }
        }
        if (next < 0)
            return next;
        if (parent != root_of(child))
            close(parent);
        parent = next;
        while (path[length] == '/' && length + 1 < sizeof prefix)
            prefix[length] = '/', ++length;
    }
    return parent;
}

long open_or_make(const Child& child, const char* path, bool is_directory) {
    long fd = open_in_root(child, path, O_PATH);
    return fd == -ENOENT ? make_in_root(child, path, is_directory) : fd;
}

long enter(Child& child, Place place) {
    const int index = static_cast<int>(place);
    if (child.place == index)
        return kDone;
    child.place = index;
    return raw::call(__NR_fchdir, place == Place::root ? root_of(child)
                                                       : child.places[static_cast<size_t>(index)]);
}

long enter_directory(Child& child, const char* path) {
    const long directory = open_or_make(child, path, true);
    if (directory < 0)
        return directory;
    child.place = kNoPlace;
    const long entered = raw::call(__NR_fchdir, directory);
    close(directory);
    return entered;
}

}  // namespace sigil::isolation
