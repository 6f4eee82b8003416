// A stop of many, from outside or by the first failure.
#include "loop/fleet_fixture.h"

namespace sigil::loop {
namespace {

TEST_F(FleetTest, AStopAsksWhatRunsAndStartsNoMore) {
    options.most_live = 2;
    run({{"a"}, {"b"}, {"c"}});
    launch("a");
    launch("b");
    stop();
    for (const char* name : {"a", "b"})
        end_by_stop(name);
    settle();
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().summary().causes[static_cast<size_t>(Cause::stopped)], 2U);
    EXPECT_EQ(fleet().summary().exit_code, 128 + SIGTERM);
}

TEST_F(FleetTest, AStopGoesToDependentsFirst) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}});
    for (const char* name : {"a", "b", "c"})
        launch(name);
    (void)record.take();
    stop();
    EXPECT_EQ(record.take(), Log{"c stopping"});
    end_by_stop("c");
    EXPECT_EQ(record.take(), (Log{"c stopped", "b stopping"}));
    end_by_stop("b");
    EXPECT_EQ(record.take(), (Log{"b stopped", "a stopping"}));
    end_by_stop("a");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ASecondStopGoesToAllAtOnce) {
    run({{"a"}, {"b", {"a"}}});
    launch("a");
    launch("b");
    (void)record.take();
    stop();
    EXPECT_EQ(record.take(), Log{"b stopping"});
    stop();
    EXPECT_EQ(record.take(), Log{"a stopping"});
    end_by_stop("a");
    end_by_stop("b");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, AStopEndsARest) {
    run({{"a", {}, kOnFailure}});
    run_to_end("a", 5);
    const Token timer = rest();
    stop();
    EXPECT_TRUE(ring.was_cancelled(timer));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 5) << "as it has ended last";
    EXPECT_EQ(fleet().ended(), 1U);
    settle();
    EXPECT_EQ(launches(), Log{});
}

// The timer had completed before the cancel reached it.
TEST_F(FleetTest, ARestThatEndsWithAStopStartsNothing) {
    run({{"a", {}, kOnFailure}, {"b"}});
    launch("b");
    run_to_end("a", 5);
    ring.complete(rest(), -ETIME);
    stop();
    turn();
    settle();
    EXPECT_EQ(launches(), Log{});
    end_by_stop("b");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, AStopDropsWhatWaits) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}});
    stop();
    EXPECT_EQ(fleet().summary().not_started, 2U);
    fail_launch("a");
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 0U);
    EXPECT_EQ(fleet().summary().not_started, 2U);
}

TEST_F(FleetTest, AStoppedContainerIsNotRestarted) {
    run({{"a", {}, kAlways}});
    launch("a");
    stop();
    end_by_stop("a");
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().restarts, 0U);
}

TEST_F(FleetTest, AStopBeforeAnyJobFinishesAtOnce) {
    source.is_open = true;
    run({});
    stop();
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, FailFastStopsTheRestAtTheFirstFailure) {
    options.fail_fast = true;
    options.most_live = 3;
    run({{"a"}, {"b"}, {"c", {}, kAlways}, {"d"}});
    launch("b");
    run_to_end("c", 0);  // rests
    run_to_end("a", 7);
    EXPECT_TRUE(ring.was_cancelled(rest()));
    end_by_stop("b");
    settle();
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().summary().exit_code, 7);
}

TEST_F(FleetTest, FailFastLetsARestartedFailureBe) {
    options.fail_fast = true;
    run({{"a", {}, kOnFailure}, {"b"}});
    launch("b");
    run_to_end("a", 7);
    EXPECT_FALSE(was_asked("b"));
    EXPECT_EQ(fleet().summary().exit_code, 0);
}

TEST_F(FleetTest, FailFastTakesARejectedJobForAFailure) {
    options.fail_fast = true;
    run({{"b", {"a", "b"}}, {"c", {"b"}}, {"a"}, {"d"}});
    EXPECT_EQ(launches(), Log{});
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, AFurtherStopIsToldWhereNothingRuns) {
    SlowStreams slow;
    streams = &slow;
    run({{"a"}});
    launch("a");
    stop();
    stop();
    end_by_stop("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a started", "a stopping"}))
        << "the second went to what ran";
    stop();
    EXPECT_EQ(record.take(), Log{"stopped again"});
    fleet().streams_told(slow.waiting.at(0));
    EXPECT_EQ(record.take(), Log{"a stopped"});
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, TheFirstStopFromOutsideIsNoFurtherOne) {
    options.fail_fast = true;
    SlowStreams slow;
    slow.is_told = true;
    streams = &slow;
    run({{"a"}});
    run_to_end("a", 1);
    (void)record.take();
    stop();
    EXPECT_EQ(record.take(), Log{});
    stop();
    EXPECT_EQ(record.take(), Log{"stopped again"});
}

TEST_F(FleetTest, AStopOfDependenciesWaitsForNoReader) {
    SlowStreams slow;
    streams = &slow;
    run({{"a"}, {"b", {"a"}}});
    launch("a");
    launch("b");
    stop();
    (void)record.take();
    end_by_stop("b");
    EXPECT_EQ(record.take(), Log{"a stopping"}) << "though the end of b is not told yet";
}

}  // namespace
}  // namespace sigil::loop
