// Jobs that start again.
#include "loop/fleet_fixture.h"

namespace sigil::loop {
namespace {

using namespace std::chrono_literals;

TEST_F(FleetTest, RestartsWhatFailed) {
    run({{"a", {}, kOnFailure}});
    run_to_end("a", 1);
    EXPECT_EQ(record.take(), (Log{"a created", "a started", "a exited", "a restarting 1"}));
    EXPECT_EQ(launches(), Log{});
    wake();
    EXPECT_EQ(launches(), Log{"a"});
    run_to_end("a", 0);
    EXPECT_EQ(record.take(), (Log{"a started", "a exited"}));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 0) << "only the last end counts";
    EXPECT_EQ(fleet().summary().restarts, 1U);
}

TEST_F(FleetTest, AlwaysRestartsASuccessToo) {
    run({{"a", {}, kAlways}, {"b", {}, kOnFailure}, {"c"}});
    for (const char* name : {"a", "b", "c"})
        run_to_end(name, 0);
    EXPECT_EQ(fleet().summary().restarts, 1U);
    EXPECT_EQ(fleet().summary().succeeded, 2U);
}

TEST_F(FleetTest, RestartsNoMoreOftenThanItsPolicySays) {
    run({{"a", {}, {RestartPolicy::on_failure, 2}}});
    for (int restart = 0; restart < 2; ++restart) {
        run_to_end("a", 9);
        wake();
    }
    run_to_end("a", 9);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 9);
    EXPECT_EQ(fleet().ended(), 1U);
}

TEST_F(FleetTest, RestartsAFailedLaunch) {
    run({{"a", {}, {RestartPolicy::on_failure, 1}}});
    fail_launch("a");
    wake();
    fail_launch("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a failed", "a restarting 1", "a failed"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RestsTwiceAsLongEachTimeUpToTheLongest) {
    options.backoff = {.first = 100ms, .longest = 1s, .well = 10s};
    run({{"a", {}, kAlways}});
    for (Time whole : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
        const Time before = sys::monotonic_now();
        run_to_end("a", 0);
        const Time after = sys::monotonic_now();
        const Time delay = record.delays.back();
        EXPECT_GE(delay, whole / 2);
        EXPECT_LE(delay, whole);
        EXPECT_GE(ring.find(rest())->at, before + delay);
        EXPECT_LE(ring.find(rest())->at, after + delay);
        wake();
    }
}

TEST_F(FleetTest, RestsNoLongerThanTheLongestHoweverOftenItFailed) {
    options.backoff = {.first = 100ms, .longest = 30s, .well = 1h};
    run({{"a", {}, kAlways}});
    for (int restart = 0; restart < 70; ++restart) {
        run_to_end("a", 0);
        EXPECT_GT(record.delays.back(), 0ms);
        EXPECT_LE(record.delays.back(), 30s);
        wake();
    }
    EXPECT_GE(record.delays.back(), 15s);
}

TEST_F(FleetTest, StartsAgainFromTheFirstDelayAfterItRanWell) {
    run({{"a", {}, {RestartPolicy::always, 3}}});
    for (int restart = 0; restart < 3; ++restart) {
        run_to_end("a", 1);
        wake();
    }
    age = 11s;
    (void)record.take();
    run_to_end("a", 1);
    EXPECT_EQ(record.take(), (Log{"a started", "a exited", "a restarting 1"}))
        << "the count of restarts begins again too";
    EXPECT_LE(record.delays.back(), 100ms);
}

// That it once ran well is no merit of a launch that fails.
TEST_F(FleetTest, AFailedLaunchDidNotRunWell) {
    run({{"a", {}, {RestartPolicy::on_failure, 2}}});
    age = 11s;
    run_to_end("a", 1);
    for (const char* told : {"a restarting 2", "a failed"}) {
        wake();
        fail_launch("a");
        EXPECT_EQ(record.take().back(), told);
    }
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ARestingContainerKeepsItsPlace) {
    options.most_live = 1;
    run({{"a", {}, kOnFailure}, {"b"}});
    run_to_end("a", 1);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().running(), 0U);
    wake();
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, RestartsOnlyOnceTheEndIsTold) {
    SlowStreams slow;
    streams = &slow;
    run({{"a", {}, kAlways}});
    run_to_end("a", 0);
    EXPECT_EQ(record.take(), (Log{"a created", "a started"}));
    EXPECT_FALSE(ring.has(rest()));
    fleet().streams_told(slow.waiting.at(0));
    EXPECT_EQ(record.take(), (Log{"a exited", "a restarting 1"}));
    EXPECT_TRUE(ring.has(rest()));
}

TEST_F(FleetTest, ARestartWaitsForRoomAndComesBeforeWhatIsNew) {
    options.most_live = 2;
    run({{"a", {}, kAlways}, {"b"}, {"c"}});
    run_to_end("a", 1);
    record.room = false;
    run_to_end("b", 0);
    (void)launches();
    wake();
    EXPECT_EQ(launches(), Log{});
    record.room = true;
    fleet().pump();
    EXPECT_EQ(launches(), (Log{"a", "c"}));
}

TEST_F(FleetTest, ARestartThatWaitsForRoomIsDroppedByAStop) {
    run({{"a", {}, kAlways}});
    run_to_end("a", 1);
    record.room = false;
    wake();
    stop();
    EXPECT_TRUE(record.is_finished);
    record.room = true;
    fleet().pump();
    EXPECT_EQ(launches(), Log{});
}

}  // namespace
}  // namespace sigil::loop
