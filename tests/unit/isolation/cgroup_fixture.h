// A cgroup v2 hierarchy of plain files. What differs from the kernel's: a new directory has no
// files in it, and a directory with files can't be removed.
#pragma once

#include <string>

#include "core/sys.h"
#include "isolation/cgroup_host.h"
#include "temp_dir.h"

namespace sigil::isolation {

// A host whose unified mount is `mount/` in a temporary directory.
class CgroupFixture {
  public:
    explicit CgroupFixture(std::string_view own = "/") {
        files.make_directory("mount");
        files.write("self", "0::" + std::string(own) + "\n");
        files.write("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
        files.write("mountinfo", "");
        add("/", "cpuset cpu io memory pids", "");
    }

    // A cgroup that offers `controllers` and has enabled some of them for its children.
    void add(const std::string& path, const std::string& controllers, const std::string& enabled,
             const std::string& processes = "") const {
        const std::string directory = "mount" + (path == "/" ? "" : path);
        files.write(directory + "/cgroup.controllers", controllers + "\n");
        files.write(directory + "/cgroup.subtree_control", enabled);
        files.write(directory + "/cgroup.procs", processes);
    }
    [[nodiscard]] std::string enabled_in(const std::string& path) const {
        return files.read("mount" + path + "/cgroup.subtree_control");
    }
    [[nodiscard]] bool has(const std::string& path) const { return files.has("mount" + path); }
    [[nodiscard]] std::string mount() const { return files.at("mount"); }

    [[nodiscard]] CgroupPaths paths() const {
        return {.unified = mount(),
                .hybrid = files.at("nowhere"),
                .mountinfo = files.at("mountinfo"),
                .self = files.at("self"),
                .v1_controllers = files.at("cgroups"),
                .filesystem = *sys::filesystem_type(files.path().c_str())};
    }
    [[nodiscard]] CgroupHost host() const {
        auto found = CgroupHost::find(paths());
        EXPECT_TRUE(found && *found);
        return std::move(**found);
    }

    testing::TempDir files;
};

}  // namespace sigil::isolation
