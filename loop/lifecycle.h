// A container's life as a table: status and event give the next status and what is to be done.
// Pure: the supervisor carries the actions out.
//
//                    launched            stop_requested            grace_over, timed_out
//     launching ───────────────▶ running ──────────────▶ stopping ──────────────▶ killing
//        │ │ stop_requested        │  timed_out ▲           │                        │
//        │ ▼                       ├────────────┼───────────┼── exited ──────────────┤
//        │ aborting ── launched ───┼────────────┘           ▼                        │
//        │    │                    └────────────────────▶ draining ◀─────────────────┘
//        │    │ failed                                      ▲  │ emptied
//        │    │ grace_over: cancelling ── launched ──▶ killing
//        └────┴──────────▶ failing ──── exited ─────────────┘  ▼
//                                                             gone
#pragma once

#include <stdint.h>

namespace sigil::loop {

enum class Status : uint8_t {
    launching,   // a launcher is at work
    aborting,    // and a stop was requested meanwhile
    cancelling,  // and its grace is over
    failing,     // the launch has failed; its process has still to be reaped
    running,
    stopping,  // asked to end, within its grace
    killing,   // SIGKILL was sent
    draining,  // reaped; its cgroup is to become empty and to be removed
    gone,
};
inline constexpr int kStatuses = 9;

enum class Event : uint8_t {
    launched,
    failed,  // the launch
    stop_requested,
    grace_over,
    timed_out,
    exited,
    emptied,
};
inline constexpr int kEvents = 7;

// What the supervisor does on a transition, as a set of bits.
enum Action : uint8_t {
    kNothing = 0,
    kWatch = 1,         // for the exit, and for OOM
    kStartTimeout = 2,  // --timeout runs from the command's start
    kStartGrace = 4,    // --stop-timeout
    kCancelLaunch = 8,
    kKill = 16,
    kDrain = 32,   // reap, cancel what is armed
    kFinish = 64,  // report
};

struct Transition {
    Status next;
    uint8_t actions;
    bool operator==(const Transition&) const = default;
};

// An event that means nothing in a status leaves it as it is.
Transition transition(Status status, Event event);

const char* name(Status status);

}  // namespace sigil::loop
