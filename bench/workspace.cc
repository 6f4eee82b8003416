#include "workspace.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "failure.h"
#include "process.h"

namespace sigil::bench {

namespace {

namespace fs = std::filesystem;

constexpr char kCgroupRoot[] = "/sys/fs/cgroup";

// For the atexit handler, which takes no argument.
std::string& path_to_remove() {
    static std::string path;
    return path;
}

// Everything is on the tmpfs, which goes with the namespace if nothing runs this; the empty
// directory below it is all that could stay.
void remove_workspace() {
    umount2(path_to_remove().c_str(), MNT_DETACH);
    rmdir(path_to_remove().c_str());
}

void copy(const std::string& from, const std::string& to) {
    std::error_code error;
    fs::copy_file(from, to, error);
    if (error)
        fail("copy {} to {}: {}", from, to, error.message());
}

void make_rootfs(const std::string& rootfs, const std::string& guests) {
    for (const char* directory : {"proc", "sys", "dev", "tmp", "etc", "run", "bin"}) {
        fs::create_directories(rootfs + "/" + directory);
    }
    copy(guests + "/sigil-bench-true", rootfs + "/true");
    copy(guests + "/sigil-bench-pause", rootfs + "/pause");
    copy(guests + "/sigil-bench-stamp", rootfs + "/stamp");
    copy(guests + "/sigil-bench-catch", rootfs + "/catch");
    const std::string busybox = find_program("busybox");
    if (!busybox.empty())
        copy(busybox, rootfs + "/bin/busybox");
}

void enter_private_namespace() {
    if (unshare(CLONE_NEWNS) < 0)
        fail("unshare a mount namespace: {}", strerror(errno));
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
        fail("make the mounts private: {}", strerror(errno));
    }
    struct statfs info;
    if (statfs(kCgroupRoot, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC)
        return;
    umount2(kCgroupRoot, MNT_DETACH);
    if (mount("cgroup2", kCgroupRoot, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) {
        fail("mount cgroup2 on {}: {}", kCgroupRoot, strerror(errno));
    }
}

void adopt_orphans() {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        fail("subreaper: {}", strerror(errno));
}

}  // namespace

void settle_in() {
    if (geteuid() != 0)
        fail("root is needed: every contestant makes its namespaces as root");
    enter_private_namespace();
    adopt_orphans();
}

std::string own_directory() {
    return fs::read_symlink("/proc/self/exe").parent_path();
}

Workspace::Workspace(const std::string& guests) {
    std::string name = (fs::temp_directory_path() / "sigil-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
        fail("make {}: {}", name, strerror(errno));
    path_ = name;
    path_to_remove() = path_;
    std::atexit(remove_workspace);
    // A tmpfs, as /run is on most hosts: the peers' state doesn't wait for a disk.
    if (mount("tmpfs", path_.c_str(), "tmpfs", 0, "mode=755") < 0) {
        fail("mount a tmpfs on {}: {}", path_, strerror(errno));
    }
    fs::create_directories(state());
    make_rootfs(rootfs(), guests);
}

}  // namespace sigil::bench
