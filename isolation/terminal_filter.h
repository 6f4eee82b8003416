// What a command may not do with a terminal that it shares with its caller.
#pragma once

struct sock_fprog;

namespace sigil::isolation {

// TIOCSTI and TIOCLINUX put characters into a terminal's input, which the caller's shell would read
// once the container has ended (CVE-2017-5226): EPERM, whatever capabilities the command has. A
// filter beside the container's own, for a container with a terminal of its caller's alone.
const sock_fprog* terminal_filter();

}  // namespace sigil::isolation
