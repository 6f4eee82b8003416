// Root filesystems for containers: busybox with its applets, the guests (/bin/probe,
// /bin/bare), a passwd and a group.
#pragma once

#include <string>

namespace sigil::e2e {

// One for all tests that don't change it.
const std::string& shared_rootfs();
// One for a test alone. Removed with the program.
std::string make_rootfs();
// A new empty directory of the host, outside of every root filesystem.
std::string make_directory_outside();

}  // namespace sigil::e2e
