// Logs of a limited size: the ring is driven by hand, the files are real.
#include "loop/rotated_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "loop/fake_ring.h"
#include "temp_dir.h"

namespace sigil::loop {
namespace {

using Words = std::vector<std::string>;

class RotatedLogsTest : public ::testing::Test, public RotatedLogs::Client {
  protected:
    static constexpr Token kOwner = {Source::output, Operation::none, 0, 3};
    static constexpr Token kWrite = {Source::logs, Operation::write, 0, 3};

    void log_written(Token owner, size_t bytes, const Destination::Lost& lost) override {
        EXPECT_EQ(owner, kOwner);
        written += bytes;
        lost_bytes += lost.bytes;
        lost_lines += lost.lines;
    }
    void log_troubled(const Error& error) override { troubles.push_back(error.message()); }

    void make(LogLimits limits) {
        reactor.use(ring);
        directory_ = files.open();
        logs.emplace(reactor, *this, directory_.get(), limits);
        auto opened = logs->open(kOwner, "a");
        ASSERT_TRUE(opened) << opened.error().message();
    }
    void add(std::string_view text) {
        EXPECT_EQ(logs->add(kOwner, text), text.size());
        turn();
    }
    void turn() {
        ring.inject({}, 0);
        ASSERT_TRUE(reactor.turn());
    }
    // Does what the kernel would: at most so many bytes of the write in flight.
    void write(size_t most = SIZE_MAX) {
        const auto* asked = ring.find(kWrite);
        ASSERT_NE(asked, nullptr);
        const size_t count = std::min(most, asked->bytes.size());
        EXPECT_EQ(::write(asked->fd, asked->bytes.data(), count), static_cast<ssize_t>(count));
        complete(static_cast<int32_t>(count));
    }
    void write_all() {
        while (ring.has(kWrite))
            write();
    }
    void complete(int32_t result) {
        ring.complete(kWrite, result);
        ASSERT_TRUE(reactor.turn());
    }
    void add_and_write(std::string_view text) {
        add(text);
        write_all();
    }

    testing::TempDir files;
    FakeRing ring;
    Reactor reactor;
    std::optional<RotatedLogs> logs;
    size_t written = 0;
    size_t lost_bytes = 0;
    size_t lost_lines = 0;
    Words troubles;

  private:
    Fd directory_;
};

TEST_F(RotatedLogsTest, GatherWhatComesWhileAWriteIsInFlight) {
    make({.size = 1000, .files = 2});
    add("one\n");
    add("two\n");
    add("three\n");
    EXPECT_EQ(std::string(ring.find(kWrite)->bytes.data(), 4), "one\n");
    write();
    EXPECT_EQ(ring.find(kWrite)->bytes.size(), 10U);
    write();
    EXPECT_EQ(files.read("a.log"), "one\ntwo\nthree\n");
    EXPECT_EQ(written, 14U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(RotatedLogsTest, RotateWhereALineMoreDoesNotFit) {
    make({.size = 10, .files = 3});
    for (const char* line : {"11111\n", "22222\n", "33333\n", "44444\n"})
        add_and_write(line);
    EXPECT_EQ(files.read("a.log"), "44444\n");
    EXPECT_EQ(files.read("a.log.1"), "33333\n");
    EXPECT_EQ(files.read("a.log.2"), "22222\n");
    EXPECT_FALSE(files.has("a.log.3"));
    EXPECT_EQ(written, 24U);
    EXPECT_EQ(lost_bytes, 0U);
}

TEST_F(RotatedLogsTest, FillAFileWithTheWholeLinesOfOneWrite) {
    make({.size = 10, .files = 3});
    add_and_write("1\n2\n3\n4\n5\n6\n7\n");
    EXPECT_EQ(files.read("a.log.1"), "1\n2\n3\n4\n5\n");
    EXPECT_EQ(files.read("a.log"), "6\n7\n");
}

TEST_F(RotatedLogsTest, EndALineInTheFileThatItBeganIn) {
    make({.size = 10, .files = 2});
    add_and_write("1234");
    add_and_write("567890123\nnext\n");
    EXPECT_EQ(files.read("a.log.1"), "1234567890123\n");
    EXPECT_EQ(files.read("a.log"), "next\n");
}

TEST_F(RotatedLogsTest, CutALineThatIsFarTooLong) {
    make({.size = 10, .files = 2});
    const std::string line(40'000, 'x');
    add_and_write(line + "\n");
    constexpr size_t kMost = 10 + 16 * 1024;
    EXPECT_EQ(files.read("a.log.1").size(), kMost);
    EXPECT_EQ(files.read("a.log").size(), line.size() + 1 - 2 * kMost);
    EXPECT_EQ(written, line.size() + 1);
}

TEST_F(RotatedLogsTest, OneFileBeginsAnew) {
    make({.size = 10, .files = 1});
    add_and_write("11111\n");
    add_and_write("22222\n");
    EXPECT_EQ(files.read("a.log"), "22222\n");
    EXPECT_FALSE(files.has("a.log.1"));
}

TEST_F(RotatedLogsTest, GoOnWhereTheyEndedBefore) {
    files.write("a.log", "before\n");
    make({.size = 10, .files = 2});
    add_and_write("after\n");
    EXPECT_EQ(files.read("a.log.1"), "before\n");
    EXPECT_EQ(files.read("a.log"), "after\n");
}

TEST_F(RotatedLogsTest, AShortWriteIsGoneOnWith) {
    make({.size = 1000, .files = 1});
    add("one\ntwo\n");
    write(3);
    EXPECT_EQ(written, 3U);
    write();
    EXPECT_EQ(files.read("a.log"), "one\ntwo\n");
    EXPECT_EQ(written, 8U);
}

TEST_F(RotatedLogsTest, AnInterruptedWriteIsMadeAgain) {
    make({.size = 1000, .files = 1});
    add("one\n");
    complete(-EINTR);
    complete(-EAGAIN);
    write();
    EXPECT_EQ(files.read("a.log"), "one\n");
    EXPECT_EQ(troubles, Words{});
}

TEST_F(RotatedLogsTest, WhatAFullDiskTakesIsCountedAndToldWhere) {
    make({.size = 1000, .files = 1});
    add_and_write("kept\n");
    add("one\ntwo\n");
    complete(-ENOSPC);
    EXPECT_EQ(written, 13U);
    EXPECT_EQ(lost_bytes, 8U);
    EXPECT_EQ(lost_lines, 2U);
    add("three\n");
    complete(-ENOSPC);
    EXPECT_EQ(lost_bytes, 14U);
    add_and_write("four\n");
    EXPECT_EQ(files.read("a.log"), "kept\n[sigil: 14 bytes lost]\nfour\n");
    EXPECT_EQ(troubles, Words{"write: No space left on device"}) << "once in a run";
    add_and_write("five\n");
    EXPECT_TRUE(files.read("a.log").ends_with("four\nfive\n")) << "told once";
}

TEST_F(RotatedLogsTest, ALineWhoseBeginIsLostIsLostToItsEnd) {
    make({.size = 1000, .files = 1});
    add("par");
    complete(-EIO);
    add_and_write("tial\nnext\n");
    EXPECT_EQ(files.read("a.log"), "[sigil: 8 bytes lost]\nnext\n");
    EXPECT_EQ(lost_bytes, 8U);
    EXPECT_EQ(lost_lines, 1U);
    EXPECT_EQ(written, 13U);
}

TEST_F(RotatedLogsTest, AWriteOfNothingIsAFailure) {
    make({.size = 1000, .files = 1});
    add("one\n");
    complete(0);
    EXPECT_EQ(lost_bytes, 4U);
    EXPECT_EQ(troubles.size(), 1U);
}

TEST_F(RotatedLogsTest, ARotationThatFailsGoesOnWithTheFileThatThereIs) {
    make({.size = 10, .files = 2});
    files.write("a.log.1/in/the/way", "");
    add_and_write("11111\n");
    add_and_write("22222\n");
    add_and_write("33333\n");
    EXPECT_EQ(files.read("a.log"), "11111\n22222\n33333\n");
    EXPECT_EQ(troubles, Words{"rotate: rename a.log: Is a directory"});
    EXPECT_EQ(lost_bytes, 0U);
}

TEST_F(RotatedLogsTest, WhatIsClosedIsNotWrittenTo) {
    make({.size = 1000, .files = 1});
    add_and_write("one\n");
    logs->close(kOwner);
    turn();
    EXPECT_EQ(ring.in_flight(), 0U);
    EXPECT_EQ(files.read("a.log"), "one\n");
}

TEST_F(RotatedLogsTest, WhatIsNoFileIsAnError) {
    ASSERT_EQ(::mkfifo(files.at("a.log").c_str(), 0600), 0);
    const Fd reader(::open(files.at("a.log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    reactor.use(ring);
    const Fd directory = files.open();
    RotatedLogs made(reactor, *this, directory.get(), {.size = 10, .files = 1});
    EXPECT_EQ(testing::message_of(made.open(kOwner, "a")), "a.log: it is no regular file");
    files.make_directory("b.log");
    EXPECT_EQ(testing::message_of(made.open(kOwner, "b")), "open b.log: Is a directory");
}

}  // namespace
}  // namespace sigil::loop
