// Fd: owned once, closed once.
#include "core/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace sigil {
namespace {

int open_null() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_open(int number) {
    return ::fcntl(number, F_GETFD) >= 0;
}

static_assert(!std::is_copy_constructible_v<Fd> && !std::is_copy_assignable_v<Fd>);
static_assert(std::is_nothrow_move_constructible_v<Fd> && std::is_nothrow_move_assignable_v<Fd>);

TEST(Fd, HoldsNothingAtFirst) {
    const Fd fd;
    EXPECT_FALSE(fd);
    EXPECT_EQ(fd.get(), -1);
}

TEST(Fd, ZeroIsADescriptor) {
    Fd fd(0);
    EXPECT_TRUE(fd);
    EXPECT_EQ(fd.release(), 0);
}

TEST(Fd, ClosesWhenItGoes) {
    const int number = open_null();
    {
        const Fd fd(number);
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(Fd, ResetClosesOnceAndHoldsNothing) {
    const int number = open_null();
    Fd fd(number);
    fd.reset();
    EXPECT_FALSE(fd);
    // The number belongs to another now: a second close would be felt here.
    const int again = open_null();
    ASSERT_EQ(again, number);
    fd.reset();
    EXPECT_TRUE(is_open(again));
    ::close(again);
}

TEST(Fd, ReleaseGivesItUpOpen) {
    Fd fd(open_null());
    const int number = fd.release();
    EXPECT_FALSE(fd);
    fd.reset();
    EXPECT_TRUE(is_open(number));
    ::close(number);
}

TEST(Fd, MovesWithoutClosing) {
    const int number = open_null();
    Fd first(number);
    {
        const Fd second(std::move(first));
        EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(second.get(), number);
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(Fd, AssignmentClosesWhatItHeld) {
    const int held = open_null();
    const int taken = open_null();
    Fd first(held);
    Fd second(taken);
    first = std::move(second);
    EXPECT_FALSE(is_open(held));
    EXPECT_TRUE(is_open(taken));
    EXPECT_EQ(first.get(), taken);
    EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move)
}

TEST(Fd, AssignedToItselfStaysOpen) {
    Fd fd(open_null());
    Fd& alias = fd;
    fd = std::move(alias);
    ASSERT_TRUE(fd);
    EXPECT_TRUE(is_open(fd.get()));
}

}  // namespace
}  // namespace sigil
