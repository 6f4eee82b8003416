// Where the benchmark runs: a mount namespace of its own, and in it a directory on a tmpfs with the
// rootfs and the peers' bundles and state.

#pragma once

#include <string>

namespace sigil::bench {

// Puts this process, and so every contestant alike, into a private mount namespace in which
// /sys/fs/cgroup is cgroup v2 alone: crun refuses the hybrid layout. Before any thread.
void enter_private_namespace();

// Makes whatever a contestant leaves running a child of this process, where it is noticed.
void adopt_orphans();

// The directory of this program's own file.
std::string own_directory();

class Workspace {
  public:
    // Makes the directory and the rootfs, with the guests from `guests`; removed at exit.
    explicit Workspace(const std::string& guests);

    std::string rootfs() const { return path_ + "/rootfs"; }
    std::string state() const { return path_ + "/state"; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

}  // namespace sigil::bench
