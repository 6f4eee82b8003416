// Roots that containers share: for each root filesystem a mount namespace that is made once,
// pivoted into, private, with nothing of the host in it, and with the binds that all its containers
// have; with the host's network, also /sys and its masks (see shares_sysfs).
//
// A launcher thread that lives in it clones containers from it: a start then neither copies the
// host's mounts nor pays for pivot_root's walk over every task of the machine (chroot_fs_refs), nor
// for the detached old root's grace period. Each container gets copies of the mounts: what it does
// to them (unmount, remount, attach) stays its own, because they are private.
//
// A shared root is a snapshot: what is mounted below the rootfs on the host later isn't in it. When
// another directory takes the rootfs's path, it gets a shared root of its own.
#pragma once

#include <stdint.h>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"
#include "isolation/network_pool.h"
#include "isolation/network_shelf.h"
#include "isolation/parked.h"

namespace sigil::isolation {

// The shared roots of one supervisor, for all its launcher threads, whose descriptors it uses.
class SharedRoots {
  public:
    // From a thread that stands in the host's mount namespace.
    static Result<std::unique_ptr<SharedRoots>> open();

  private:
    friend class LaunchSite;
    struct Root {
        std::string key;
        Fd mount_namespace;
    };
    // Null: there is none.
    std::shared_ptr<const Root> find(const std::string& key);
    // True when the key was asked for before: a root that one container has needs no sharing.
    bool is_known(const std::string& key);

    Fd host_namespace_;
    Fd host_root_;
    Fd own_hostname_;  // the UTS namespace
    std::mutex mutex_;
    std::deque<std::shared_ptr<const Root>> roots_;  // the latest last
    std::deque<uint64_t> asked_;                     // hashes of keys, the latest last
};

// Where one launcher thread stands: in the host's mount namespace or in a shared root; and what it
// hands down.
class LaunchSite {
  public:
    // The thread must share neither its root nor its directory with another (CLONE_FS).
    // `networks` and `parked`: may be null.
    LaunchSite(SharedRoots& roots, NetworkPool* networks, NetworkShelf& shelf,
               ParkedContainers* parked)
        : roots_(roots), networks_(networks), shelf_(shelf), parked_(parked) {}

    // Whether the launches under way keep every processor busy: then a start gains nothing by doing
    // two things at once.
    void set_busy(bool is_busy) { is_busy_ = is_busy; }
    [[nodiscard]] bool is_busy() const { return is_busy_; }

    // A network namespace for such a container, if there is one, or one may be made to be lent: one
    // that others have had only where it leaves_network_alone(). None: it makes its own.
    Fd take_network(const Spec& spec);

    // After enter(): a container that waits for such a command, and has that hostname from now on.
    std::optional<ParkedContainer> take_parked(const Spec& spec, const std::string& hostname);
    // After enter(): the key of the shared root; empty: the thread stands in none.
    [[nodiscard]] std::string root() const { return here_ ? here_->key : std::string(); }

    // After enter(), if the thread stands in a shared root: which directories of it containers of
    // that spec have their own mounts on. Who renames one takes the mount along.
    [[nodiscard]] std::string places(const Spec& spec) const;

    // Drops other capabilities from the thread's bounding set, for good: its containers inherit
    // that, and none of them need pay for it. The thread itself keeps what it has (capabilities(7):
    // the set counts only in an execve). Where it fails, each container does it.
    void limit(uint64_t capabilities);
    [[nodiscard]] std::optional<uint64_t> bounding() const { return bounding_; }

    // Brings the thread to where the container is to be cloned from. True: into its root, shared.
    // False: into the host's mount namespace, to open the root from there; always so unless it
    // `may_share` one.
    Result<bool> enter(const Spec& spec, bool may_share);

  private:
    using Root = SharedRoots::Root;
    Result<void> go_to_host();
    Result<void> go_home();
    Result<void> name_host(pid_t pid, const std::string& hostname);
    Fd used_network();
    Fd new_network();
    [[nodiscard]] std::string key_of(const Spec& spec) const;
    Result<std::shared_ptr<const Root>> make(const Spec& spec);

    SharedRoots& roots_;
    NetworkPool* networks_;
    NetworkShelf& shelf_;
    ParkedContainers* parked_;
    bool is_in_other_network_ = false;
    bool has_other_hostname_ = false;
    std::shared_ptr<const Root> here_;  // null: the host's
    std::string key_;  // of the root that the latest spec can share; empty: it can't
    bool is_at_host_ = true;
    std::optional<uint64_t> bounding_;
    bool is_busy_ = false;
};

}  // namespace sigil::isolation
