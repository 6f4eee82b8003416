// clone3(2) in a user namespace that is there: a helper joins it and clones there, so that what the
// child has of its own (CLONE_NEW*) belongs to that namespace. The child is the caller's all the
// same (CLONE_PARENT), and has the signal that the helper was made with.
#pragma once

#include <linux/sched.h>
#include <stddef.h>

namespace sigil::isolation {

struct CloneThere {
    int user_namespace;
    int cgroup;  // the child's directory, which the helper is in before; -1: the caller's
    clone_args arguments;
    void (*body)(void*);  // runs in the child, and must not return
    void* argument;
    char* helper_stack;
    size_t helper_stack_size;

    long pid = 0;
};

// Returns when clone3 has: with CLONE_VFORK, once the child has executed something or ended. Then
// that is the pid as the helper numbers it, or -errno. The caller's descriptors are the helper's,
// so that CLONE_PIDFD makes one of the caller's.
long clone_there(CloneThere& wanted);

}  // namespace sigil::isolation
