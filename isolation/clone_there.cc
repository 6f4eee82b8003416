// The helper shares its caller's memory: raw system calls alone, as in bootstrap.h.
#include "isolation/clone_there.h"

#include <asm/unistd.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "core/raw_syscall.h"
#include "isolation/clone.h"

namespace sigil::isolation {
namespace {

[[noreturn]] void run_helper(void* argument) {
    auto& wanted = *static_cast<CloneThere*>(argument);
    // Killed at any point, it has told of a process or of -ECANCELED; never of 0, whose kill(2) is
    // that of our whole process group.
    const long entered = raw::call(__NR_setns, wanted.user_namespace, CLONE_NEWUSER);
    if (entered < 0)
        wanted.pid = entered;
    else
        wanted.pid = clone_onto_stack(&wanted.arguments, wanted.body, wanted.argument);
    for (;;)
        raw::call(__NR_exit_group, 0);
}

}  // namespace

long clone_there(CloneThere& wanted) {
    clone_args arguments = {};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES;
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uint64_t>(wanted.helper_stack);
    arguments.stack_size = wanted.helper_stack_size;
    if (wanted.cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = static_cast<uint64_t>(wanted.cgroup);
    }
    wanted.arguments.flags |= CLONE_PARENT;
    wanted.arguments.exit_signal = 0;  // the helper's
    wanted.pid = -ECANCELED;           // if it is killed before it has cloned
    const long helper = clone_onto_stack(&arguments, run_helper, &wanted);
    if (helper < 0)
        return helper;
    while (raw::call(__NR_wait4, helper, nullptr, 0, nullptr) == -EINTR) {
    }
    return wanted.pid;
}

}  // namespace sigil::isolation
