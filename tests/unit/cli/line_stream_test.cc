// Lines of the user's files and pipes, and the events that are such: on a fake ring.
#include "cli/line_stream.h"

#include <errno.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cli/events.h"
#include "core/sys.h"
#include "loop/fake_ring.h"
#include "temp_dir.h"

namespace sigil::cli {
namespace {

constexpr loop::Token kWrite = {loop::Source::events, loop::Operation::write};

class LineStreamTest : public ::testing::Test {
  protected:
    LineStreamTest() { reactor.use(ring); }
    std::unique_ptr<LineStream> open(const std::string& target) {
        auto stream = LineStream::open(target, Existing::emptied, reactor, loop::Source::events);
        EXPECT_TRUE(stream);
        return std::move(*stream);
    }
    // A pipe, which nobody reads but the test.
    std::string pipe() {
        auto made = sys::pipe();
        EXPECT_TRUE(made);
        ends = std::move(*made);
        return fmt::format("fd:{}", ends.writer.get());
    }
    std::string writing() const {
        const auto* asked = ring.find(kWrite);
        return asked ? std::string(asked->bytes.begin(), asked->bytes.end()) : std::string();
    }
    void complete(int32_t result) {
        ring.complete(kWrite, result);
        ASSERT_TRUE(reactor.turn());
    }

    testing::TempDir files;
    loop::FakeRing ring;
    loop::Reactor reactor;
    sys::Pipe ends;
};

TEST_F(LineStreamTest, WritesARegularFileAtTheEndOfTheTurnWithoutTheRing) {
    auto stream = open(files.at("lines"));
    EXPECT_EQ(stream->add({}, "one\n"), 0U);
    EXPECT_EQ(stream->add({}, "two\n"), 0U);
    EXPECT_EQ(stream->pending(), 8U);
    stream->turn_ended();
    EXPECT_EQ(files.read("lines"), "one\ntwo\n");
    EXPECT_EQ(stream->pending(), 0U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(LineStreamTest, WritesThePartOfALongTurnBefore) {
    auto stream = open(files.at("lines"));
    const std::string line = std::string(1000, 'x') + "\n";
    for (int count = 0; count < 100; ++count)
        stream->add({}, line);
    EXPECT_LT(stream->pending(), 70'000U);
    EXPECT_GT(files.read("lines").size(), 30'000U);
}

TEST_F(LineStreamTest, WritesWhatATurnGatheredAtOnceThroughTheRing) {
    auto stream = open(pipe());
    EXPECT_EQ(stream->add({}, "one\n"), 4U);
    EXPECT_EQ(ring.in_flight(), 0U);
    stream->add({}, "two\n");
    stream->turn_ended();
    EXPECT_EQ(writing(), "one\ntwo\n");
    stream->add({}, "three\n");
    complete(8);
    EXPECT_EQ(writing(), "three\n");
    complete(6);
    EXPECT_EQ(stream->pending(), 0U);
    EXPECT_TRUE(stream->close());
}

TEST_F(LineStreamTest, TellsOwnersWhatIsWritten) {
    auto stream = open(pipe());
    std::vector<std::pair<uint32_t, size_t>> told;
    stream->on_written = [&](loop::Token owner, size_t bytes) {
        told.emplace_back(owner.slot, bytes);
    };
    stream->add({loop::Source::output, {}, 0, 7}, "one\n");
    stream->add({loop::Source::output, {}, 0, 8}, "three\n");
    stream->turn_ended();
    complete(6);
    complete(4);
    EXPECT_EQ(told, (std::vector<std::pair<uint32_t, size_t>>{{7, 4}, {8, 2}, {8, 4}}));
}

TEST_F(LineStreamTest, EndsWithTheFirstError) {
    std::vector<std::unique_ptr<LineStream>> streams;  // they outlive every turn of the reactor
    for (int code : {EPIPE, ENOSPC}) {
        auto& stream = streams.emplace_back(open(pipe()));
        stream->add({}, "one\n");
        stream->turn_ended();
        stream->add({}, "two\n");
        complete(-code);
        EXPECT_FALSE(stream->is_open());
        EXPECT_EQ(stream->pending(), 0U);
        EXPECT_EQ(stream->add({}, "three\n"), 0U);
        stream->turn_ended();
        EXPECT_EQ(ring.in_flight(), 0U);
        auto closed = stream->close();
        ASSERT_FALSE(closed);
        EXPECT_TRUE(closed.error().is(code));
    }
}

TEST_F(LineStreamTest, GivesUpWhatIsNotRead) {
    auto stream = open(pipe());
    stream->add({}, "one\n");
    stream->turn_ended();
    stream->add({}, "two\n");
    EXPECT_EQ(stream->give_up(), 8U);
    EXPECT_EQ(stream->pending(), 0U);
    EXPECT_TRUE(stream->close()) << "that is no error";
    complete(4);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(LineStreamTest, AnEventIsNotMadeForAStreamThatHasEnded) {
    auto events = EventStream::open(pipe(), reactor);
    ASSERT_TRUE(events);
    (*events)->tell("created", "web");
    (*events)->lines()->turn_ended();
    EXPECT_TRUE(writing().starts_with("{\"seq\":1,")) << writing();
    complete(-EPIPE);
    // Whoever looked at all of this would not survive it.
    const std::string_view text("x", size_t{1} << 40);
    EXPECT_EQ((*events)->output({}, "web", "stdout", text), 0U);
    EXPECT_EQ((*events)->lines()->pending(), 0U);
}

}  // namespace
}  // namespace sigil::cli
