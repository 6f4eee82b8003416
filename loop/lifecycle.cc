#include "loop/lifecycle.h"

#include <array>
#include <cstddef>

namespace sigil::loop {
namespace {

struct Row {
    Status from;
    Event event;
    Transition transition;
};

constexpr std::array kTable = {
    Row{Status::launching, Event::launched, {Status::running, kWatch | kStartTimeout}},
    Row{Status::launching, Event::failed, {Status::failing, kWatch}},
    Row{Status::launching, Event::stop_requested, {Status::aborting, kStartGrace}},

    Row{Status::aborting, Event::launched, {Status::stopping, kWatch | kStartTimeout}},
    Row{Status::aborting, Event::failed, {Status::failing, kWatch}},
    Row{Status::aborting, Event::grace_over, {Status::cancelling, kCancelLaunch}},

    Row{Status::cancelling, Event::launched, {Status::killing, kWatch | kKill}},
    Row{Status::cancelling, Event::failed, {Status::failing, kWatch}},

    Row{Status::failing, Event::exited, {Status::draining, kDrain}},

    Row{Status::running, Event::stop_requested, {Status::stopping, kStartGrace}},
    Row{Status::running, Event::timed_out, {Status::killing, kKill}},
    Row{Status::running, Event::exited, {Status::draining, kDrain}},

    Row{Status::stopping, Event::grace_over, {Status::killing, kKill}},
    Row{Status::stopping, Event::timed_out, {Status::killing, kKill}},
    Row{Status::stopping, Event::exited, {Status::draining, kDrain}},

    Row{Status::killing, Event::exited, {Status::draining, kDrain}},

    Row{Status::draining, Event::emptied, {Status::gone, kFinish}},
};

}  // namespace

Transition transition(Status status, Event event) {
    for (const Row& row : kTable)
        if (row.from == status && row.event == event)
            return row.transition;
    return {status, kNothing};
}

const char* name(Status status) {
    constexpr std::array kNames = {"launching", "aborting", "cancelling", "failing", "running",
                                   "stopping",  "killing",  "draining",   "gone"};
    return kNames[static_cast<size_t>(status)];
}

}  // namespace sigil::loop
