// Where cgroup v2 is on this machine, and where in it the supervisor stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/run_record.h"
#include "core/spec.h"

namespace sigil::isolation {

// Files that tell the host's layout; tests point them at fixtures.
struct CgroupPaths {
    std::string unified = "/sys/fs/cgroup";
    std::string hybrid = "/sys/fs/cgroup/unified";
    std::string mountinfo = "/proc/self/mountinfo";
    std::string self = "/proc/self/cgroup";
    std::string v1_controllers = "/proc/cgroups";
    long filesystem = 0x63677270;  // CGROUP2_SUPER_MAGIC
};

// Cgroups made on the way to a container's, the outermost first, each written down before.
struct MadeCgroups {
    struct Made {
        std::string path;
        RunRecord::Entry entry;
    };
    RunRecord* record = nullptr;  // null: nothing is written down
    std::vector<Made> made;
};

class CgroupHost {
  public:
    // Nothing: the machine has no cgroup v2 mounted.
    static Result<std::optional<CgroupHost>> find(const CgroupPaths& paths = {});

    [[nodiscard]] int root() const { return root_.get(); }
    // The mount's path, for messages.
    [[nodiscard]] const std::string& mount_point() const { return mount_point_; }
    // The supervisor's own cgroup, as "/" or "/a/b".
    [[nodiscard]] const std::string& own() const { return own_; }

    // Makes `path` (as "/a/b") a place whose children have `controllers`: makes its directories,
    // enables the controllers on the way down. An error names the controller and why it is missing;
    // is(EBUSY): a cgroup on the way has processes of its own. Appends what it made to `made`, the
    // outermost first, also on failure.
    Result<void> prepare_parent(const std::string& path,
                                const std::vector<std::string>& controllers,
                                MadeCgroups& made) const;
    // Removes those of them that are empty, and returns the others: they stay written down, so that
    // a sweep removes them once nobody uses them.
    std::vector<std::string> remove_made(MadeCgroups& made) const;

    // Why the mount's root does not have it: a v1 hierarchy has, or the kernel has not.
    [[nodiscard]] Error missing_at_root(const std::string& controller) const;

    // "/a/b" as a path of the machine.
    [[nodiscard]] std::string absolute(const std::string& path) const;

    // "/a/b" as a path relative to root(): "a/b", or ".".
    static const char* relative(const std::string& path);

  private:
    Result<void> make_available(const std::string& path,
                                const std::vector<std::string>& controllers,
                                MadeCgroups& made) const;
    Result<void> make_parent(const std::string& path, MadeCgroups& made) const;
    Result<void> enable(const std::string& path, const std::vector<std::string>& controllers,
                        MadeCgroups& made) const;

    CgroupPaths paths_;
    Fd root_;
    std::string mount_point_;
    std::string own_;
};

// The controllers that these limits need, each once.
std::vector<std::string> needed_controllers(const Resources& resources);

}  // namespace sigil::isolation
