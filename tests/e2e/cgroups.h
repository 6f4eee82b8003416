// The machine's cgroup v2, as the tests see it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sigil::e2e {

// Where cgroup2 is mounted; empty: nowhere.
std::string cgroup_mount();
// Moves this program into a cgroup of its own, and back out of it.
void enter_test_cgroup();
void leave_test_cgroup();
// Its path below the mount, such as "/sigil-e2e-77".
const std::string& test_cgroup();
// The "0::" path of a process; empty where there is none.
std::string cgroup_of(const std::string& pid = "self");

// Whether a container can have a limit of this controller.
bool has_controller(const std::string& name);
// Every directory below a cgroup, itself left out, as paths below the mount.
std::vector<std::string> cgroups_below(const std::string& path);
// Cgroups of sigil's containers that were started by this program.
std::vector<std::string> container_cgroups();

// The content of a cgroup's file without its last newline; of a directory that may be gone.
std::string cgroup_file(const std::string& path, const std::string& file);
bool write_cgroup_file(const std::string& path, const std::string& file, const std::string& text);
bool make_cgroup(const std::string& path);
// Removes a cgroup and all below it; they must be empty.
void remove_cgroup(const std::string& path);

}  // namespace sigil::e2e

// Ends the test unless containers can be limited by this controller.
#define SIGIL_NEEDS_CONTROLLER(name)       \
    if (!sigil::e2e::has_controller(name)) \
    GTEST_SKIP() << "the " << (name) << " controller is not in cgroup v2 here"
