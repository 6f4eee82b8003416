// The init's own system call filter.
#pragma once

struct sock_fprog;

namespace sigil::isolation {

// PID 1 needs seven system calls, so it gets those alone where its container has a filter that the
// two do not share: a process of the container may trace PID 1 (ptrace(2): it has no capability
// that the container's root lacks), and would be rid of its own filter in an unfiltered one.
const sock_fprog* init_filter();

}  // namespace sigil::isolation
