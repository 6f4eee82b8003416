// The container's terminal (config.md, "process.terminal"), as the child makes it: raw system calls
// alone, see bootstrap.h.
#pragma once

#include <stdint.h>

namespace sigil::isolation {

struct ConsoleRequest {
    int root;         // the container's root
    int channel;      // gets the master
    bool is_awaited;  // the parent answers when it has it
    uint32_t uid;     // whose the terminal is to be
    uint16_t height;  // 0: as the kernel has it
    uint16_t width;
};

// Opens a pair in the container's own devpts, hands the master over, and makes the other end stdin,
// stdout, stderr and the controlling terminal of the session, which the caller leads. Returns a
// detached mount of that end, for /dev/console, or -errno.
//
// No path of the container is trusted: the end is opened by ioctl from its master (TIOCGPTPEER), so
// nothing that was planted at /dev/pts/N is (CVE-2025-52565).
long open_console(const ConsoleRequest& request);

}  // namespace sigil::isolation
