// A directory copied into a new tmpfs ("tmpcopyup"). The image is the container's, so nothing in it
// is trusted: no link is followed, and the depth has an end, because the stack has.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"

namespace sigil::isolation {
namespace {

constexpr int kDeepest = 128;
constexpr size_t kLongestLink = 4096;
constexpr size_t kChunk = size_t{1} << 30;

// As the kernel packs them (getdents64(2)).
struct Entry {
    uint64_t inode;
    int64_t next;  // where the directory stands after this entry
    uint16_t length;
    uint8_t type;
    char name[];
};

struct Level {
    int source;
    int target;
};

struct Walk {
    Level levels[kDeepest];
    int depth = 0;
    alignas(8) char entries[2048];
    char link[kLongestLink];
};

// Owner first: a change of it clears the set-id bits.
long take_over(int target, const struct statx& facts) {
    if (long done = raw::call(__NR_fchown, target, facts.stx_uid, facts.stx_gid); done < 0)
        return done;
    if (long done = raw::call(__NR_fchmod, target, facts.stx_mode & 07777); done < 0)
        return done;
    const timespec times[2] = {
        {.tv_sec = facts.stx_atime.tv_sec, .tv_nsec = facts.stx_atime.tv_nsec},
        {.tv_sec = facts.stx_mtime.tv_sec, .tv_nsec = facts.stx_mtime.tv_nsec},
    };
    return raw::call(__NR_utimensat, target, nullptr, times, 0);
}

long copy_content(int source, int target) {
    long moved;
    do
        moved = raw::call(__NR_sendfile, target, source, nullptr, kChunk);
    while (moved > 0);
    return moved;
}

long copy_file(const Level& at, const char* name) {
    const long source =
        raw::call(__NR_openat, at.source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (source < 0)
        return source;
    struct statx facts = {};
    long done = status_of(static_cast<int>(source), "", AT_EMPTY_PATH, facts);
    if (done >= 0 && !S_ISREG(facts.stx_mode))  // changed under our eyes
        done = -ESTALE;
    if (done >= 0)
        done = raw::call(__NR_openat, at.target, name,
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (done >= 0) {
        const int target = static_cast<int>(done);
        done = copy_content(static_cast<int>(source), target);
        if (done >= 0)
            done = take_over(target, facts);
        close(target);
    }
    close(source);
    return done;
}

long copy_link(Walk& walk, const Level& at, const char* name, const struct statx& facts) {
    const long length =
        raw::call(__NR_readlinkat, at.source, name, walk.link, sizeof walk.link - 1);
    if (length < 0)
        return length;
    walk.link[length] = '\0';
    if (long made = raw::call(__NR_symlinkat, walk.link, at.target, name); made < 0)
        return made;
    return raw::call(__NR_fchownat, at.target, name, facts.stx_uid, facts.stx_gid,
                     AT_SYMLINK_NOFOLLOW);
}

// A pipe, a socket, a device: one by that name that nobody has open.
long copy_node(const Level& at, const char* name, const struct statx& facts) {
    const long made = raw::call(__NR_mknodat, at.target, name, facts.stx_mode,
                                makedev(facts.stx_rdev_major, facts.stx_rdev_minor));
    return made < 0 ? made
                    : raw::call(__NR_fchownat, at.target, name, facts.stx_uid, facts.stx_gid,
                                AT_SYMLINK_NOFOLLOW);
}

// Goes on in a directory below; its place in this one is kept by the descriptor.
long descend(Walk& walk, const char* name) {
    if (walk.depth + 1 == kDeepest)
        return -ENAMETOOLONG;
    const Level& at = walk.levels[walk.depth];
    const long source =
        raw::call(__NR_openat, at.source, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (source < 0)
        return source;
    long target = raw::call(__NR_mkdirat, at.target, name, 0700);
    if (target >= 0)
        target = raw::call(__NR_openat, at.target, name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (target < 0) {
        close(source);
        return target;
    }
    walk.levels[++walk.depth] = {static_cast<int>(source), static_cast<int>(target)};
    return kDone;
}

bool is_dots(const char* name) {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// Of one entry. Afterwards the walk may be a level deeper.
long copy_entry(Walk& walk, const char* name) {
    const Level& at = walk.levels[walk.depth];
    struct statx facts = {};
    if (long known = status_of(at.source, name, AT_SYMLINK_NOFOLLOW, facts); known < 0)
        return known;
    if (S_ISDIR(facts.stx_mode))
        return descend(walk, name);
    if (S_ISREG(facts.stx_mode))
        return copy_file(at, name);
    if (S_ISLNK(facts.stx_mode))
        return copy_link(walk, at, name, facts);
    return copy_node(at, name, facts);
}

// What a directory still has, up to the next directory below it. 0: it is at its end.
long copy_some(Walk& walk) {
    const int depth = walk.depth;
    const int source = walk.levels[depth].source;
    const long read = raw::call(__NR_getdents64, source, walk.entries, sizeof walk.entries);
    for (long offset = 0; offset < read;) {
        const auto* entry = reinterpret_cast<const Entry*>(walk.entries + offset);
        offset += entry->length;
        if (is_dots(entry->name))
            continue;
        if (long copied = copy_entry(walk, entry->name); copied < 0)
            return copied;
        if (walk.depth == depth)
            continue;
        const long moved = raw::call(__NR_lseek, source, entry->next, 0 /* SEEK_SET */);
        return moved < 0 ? moved : read;
    }
    return read;
}

long finish(const Level& level) {
    struct statx facts = {};
    const long known = status_of(level.source, "", AT_EMPTY_PATH, facts);
    return known < 0 ? known : take_over(level.target, facts);
}

void leave_level(Walk& walk) {
    close(walk.levels[walk.depth].source);
    close(walk.levels[walk.depth].target);
    --walk.depth;
}

}  // namespace

long copy_directory(int source, int target) {
    Walk walk;
    walk.levels[0] = {source, target};
    long done = kDone;
    while (done >= 0) {
        done = copy_some(walk);
        if (done != 0)
            continue;
        if (walk.depth == 0)
            break;
        done = finish(walk.levels[walk.depth]);
        leave_level(walk);
    }
    while (walk.depth > 0)
        leave_level(walk);
    return done;
}

}  // namespace sigil::isolation
