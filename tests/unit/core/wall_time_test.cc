#include "core/wall_time.h"

#include <gmock/gmock.h>

namespace sigil {
namespace {

using namespace std::chrono_literals;

std::string in_nanoseconds(std::chrono::nanoseconds since_1970) {
    return rfc3339(WallTime(since_1970), SecondDigits::nano);
}

TEST(WallTime, BeginsIn1970) {
    EXPECT_EQ(in_nanoseconds(0ns), "1970-01-01T00:00:00.000000000Z");
}

TEST(WallTime, HasEachDigitOfItsFraction) {
    EXPECT_EQ(in_nanoseconds(1ns), "1970-01-01T00:00:00.000000001Z");
    EXPECT_EQ(in_nanoseconds(999'999'999ns), "1970-01-01T00:00:00.999999999Z");
    const WallTime time(1'999'999ns);
    EXPECT_EQ(rfc3339(time, SecondDigits::micro), "1970-01-01T00:00:00.001999Z");
}

TEST(WallTime, KnowsLeapDaysAndTheTurnOfAYear) {
    EXPECT_EQ(in_nanoseconds(951'868'799s), "2000-02-29T23:59:59.000000000Z");
    EXPECT_EQ(in_nanoseconds(1'798'761'599s), "2026-12-31T23:59:59.000000000Z");
    EXPECT_EQ(in_nanoseconds(1'798'761'600s), "2027-01-01T00:00:00.000000000Z");
}

// Where 32 bits end.
TEST(WallTime, GoesOnAfter2038) {
    EXPECT_EQ(in_nanoseconds(2'147'483'648s), "2038-01-19T03:14:08.000000000Z");
}

TEST(WallTime, IsTheSystemsClock) {
    const std::string before = in_nanoseconds(std::chrono::system_clock::now().time_since_epoch());
    const std::string now = rfc3339_now(SecondDigits::nano);
    const std::string after = in_nanoseconds(std::chrono::system_clock::now().time_since_epoch());
    EXPECT_LE(before, now);
    EXPECT_LE(now, after);
}

}  // namespace
}  // namespace sigil
