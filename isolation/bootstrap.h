// The child half of a launch: interprets a plan's steps from clone3 to execve.
//
// It runs in memory shared with the supervisor (CLONE_VM), on a borrowed stack, while the launcher
// thread that cloned it is parked (CLONE_VFORK). So: raw system calls only; no allocation, lock,
// errno, exception or library call; it writes nothing but its stack and its LaunchReport.
//
//     launcher            PID 1 (this file)                     command (PID 2)
//        │ clone3 ───────▶ setup steps: mounts, namespaces
//        │ (parked)        report.isolated
//        │                 clone3(VM|VFORK) ──────────────────▶ target steps: ids, session, fds
//        │                 (parked)                             execve ─▶ runs
//        │                 report.executed
//        │                 init steps, execveat(init)
//        ◀── vfork ends ── waits for the command, forwards signals
//
// Without an init, PID 1 goes on with the target steps itself.
//
// A container that is made ahead of need (parked.h) does the setup steps and then waits; the others
// come with its command.
#pragma once

#include <stdint.h>

#include <array>
#include <atomic>
#include <span>

#include "isolation/step.h"

namespace sigil::isolation {

enum class Phase : uint32_t { setup, target, init };

// What the child tells the parent: plain memory that both see.
struct LaunchReport {
    std::atomic<bool> cancelled = false;  // set by the parent: stop before the next step
    std::atomic<bool> failed = false;
    Phase phase = Phase::setup;
    uint32_t step = 0;
    int error = 0;                     // errno
    bool fork_failed = false;          // of the command's process; `step` means nothing
    bool interpreter_missing = false;  // the command is there, what its "#!" or ELF names isn't
    uint64_t isolated_ns = 0;          // CLOCK_MONOTONIC: the setup steps are done
    uint64_t executed_ns = 0;          // the command's execve has returned into it
};

inline constexpr int kMostPassed = 3;

struct Bootstrap {
    std::span<const Step> setup;
    std::span<const Step> target;
    std::span<const Step> init;  // empty: the target is PID 1
    // Where target and init come after the setup: waits for them, and fills them and `passed` in.
    // -errno: there is nobody to wait for.
    long (*await_rest)(Bootstrap& rest) = nullptr;
    std::array<int, kMostPassed> passed = {-1, -1, -1};  // descriptors that came with them
    int root = -1;  // the root's tree; none where a step opens it
    LaunchReport* report = nullptr;
    int channel = -1;              // to a parent that does not share our memory: see meeting.h
    char* second_stack = nullptr;  // for the command's process and the network helper
    uint64_t second_stack_size = 0;
};

// Runs the setup steps in the calling thread, which must share neither its root nor its mount
// namespace with another. False: the report says which step has failed.
bool run_in_this_thread(const Bootstrap& bootstrap);

// Never returns: ends in execve, or in exit after a report.
[[noreturn]] void run_bootstrap(const Bootstrap& bootstrap);

}  // namespace sigil::isolation
