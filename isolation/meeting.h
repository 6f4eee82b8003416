// What the two halves of a staged launch say to each other, over one SOCK_SEQPACKET socket pair
// (the channel), and, once the container is created, over the connection of whoever starts it.
//
//     parent                                stage (PID 1 of the container, or the exec'd process)
//        │ clone3(VM|VFORK|NEW*), execveat(stage) ─▶ reads its plan
//        ◀── reached namespaces ────────────────── waits
//        │ id maps, network devices, hooks
//        │ ── go on ─────────────────────────────▶ mounts
//        ◀── reached mounts ────────────────────── waits     (only where there are hooks for it)
//        │ createContainer hooks
//        │ ── go on ─────────────────────────────▶ pivot_root, process settings
//        ◀── reached ready ─────────────────────── accepts on the start socket
//     `create` exits                               │
//     `start` connects, writes a byte ────────────▶ execve
//        ◀── end of file: executed, or failed ─────┘
//
// One that is made ahead of need (parked.h) waits in between:
//
//        ◀── reached parked ────────────────────── waits
//        │ ── the rest of the plan, descriptors ─▶ starts the command
//        ◀── executed ──────────────────────────── executes the init
//        ◀── end of file: executed, or failed ─────┘
//
// A failed step is told on whatever the stage talks on at that time, and the stage exits.
#pragma once

#include <stdint.h>

#include <array>

#include "isolation/bootstrap.h"

namespace sigil::isolation {

enum class Meeting : uint32_t {
    failed,      // no meeting: `report` says which step
    namespaces,  // they are there; nothing is mounted yet
    mounts,      // everything is mounted, the old root is still there
    console,     // with a descriptor: the terminal's master
    listener,    // with a descriptor: seccomp's
    ready,       // all is done but the execve; told, not waited for
    parked,      // the container is there; what is to run in it is waited for
    executed,    // its command runs, the init does not yet; told, not waited for
};

// One packet from the stage.
struct StageMessage {
    uint32_t meeting;
    uint32_t phase;
    uint32_t step;
    int32_t error;
    uint32_t interpreter_missing;
    uint32_t fork_failed;
    uint64_t executed_ns;
};

// The child's half: raw system calls alone. All return 0 or -errno.
long meet_parent(int channel, uint32_t meeting);
// Sends a descriptor for the parent, which may not read it before this process has gone on: who is
// parked until our execve (CLONE_VFORK) can answer nobody.
long pass_on(int channel, uint32_t meeting, int fd);
// The same, and waits until the parent has done with it.
long hand_over(int channel, uint32_t meeting, int fd);
// Tells that all is done, then accepts connections on `listener` until one brings a byte; that one
// takes the channel's place.
long await_start(int channel, int listener);
void tell_failure(int channel, const LaunchReport& report);
void tell_executed(int channel, const LaunchReport& report);
// Tells that it is parked and waits for descriptors: a plan's, and what that one names. Returns how
// many came.
using PlanDescriptors = std::array<int, kMostPassed + 1>;
long await_descriptors(int channel, PlanDescriptors& descriptors);

}  // namespace sigil::isolation
