// Error, Result and TRY: frames, codes, texts.
#include "core/error.h"

#include <errno.h>

#include <memory>

#include <gtest/gtest.h>

#include "core/try.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;

Result<int> number_or(int code) {
    if (code != 0)
        return tl::unexpected(Error::from_errno(code, "openat"));
    return 7;
}

Result<int> with_frames(int code, int* evaluated) {
    int number = TRY((++*evaluated, number_or(code)), "open {}", "/nope");
    return number + 1;
}

Result<std::string> with_outer_frames(int code, int* evaluated) {
    const int number = TRY(with_frames(code, evaluated), "prepare {}", "rootfs");
    return std::string(static_cast<size_t>(number), 'x');
}

Result<void> nothing_or(int code) {
    TRY(number_or(code));
    return {};
}

Result<void> pass_on_nothing(int code) {
    TRY(nothing_or(code), "at {}", code);
    return {};
}

Result<std::unique_ptr<int>> owned() {
    return std::make_unique<int>(3);
}

Result<int> take_owned() {
    std::unique_ptr<int> taken = TRY(owned());
    return *taken;
}

TEST(Error, IsOnePointer) {
    EXPECT_EQ(sizeof(Error), sizeof(void*));
}

TEST(Error, OfAnErrnoIsToldByItsCode) {
    const Error error = Error::from_errno(ENOENT, "openat");
    EXPECT_TRUE(error.is(ENOENT));
    EXPECT_FALSE(error.is(EPERM));
    EXPECT_EQ(error.code(), ENOENT);
}

TEST(Error, OfAnErrnoNamesTheCallOnlyWhereNoFrameDoes) {
    EXPECT_EQ(Error::from_errno(ENOENT, "openat").message(), "openat: No such file or directory");
    EXPECT_EQ(Error::from_errno(ENOENT, "openat").in("open /nope").message(),
              "open /nope: No such file or directory");
}

TEST(Error, OfAnErrnoThatHasNoTextSaysSo) {
    EXPECT_EQ(Error::from_errno(4000, "ioctl").message(), "ioctl: unknown error");
}

TEST(Error, OfAMistakeIsItsText) {
    const Error error = Error::because("--memory: 'x' is no size");
    EXPECT_EQ(error.message(), "--memory: 'x' is no size");
    EXPECT_EQ(error.code(), 0);
    EXPECT_FALSE(error.is(EINVAL));
    EXPECT_FALSE(Error::because("text").in("frame").is(ENOENT));
}

TEST(Error, PrintsTheOutermostFrameFirst) {
    const Error error = Error::because("innermost").in("inner").in("outer").in("outermost");
    EXPECT_EQ(error.message(), "outermost: outer: inner: innermost");
}

TEST(Error, ExitsAsARuntimeFailureUnlessSaidOtherwise) {
    EXPECT_EQ(Error::from_errno(EIO, "read").exit_code(), 125);
    EXPECT_EQ(Error::because("text").in("frame").exit_code(), 125);
    EXPECT_EQ(Error::because("text").exiting(kExitNotFound).exit_code(), 127);
    EXPECT_EQ(Error::because("text").exiting(kExitNotExecutable).in("frame").exit_code(), 126);
}

TEST(Error, IsEmptyOnceMovedFrom) {
    Error error = Error::from_errno(ENOENT, "openat");
    const Error taken = std::move(error);
    EXPECT_TRUE(taken.is(ENOENT));
    EXPECT_EQ(error.message(), "");  // NOLINT(bugprone-use-after-move): what is left is asked for
    EXPECT_EQ(error.code(), 0);
    EXPECT_FALSE(error.is(0));
    EXPECT_EQ(error.exit_code(), 125);
}

TEST(Failure, FormatsItsText) {
    const Result<void> result = failure("{} is more than {}", 5, 4);
    EXPECT_EQ(message_of(result), "5 is more than 4");
}

TEST(Try, GivesTheValue) {
    int evaluated = 0;
    EXPECT_EQ(with_outer_frames(0, &evaluated)->size(), 8U);
    EXPECT_EQ(*take_owned(), 3);
    EXPECT_TRUE(pass_on_nothing(0));
}

TEST(Try, AddsItsFrameOnTheWayUp) {
    int evaluated = 0;
    const auto result = with_outer_frames(ENOENT, &evaluated);
    EXPECT_EQ(message_of(result), "prepare rootfs: open /nope: No such file or directory");
    EXPECT_TRUE(result.error().is(ENOENT));
}

TEST(Try, KeepsTheErrorOfAnotherType) {
    EXPECT_EQ(message_of(pass_on_nothing(EPERM)), "at 1: Operation not permitted");
}

TEST(Try, EvaluatesItsExpressionOnce) {
    int evaluated = 0;
    (void)with_outer_frames(0, &evaluated);
    EXPECT_EQ(evaluated, 1);
    (void)with_outer_frames(EIO, &evaluated);
    EXPECT_EQ(evaluated, 2);
}

TEST(Try, FormatsItsFrameOnlyOnFailure) {
    int formatted = 0;
    auto frame = [&formatted] { return ++formatted; };
    auto run = [&](int code) -> Result<void> {
        TRY(number_or(code), "frame {}", frame());
        return {};
    };
    EXPECT_TRUE(run(0));
    EXPECT_EQ(formatted, 0);
    EXPECT_FALSE(run(EIO));
    EXPECT_EQ(formatted, 1);
}

TEST(Try, KeepsTheExitCode) {
    auto inner = []() -> Result<int> {
        return tl::unexpected(Error::because("no such command").exiting(kExitNotFound));
    };
    auto outer = [&]() -> Result<void> {
        TRY(inner(), "web");
        return {};
    };
    const auto result = outer();
    EXPECT_EQ(result.error().exit_code(), 127);
    EXPECT_EQ(message_of(result), "web: no such command");
}

}  // namespace
}  // namespace sigil
