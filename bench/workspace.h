// Where the benchmark runs: a mount namespace of its own, and in it a directory on a tmpfs with the
// rootfs and the peers' bundles and state.

#pragma once

#include <string>

namespace sigil::bench {

// What every benchmark does first, before any thread: as root, goes into a private mount namespace,
// and so puts every contestant alike into it, in which /sys/fs/cgroup is cgroup v2 alone, as crun
// refuses the hybrid layout; and takes whatever a contestant leaves running as a child of its own,
// where it is noticed.
void settle_in();

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
