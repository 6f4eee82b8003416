#include "isolation/shared_roots.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/bootstrap.h"
#include "isolation/launch_plan.h"
#include "isolation/network_namespace.h"
#include "isolation/root_tree.h"

namespace sigil::isolation {
namespace {

constexpr size_t kMostRoots = 16;
constexpr size_t kMostAsked = 256;
constexpr char kSeparator = '\0';
constexpr int kMostLooks = 2;  // at used network namespaces, before a new one is taken

}  // namespace

Result<std::unique_ptr<SharedRoots>> SharedRoots::open() {
    auto roots = std::make_unique<SharedRoots>();
    roots->host_namespace_ =
        TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY), "open the mount namespace");
    roots->host_root_ = TRY(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY), "open the root");
    roots->own_hostname_ =
        TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/uts", O_RDONLY), "open the UTS namespace");
    return roots;
}

std::shared_ptr<const SharedRoots::Root> SharedRoots::find(const std::string& key) {
    auto found = std::ranges::find_if(roots_, [&](const auto& root) { return root->key == key; });
    return found == roots_.end() ? nullptr : *found;
}

bool SharedRoots::is_known(const std::string& key) {
    const uint64_t hash = std::hash<std::string>()(key);
    if (std::ranges::find(asked_, hash) != asked_.end())
        return true;
    asked_.push_back(hash);
    if (asked_.size() > kMostAsked)
        asked_.pop_front();
    return false;
}

// Which containers can share a root: the same directory under the same path, with the same binds.
// Empty: it can share none, or there is no such directory; then the launch itself tells so.
std::string LaunchSite::key_of(const Spec& spec) const {
    const std::optional<size_t> mounts = shareable_mounts(spec);
    if (!mounts)
        return {};
    const auto rootfs = sys::openat2(roots_.host_root_.get(), spec.rootfs.c_str(),
                                     O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT);
    if (!rootfs)
        return {};
    const auto facts = sys::stat(rootfs->get(), "", AT_EMPTY_PATH);
    if (!facts)
        return {};
    std::string key = fmt::format(
        "{}:{}:{}:{}{}{}", facts->stx_dev_major, facts->stx_dev_minor, facts->stx_ino,
        spec.read_only_root ? "ro:" : "rw:", shares_sysfs(spec) ? "sys:" : "", spec.rootfs);
    for (size_t index = 0; index < *mounts; ++index) {
        const Mount& mount = spec.mounts[index];
        key.append(1, kSeparator).append(mount.source).append(1, kSeparator).append(mount.target);
        for (const std::string& option : mount.options)
            key.append(",").append(option);
    }
    return key;
}

void LaunchSite::limit(uint64_t capabilities) {
    const Step step = {.kind = StepKind::drop_bounding, .flags = capabilities};
    LaunchReport report;
    if (run_in_this_thread({.setup = {&step, 1}, .report = &report}))
        bounding_ = capabilities;
}

Fd LaunchSite::take_network(const Spec& spec) {
    const bool may_be_used = leaves_network_alone(spec);
    if (may_be_used)
        if (Fd used = used_network())
            return used;
    if (networks_)
        if (Fd ready = networks_->take())
            return ready;
    return may_be_used && shelf_.has_room() ? new_network() : Fd();
}

Fd LaunchSite::used_network() {
    for (int look = 0; look < kMostLooks; ++look) {
        Fd used = shelf_.next();
        if (!used)
            break;
        is_in_other_network_ = true;
        const bool is_as_new =
            sys::setns(used.get(), CLONE_NEWNET).has_value() && shelf_.is_as_new(false);
        if (!go_home())
            break;
        if (is_as_new)
            return used;
    }
    return {};
}

// Where none can be made, the launch tries by itself and tells.
Fd LaunchSite::new_network() {
    is_in_other_network_ = true;
    Fd made(static_cast<int>(std::max(make_network_namespace(), -1L)));
    if (made)
        (void)shelf_.is_as_new(true);
    if (!go_home())
        made.reset();
    return made;
}

std::optional<ParkedContainer> LaunchSite::take_parked(const Spec& spec,
                                                       const std::string& hostname) {
    auto shape = parked_ && !key_.empty() ? parked_spec(spec) : std::nullopt;
    if (!shape)
        return std::nullopt;
    auto taken = parked_->take({std::move(*shape), key_}, here_ ? places(spec) : "");
    if (!taken || name_host(taken->pid, hostname))
        return taken;
    discard(std::move(*taken));
    return std::nullopt;
}

std::string LaunchSite::places(const Spec& spec) const {
    std::string all;
    auto add = [&all](const char* path) {
        if (const auto facts = sys::stat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW))
            all += fmt::format("{}:{}:{} ", facts->stx_dev_major, facts->stx_dev_minor,
                               facts->stx_ino);
    };
    for (const char* path : {"/proc", "/dev", "/sys"})
        add(path);
    for (size_t index = shareable_mounts(spec).value_or(0); index < spec.mounts.size(); ++index)
        add(spec.mounts[index].target.c_str());
    return all;
}

// From here: the filter that it has may forbid it to do so itself.
Result<void> LaunchSite::name_host(pid_t pid, const std::string& hostname) {
    const Fd process = TRY(sys::pidfd_open(pid));
    has_other_hostname_ = true;
    auto named = [&]() -> Result<void> {
        TRY(sys::setns(process.get(), CLONE_NEWUTS));
        return sys::sethostname(hostname);
    }();
    TRY(go_home());
    return named;
}

// Until it has worked, no container is cloned: it would have that network, or that hostname.
Result<void> LaunchSite::go_home() {
    if (is_in_other_network_)
        TRY(shelf_.go_home(), "return to the host's network");
    is_in_other_network_ = false;
    if (has_other_hostname_)
        TRY(sys::setns(roots_.own_hostname_.get(), CLONE_NEWUTS), "return to the host's hostname");
    has_other_hostname_ = false;
    return {};
}

Result<void> LaunchSite::go_to_host() {
    if (is_at_host_)
        return {};
    TRY(sys::setns(roots_.host_namespace_.get(), CLONE_NEWNS), "return to the host's mounts");
    // setns(2) leads to the namespace's root, which may not be the supervisor's own (chroot).
    if (::fchdir(roots_.host_root_.get()) < 0 || ::chroot(".") < 0)
        return tl::unexpected(Error::from_errno(errno, "chroot").in("return to the host's root"));
    here_.reset();
    is_at_host_ = true;
    return {};
}

// Afterwards the thread stands in it.
Result<std::shared_ptr<const SharedRoots::Root>> LaunchSite::make(const Spec& spec) {
    TRY(go_to_host());
    is_at_host_ = false;
    TRY(sys::unshare(CLONE_NEWNS));
    auto root = std::make_shared<Root>();
    root->key = key_;
    root->mount_namespace =
        TRY(sys::open(roots_.host_root_.get(), "proc/thread-self/ns/mnt", O_RDONLY));
    OpenedSources sources;
    RootTrees trees = TRY(RootTrees::open(spec, shareable_mounts(spec).value_or(0), -1, sources));
    LaunchPlan plan;
    TRY(plan_shared_root(spec, sources, plan));
    LaunchReport report;
    const Bootstrap recipe = {.setup = plan.setup, .root = trees.root.get(), .report = &report};
    if (!run_in_this_thread(recipe))
        return tl::unexpected(
            Error::from_errno(report.error, "launch").in(describe(plan.setup[report.step])));
    return root;
}

Result<bool> LaunchSite::enter(const Spec& spec, bool may_share) {
    TRY(go_home());
    key_ = may_share ? key_of(spec) : std::string();
    if (key_.empty()) {
        TRY(go_to_host());
        return false;
    }
    const std::lock_guard lock(roots_.mutex_);
    if (here_ && here_->key == key_)
        return true;
    if (auto root = roots_.find(key_)) {
        TRY(sys::setns(root->mount_namespace.get(), CLONE_NEWNS), "enter the shared root");
        here_ = std::move(root);
        is_at_host_ = false;
        return true;
    }
    auto made = roots_.is_known(key_) ? make(spec) : Result<std::shared_ptr<const Root>>(nullptr);
    if (!made || !*made) {
        TRY(go_to_host());
        return false;
    }
    here_ = std::move(*made);
    roots_.roots_.push_back(here_);
    if (roots_.roots_.size() > kMostRoots)
        roots_.roots_.pop_front();
    return true;
}

}  // namespace sigil::isolation
