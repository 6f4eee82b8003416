// Jobs that start after others.
#include "loop/fleet_fixture.h"

namespace sigil::loop {
namespace {

TEST_F(FleetTest, StartsADependentOnceTheOtherHasStarted) {
    run({{"a"}, {"b", {"a"}}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, ADependentMayComeBeforeWhatItNames) {
    run({{"b", {"a"}}, {"a"}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, ADependentWaitsForAllThatItNames) {
    run({{"c", {"a", "b", "a"}}, {"a"}, {"b"}});
    launch("a");
    EXPECT_EQ(launches(), Log{});
    launch("b");
    EXPECT_EQ(launches(), Log{"c"});
}

TEST_F(FleetTest, ADependentOfWhatIsGoneStarts) {
    options.most_live = 1;
    run({{"a"}, {"b", {"a"}}});
    run_to_end("a", 1);
    EXPECT_EQ(launches(), Log{"b"}) << "it has started, whatever became of it";
}

TEST_F(FleetTest, AWaitingJobTakesNoPlace) {
    options.most_live = 1;
    run({{"b", {"a"}}, {"a"}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a", Child::exiting(0));
    EXPECT_EQ(launches(), Log{}) << "the only place is taken";
    end("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, RejectsTheDependentsOfWhatDidNotStart) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}, {"d"}});
    fail_launch("a");
    EXPECT_EQ(record.take(),
              (Log{"a created", "d created", "a failed", "b rejected: after: a did not start",
                   "c rejected: after: b did not start"}));
    run_to_end("d", 0);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 2U);
}

TEST_F(FleetTest, RejectsWhatWaitsForNobodyOnceAllIsOver) {
    run({{"a"}, {"b", {"ghost"}}, {"c", {"a"}}});
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"c"});
    (void)record.take();
    run_to_end("c", 0);
    EXPECT_EQ(record.take(), (Log{"c started", "c exited",
                                  "b rejected: after: there is no container named ghost"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, TellsOfAnUnknownNameBeforeItsConsequences) {
    run({{"b", {"zero"}}, {"c", {"b"}}});
    EXPECT_EQ(record.take(), (Log{"b rejected: after: there is no container named zero",
                                  "c rejected: after: b did not start"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RejectsACycleAndWhatWaitsForIt) {
    run({{"a", {"b"}}, {"b", {"c"}}, {"d", {"a"}}, {"c", {"a"}}});
    EXPECT_EQ(record.take(),
              (Log{"c rejected: after: a cycle: c is after a is after b is after c",
                   "b rejected: after: c did not start", "a rejected: after: b did not start",
                   "d rejected: after: a did not start"}));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 4U);
}

TEST_F(FleetTest, RejectsWhatIsAfterItself) {
    run({{"a", {"a"}}});
    EXPECT_EQ(record.take(), Log{"a rejected: after: a cycle: a is after a"});
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ADiamondIsNoCycle) {
    run({{"d", {"b", "c"}}, {"b", {"a"}}, {"c", {"a"}}, {"a"}});
    launch("a");
    EXPECT_EQ(launches(), (Log{"b", "c"}));
}

// ---- long chains --------------------------------------------------------------------------------

constexpr unsigned kLong = 100'000;  // more than may wait at a time

std::string numbered(unsigned number) {
    return fmt::format("j{}", number);
}

TEST_F(FleetTest, AChainOfAnyLengthIsRejectedWithItsFirst) {
    add({numbered(0)});
    for (unsigned number = 1; number < kLong; ++number)
        add({numbered(number), {numbered(number - 1)}});
    run({});
    fail_launch(numbered(0));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, kLong - 1);
    const Log log = record.take();
    EXPECT_EQ(log.at(2), "j1 rejected: after: j0 did not start");
    EXPECT_EQ(log.back(), "j99999 rejected: after: j99998 did not start");
}

TEST_F(FleetTest, AChainThatComesBackwardsMayBeAsLongAsJobsMayWait) {
    constexpr unsigned kWaiting = 60'000;
    for (unsigned number = kWaiting; number > 0; --number)
        add({numbered(number), {numbered(number - 1)}});
    add({numbered(0)});
    run({});
    fail_launch(numbered(0));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, kWaiting);
}

TEST_F(FleetTest, ACycleOfAnyLengthIsFound) {
    constexpr unsigned kWaiting = 60'000;
    for (unsigned number = 1; number < kWaiting; ++number)
        add({numbered(number), {numbered(number - 1)}});
    add({numbered(0), {numbered(kWaiting - 1)}});
    run({});
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, kWaiting);
    const std::string first = record.take().front();
    EXPECT_TRUE(
        first.starts_with("j0 rejected: after: a cycle: j0 is after j59999 is after j59998"))
        << first.substr(0, 100);
    EXPECT_TRUE(first.ends_with("j1 is after j0"));
}

// What they wait for is behind so many others that it is never reached.
TEST_F(FleetTest, MoreThanMayWaitAreRejectedForWhatHasNotCome) {
    source.is_open = true;
    for (unsigned number = kLong; number > 0; --number)
        add({numbered(number), {numbered(number - 1)}});
    run({});
    EXPECT_EQ(record.take().front(), "j34465 rejected: after: j34464 has not come, and 65536 wait");
    add({"last"});
    fleet().pump();
    EXPECT_EQ(launches(), Log{"last"}) << "it goes on";
}

TEST_F(FleetTest, ManyThatWaitForTheSameAreRejectedTogether) {
    constexpr unsigned kWaiting = 60'000;
    add({"a"});
    add({"b"});
    for (unsigned number = 0; number < kWaiting; ++number)
        add({numbered(number), number % 2 ? std::vector<std::string>{"a", "b", "ghost"}
                                          : std::vector<std::string>{"ghost", "b", "a"}});
    run({});
    fail_launch("b");
    EXPECT_EQ(fleet().summary().rejected, kWaiting);
    fail_launch("a");
    EXPECT_TRUE(record.is_finished);
}

}  // namespace
}  // namespace sigil::loop
