// Which of many jobs has a place, and how their ends are counted.
#include "loop/fleet_fixture.h"

namespace sigil::loop {
namespace {

TEST_F(FleetTest, StartsAllWhereThereIsRoom) {
    run({{"a"}, {"b"}, {"c"}});
    EXPECT_EQ(launches(), (Log{"a", "b", "c"}));
    EXPECT_EQ(record.take(), (Log{"a created", "b created", "c created"}));
    EXPECT_EQ(fleet().running(), 3U);
    EXPECT_FALSE(record.is_finished);
}

TEST_F(FleetTest, IsFinishedAtOnceWithoutJobs) {
    run({});
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 0);
}

TEST_F(FleetTest, TakesNoMoreJobsThanItHasPlaces) {
    options.most_live = 2;
    run({{"a"}, {"b"}, {"c"}, {"d"}});
    EXPECT_EQ(launches(), (Log{"a", "b"}));
    EXPECT_EQ(source.jobs.size(), 2U) << "what has no place stays in its source";
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"c"});
    run_to_end("b", 0);
    run_to_end("c", 0);
    run_to_end("d", 0);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().succeeded, 4U);
    EXPECT_EQ(fleet().ended(), 4U);
    EXPECT_EQ(fleet().running(), 0U);
}

TEST_F(FleetTest, AFailedLaunchGivesItsPlaceBack) {
    options.most_live = 1;
    run({{"a"}, {"b"}});
    fail_launch("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a failed", "b created"}));
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
}

TEST_F(FleetTest, AsksALaterSourceWhenPumped) {
    source.is_open = true;
    run({{"a"}});
    run_to_end("a", 0);
    EXPECT_FALSE(record.is_finished);
    add({"b"});
    EXPECT_EQ(launches(), Log{});
    fleet().pump();
    EXPECT_EQ(launches(), Log{"b"});
    run_to_end("b", 0);
    source.is_open = false;
    fleet().pump();
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RejectsANameThatIsTaken) {
    options.most_live = 2;
    run({{"a"}, {"a"}});
    EXPECT_EQ(record.take(),
              (Log{"a created", "a rejected: another container of that name is running"}));
    run_to_end("a", 0);
    EXPECT_EQ(fleet().summary().rejected, 1U);
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, TakesANameThatIsFreeAgain) {
    options.most_live = 1;
    run({{"a"}, {"a"}});
    run_to_end("a", 0);
    run_to_end("a", 0);
    EXPECT_EQ(fleet().summary().succeeded, 2U);
    EXPECT_EQ(fleet().summary().rejected, 0U);
}

TEST_F(FleetTest, CountsEachEndByItsCause) {
    run({{"a"}, {"b"}, {"c"}, {"d"}});
    run_to_end("a", 0);
    run_to_end("b", 3);
    launch("c", Child::run([] { return ::raise(SIGKILL); }));
    end("c");
    fail_launch("d");
    const Summary& summary = fleet().summary();
    EXPECT_EQ(summary.causes, (std::array<uint64_t, kCauses>{1, 2, 1, 0, 0, 0}));
    EXPECT_EQ(summary.succeeded, 1U);
    EXPECT_EQ(summary.exit_code, 3) << "the first failure's";
    EXPECT_EQ(fleet().ended(), 4U);
}

TEST_F(FleetTest, ALineThatIsNoJobIsRejected) {
    source.is_open = true;
    run({{"a"}});
    fleet().reject_line(2, Error::because("no JSON"));
    (void)launches();
    EXPECT_EQ(record.take(), (Log{"a created", "line 2 rejected: no JSON"}));
    EXPECT_EQ(fleet().summary().rejected, 1U);
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
}

// ---- room ---------------------------------------------------------------------------------------

TEST_F(FleetTest, StartsNothingWithoutRoomForItsEvents) {
    record.room = false;
    run({{"a"}, {"b"}});
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(source.jobs.size(), 2U) << "nor takes any";
    EXPECT_FALSE(record.is_finished);
    record.room = true;
    fleet().pump();
    EXPECT_EQ(launches(), (Log{"a", "b"}));
    EXPECT_TRUE(source.jobs.empty());
}

// ---- ends that are told later -------------------------------------------------------------------

TEST_F(FleetTest, TellsAnEndAfterWhatTheContainerWrote) {
    SlowStreams slow;
    streams = &slow;
    options.most_live = 1;
    run({{"a"}, {"b"}});
    launch("a", Child::exiting(3));
    end("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a started"}));
    EXPECT_EQ(fleet().running(), 0U);
    EXPECT_EQ(launches(), Log{}) << "it keeps its place";
    fleet().streams_told(slow.waiting.at(0));
    EXPECT_EQ(record.take(), (Log{"a exited", "b created"}));
    EXPECT_EQ(fleet().summary().exit_code, 3);
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, IsNotFinishedBeforeTheLastEndIsTold) {
    SlowStreams slow;
    streams = &slow;
    run({{"a"}});
    run_to_end("a", 0);
    EXPECT_FALSE(record.is_finished);
    fleet().streams_told(slow.waiting.at(0));
    EXPECT_TRUE(record.is_finished);
}

}  // namespace
}  // namespace sigil::loop
