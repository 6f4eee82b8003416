// The network namespace, and what is in it.
#include <asm/unistd.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/types.h>

#include "core/raw_syscall.h"
#include "isolation/child.h"
#include "isolation/clone.h"
#include "isolation/network_namespace.h"

namespace sigil::isolation {
namespace {

// Any number that a new pid namespace has and does not reach soon.
constexpr pid_t kHelperTid = 300;

// A network namespace takes the kernel longer than all the mounts do, and takes none of their
// locks: a helper thread of PID 1 makes it meanwhile. It shares PID 1's descriptors, so that PID 1
// can join.
void make_network(void* argument) {
    auto* child = static_cast<Child*>(argument);
    child->network = make_network_namespace();
    for (;;)
        raw::call(__NR_exit, 0);  // clears network_helper and wakes PID 1
}

}  // namespace

long begin_network(Child& child) {
    clone_args arguments = {};
    // Not CLONE_FS: the helper must not see PID 1 change its root and directory.
    arguments.flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID;
    arguments.stack = reinterpret_cast<uint64_t>(child.plan->second_stack);
    arguments.stack_size = child.plan->second_stack_size;
    arguments.child_tid = reinterpret_cast<uint64_t>(&child.network_helper);
    // A high thread id, so that the command is still PID 2 (clone3(2), set_tid; Linux 5.5).
    const pid_t id = kHelperTid;
    arguments.set_tid = reinterpret_cast<uint64_t>(&id);
    arguments.set_tid_size = 1;
    child.network_helper = ~0U;
    child.has_network_helper = true;
    long helper = clone_onto_stack(&arguments, make_network, &child);
    return helper < 0 ? helper : kDone;
}

long join_network(Child& child, const Step& step) {
    if (step.fd >= 0)
        return raw::call(__NR_setns, step.fd, CLONE_NEWNET);
    if (!child.has_network_helper) {
        const long made = make_network_namespace();
        if (made < 0)
            return made;
        close(made);
        return kDone;
    }
    auto* running = static_cast<volatile uint32_t*>(&child.network_helper);
    while (*running != 0)
        raw::call(__NR_futex, running, FUTEX_WAIT, ~0U, nullptr, nullptr, 0);
    if (child.network < 0)
        return child.network;
    return raw::call(__NR_setns, child.network, CLONE_NEWNET);
}

long raise_loopback() {
    const long socket = open_loopback();
    if (socket >= 0)
        close(socket);
    return socket;
}

}  // namespace sigil::isolation
