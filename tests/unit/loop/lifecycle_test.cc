// The lifecycle table, written out: every status with every event.
#include "loop/lifecycle.h"

#include <ostream>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace sigil::loop {
namespace {

struct Row {
    Status from;
    Event event;
    Status to;
    uint8_t actions;
};

const char* event_name(Event event) {
    static constexpr const char* kNames[] = {"launched",  "failed", "stop_requested", "grace_over",
                                             "timed_out", "exited", "emptied"};
    static_assert(std::size(kNames) == kEvents);
    return kNames[static_cast<int>(event)];
}

std::string text(const Row& row) {
    return std::string(name(row.from)) + " on " + event_name(row.event);
}

// What means nothing in a status leaves it: {from, event, from, kNothing}.
constexpr Row kTable[] = {
    {Status::launching, Event::launched, Status::running, kWatch | kStartTimeout},
    {Status::launching, Event::failed, Status::failing, kWatch},
    {Status::launching, Event::stop_requested, Status::aborting, kStartGrace},
    {Status::launching, Event::grace_over, Status::launching, kNothing},
    {Status::launching, Event::timed_out, Status::launching, kNothing},
    {Status::launching, Event::exited, Status::launching, kNothing},
    {Status::launching, Event::emptied, Status::launching, kNothing},

    {Status::aborting, Event::launched, Status::stopping, kWatch | kStartTimeout},
    {Status::aborting, Event::failed, Status::failing, kWatch},
    {Status::aborting, Event::stop_requested, Status::aborting, kNothing},
    {Status::aborting, Event::grace_over, Status::cancelling, kCancelLaunch},
    {Status::aborting, Event::timed_out, Status::aborting, kNothing},
    {Status::aborting, Event::exited, Status::aborting, kNothing},
    {Status::aborting, Event::emptied, Status::aborting, kNothing},

    {Status::cancelling, Event::launched, Status::killing, kWatch | kKill},
    {Status::cancelling, Event::failed, Status::failing, kWatch},
    {Status::cancelling, Event::stop_requested, Status::cancelling, kNothing},
    {Status::cancelling, Event::grace_over, Status::cancelling, kNothing},
    {Status::cancelling, Event::timed_out, Status::cancelling, kNothing},
    {Status::cancelling, Event::exited, Status::cancelling, kNothing},
    {Status::cancelling, Event::emptied, Status::cancelling, kNothing},

    {Status::failing, Event::launched, Status::failing, kNothing},
    {Status::failing, Event::failed, Status::failing, kNothing},
    {Status::failing, Event::stop_requested, Status::failing, kNothing},
    {Status::failing, Event::grace_over, Status::failing, kNothing},
    {Status::failing, Event::timed_out, Status::failing, kNothing},
    {Status::failing, Event::exited, Status::draining, kDrain},
    {Status::failing, Event::emptied, Status::failing, kNothing},

    {Status::running, Event::launched, Status::running, kNothing},
    {Status::running, Event::failed, Status::running, kNothing},
    {Status::running, Event::stop_requested, Status::stopping, kStartGrace},
    {Status::running, Event::grace_over, Status::running, kNothing},
    {Status::running, Event::timed_out, Status::killing, kKill},
    {Status::running, Event::exited, Status::draining, kDrain},
    {Status::running, Event::emptied, Status::running, kNothing},

    {Status::stopping, Event::launched, Status::stopping, kNothing},
    {Status::stopping, Event::failed, Status::stopping, kNothing},
    {Status::stopping, Event::stop_requested, Status::stopping, kNothing},
    {Status::stopping, Event::grace_over, Status::killing, kKill},
    {Status::stopping, Event::timed_out, Status::killing, kKill},
    {Status::stopping, Event::exited, Status::draining, kDrain},
    {Status::stopping, Event::emptied, Status::stopping, kNothing},

    {Status::killing, Event::launched, Status::killing, kNothing},
    {Status::killing, Event::failed, Status::killing, kNothing},
    {Status::killing, Event::stop_requested, Status::killing, kNothing},
    {Status::killing, Event::grace_over, Status::killing, kNothing},
    {Status::killing, Event::timed_out, Status::killing, kNothing},
    {Status::killing, Event::exited, Status::draining, kDrain},
    {Status::killing, Event::emptied, Status::killing, kNothing},

    {Status::draining, Event::launched, Status::draining, kNothing},
    {Status::draining, Event::failed, Status::draining, kNothing},
    {Status::draining, Event::stop_requested, Status::draining, kNothing},
    {Status::draining, Event::grace_over, Status::draining, kNothing},
    {Status::draining, Event::timed_out, Status::draining, kNothing},
    {Status::draining, Event::exited, Status::draining, kNothing},
    {Status::draining, Event::emptied, Status::gone, kFinish},

    {Status::gone, Event::launched, Status::gone, kNothing},
    {Status::gone, Event::failed, Status::gone, kNothing},
    {Status::gone, Event::stop_requested, Status::gone, kNothing},
    {Status::gone, Event::grace_over, Status::gone, kNothing},
    {Status::gone, Event::timed_out, Status::gone, kNothing},
    {Status::gone, Event::exited, Status::gone, kNothing},
    {Status::gone, Event::emptied, Status::gone, kNothing},
};

TEST(Lifecycle, IsThisTable) {
    for (const Row& row : kTable) {
        const Transition step = transition(row.from, row.event);
        EXPECT_EQ(step.next, row.to) << text(row) << " gives " << name(step.next);
        EXPECT_EQ(int{step.actions}, int{row.actions}) << text(row);
    }
}

TEST(Lifecycle, IsWrittenOutWhole) {
    std::set<std::pair<Status, Event>> pairs;
    for (const Row& row : kTable)
        pairs.emplace(row.from, row.event);
    EXPECT_EQ(pairs.size(), size_t{kStatuses * kEvents});
}

TEST(Lifecycle, LetsEveryStatusReachTheEnd) {
    for (int status = 0; status < kStatuses; ++status) {
        Status now = static_cast<Status>(status);
        for (Event event : {Event::launched, Event::exited, Event::emptied})
            now = transition(now, event).next;
        EXPECT_EQ(now, Status::gone) << name(static_cast<Status>(status));
    }
}

TEST(Lifecycle, FinishesOnce) {
    for (int event = 0; event < kEvents; ++event)
        EXPECT_EQ(transition(Status::gone, static_cast<Event>(event)),
                  (Transition{Status::gone, kNothing}));
}

TEST(Lifecycle, HasANameForEveryStatus) {
    std::set<std::string> names;
    for (int status = 0; status < kStatuses; ++status)
        names.insert(name(static_cast<Status>(status)));
    EXPECT_EQ(names.size(), size_t{kStatuses});
    EXPECT_STREQ(name(Status::launching), "launching");
    EXPECT_STREQ(name(Status::gone), "gone");
}

}  // namespace
}  // namespace sigil::loop
