// A compiled system call filter, as the kernel takes it: plain data. isolation/seccomp makes it,
// the Spec of a container carries it, a launch step installs it.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

namespace sigil {

struct SeccompProgram {
    std::vector<sock_filter> instructions;  // at most BPF_MAXINSNS, checked by whoever made them
    uint32_t flags = 0;                     // SECCOMP_FILTER_FLAG_*
    // Known to let through what a launch does once its mounts are there.
    bool admits_launch = false;
};

}  // namespace sigil
