// What an ordinary user needs, and what some bundles ask for.
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cli/doctor.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Verdicts of what root can do without.
Verdict unless_root(Verdict verdict) {
    return ::geteuid() == 0 ? Verdict::note : verdict;
}

// May change user: set-user-ID, or with capabilities of its own (Debian and Fedora, each).
bool is_privileged(const std::string& path) {
    auto facts = sys::stat(AT_FDCWD, path.c_str());
    if (!facts)
        return false;
    return (facts->stx_mode & S_ISUID) ||
           ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

// The name of a user of /etc/passwd, or the number.
std::string name_of(const Host& host, uid_t uid) {
    const std::string users = host.read("/etc/passwd").value_or("");
    std::string_view rest = users;
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const size_t name = line.find(':');
        const size_t password = line.find(':', name + 1);
        if (name == std::string_view::npos || password == std::string_view::npos)
            continue;
        const std::string_view number = line.substr(password + 1);
        if (number.substr(0, number.find(':')) == std::to_string(uid))
            return std::string(line.substr(0, name));
    }
    return std::to_string(uid);
}

// Whether subuid(5) has a line of this user, by name or number.
bool has_range(const Host& host, const char* file, const std::string& name, uid_t uid) {
    const std::string text = "\n" + host.read(file).value_or("");
    return text.find("\n" + name + ":") != std::string::npos ||
           text.find("\n" + std::to_string(uid) + ":") != std::string::npos;
}

// ---- an id-mapped mount -------------------------------------------------------------------------

// A process in a user namespace of its own, which ends with this.
class MappedChild {
  public:
    static Result<MappedChild> start() {
        sys::Pipe ready = TRY(sys::pipe());
        const pid_t child = ::fork();
        if (child < 0)
            return failure("no process can be made");
        if (child == 0) {
            if (!sys::unshare(CLONE_NEWUSER) || !sys::write_all(ready.writer.get(), "r"))
                ::_exit(1);
            for (;;)
                ::pause();
        }
        MappedChild mapped(child);
        ready.writer.reset();
        std::array<char, 1> byte{};
        if (TRY(sys::read(ready.reader.get(), byte)) == 0)
            return failure("no user namespace can be made");
        for (const char* file : {"uid_map", "gid_map"})
            TRY(sys::write_file(AT_FDCWD, fmt::format("/proc/{}/{}", child, file).c_str(),
                                "0 100000 1"),
                "write {}", file);
        mapped.space_ =
            TRY(sys::open(AT_FDCWD, fmt::format("/proc/{}/ns/user", child).c_str(), O_RDONLY));
        return mapped;
    }
    MappedChild(MappedChild&& other) noexcept
        : child_(std::exchange(other.child_, -1)), space_(std::move(other.space_)) {}
    MappedChild& operator=(MappedChild&&) = delete;
    MappedChild(const MappedChild&) = delete;
    MappedChild& operator=(const MappedChild&) = delete;
    ~MappedChild() {
        if (child_ < 0)
            return;
        ::kill(child_, SIGKILL);  // it is ours and not waited for: the pid is its own
        ::waitpid(child_, nullptr, 0);
    }
    [[nodiscard]] int space() const { return space_.get(); }

  private:
    explicit MappedChild(pid_t child) : child_(child) {}
    pid_t child_;
    Fd space_;
};

// On a copy of the mount, which nobody sees and which goes with its descriptor.
Result<void> map_root() {
    const MappedChild child = TRY(MappedChild::start());
    const Fd tree = TRY(sys::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
    mount_attr attributes = {};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(child.space());
    return sys::mount_setattr(tree.get(), 0, attributes);
}

}  // namespace

Finding check_user_namespaces(const Host& host) {
    const Verdict bad = unless_root(Verdict::warning);
    if (!host.has("/proc/self/ns/user"))
        return {bad, "not in this kernel", "a kernel with CONFIG_USER_NS"};
    const auto most = host.number("/proc/sys/user/max_user_namespaces");
    if (most == 0)
        return {bad, "none may be made: user.max_user_namespaces is 0",
                "sysctl -w user.max_user_namespaces=15000"};
    if (host.number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return {bad, "for root alone: kernel.unprivileged_userns_clone is 0",
                "sysctl -w kernel.unprivileged_userns_clone=1"};
    if (host.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").value_or(0) != 0)
        return {bad,
                "restricted by AppArmor: kernel.apparmor_restrict_unprivileged_userns is not 0",
                "an AppArmor profile for sigil with 'userns,', or "
                "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"};
    return {Verdict::good, most ? fmt::format("up to {:L}", *most) : "may be made", {}};
}

Finding check_subordinate_ids(const Host& host) {
    const Verdict bad = unless_root(Verdict::warning);
    for (const char* tool : {"newuidmap", "newgidmap"}) {
        const std::string path = fmt::format("{}/usr/bin/{}", host.prefix, tool);
        if (!sys::stat(AT_FDCWD, path.c_str()))
            return {bad, fmt::format("{} is not there: an ordinary user has but one id", tool),
                    "apt install uidmap (Fedora: shadow-utils)"};
        if (!is_privileged(path))
            return {bad, fmt::format("{} may not change ids", tool),
                    fmt::format("setcap cap_set{}id=ep /usr/bin/{}", tool[3], tool)};
    }
    const uid_t uid = ::getuid();
    const std::string name = name_of(host, uid);
    for (const char* file : {"/etc/subuid", "/etc/subgid"})
        if (!has_range(host, file, name, uid))
            return {
                bad, fmt::format("{} has no range for {}", file, name),
                fmt::format("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}",
                            name)};
    return {Verdict::good, fmt::format("newuidmap, newgidmap, and ranges for {}", name), {}};
}

Finding check_overlay(const Host& host) {
    const std::string known = "\n" + host.read("/proc/filesystems").value_or("") + "\n";
    if (known.find("\toverlay\n") != std::string::npos)
        return {Verdict::good, "known to the kernel", {}};
    return {Verdict::note, "not loaded", "modprobe overlay"};
}

Finding check_id_mapped_mounts(const Host&) {
    auto mapped = map_root();
    if (mapped)
        return {Verdict::good, "on the filesystem of /", {}};
    return {Verdict::note, "not on the filesystem of /: " + mapped.error().message(), {}};
}

}  // namespace sigil::cli
