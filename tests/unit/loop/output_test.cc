// What containers write: taken apart into lines, until their ends.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "loop/output_fixture.h"

namespace sigil::loop {
namespace {

using Log = std::vector<std::string>;
using Output = OutputTest;

// ---- lines --------------------------------------------------------------------------------------

TEST_F(Output, ReadsBothPipesFromTheBeginningOn) {
    const auto streams = output->open("web");
    ASSERT_TRUE(streams);
    EXPECT_EQ(ring.in_flight(), 0U) << "what is told of the start comes first";
    const OutputStreams& web = *streams;
    output->begin(web.id);
    EXPECT_TRUE(ring.has(read_of(web, Stream::out)));
    EXPECT_TRUE(ring.has(read_of(web, Stream::err)));
    EXPECT_EQ(ring.in_flight(), 2U);
}

TEST_F(Output, GivesEndsThatBlockAndAreClosedOnExec) {
    const OutputStreams web = open("web");
    for (const Fd& fd : web.fds) {
        EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
        EXPECT_FALSE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK);
    }
    const int reader = ring.find(read_of(web))->fd;
    EXPECT_EQ(::fcntl(reader, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(::fcntl(reader, F_GETFL) & O_NONBLOCK);
}

TEST_F(Output, PutsTheNameBeforeEachLine) {
    const OutputStreams web = open("web-1");
    bytes(web, "one\ntwo\n\nfour\n");
    EXPECT_EQ(accept_all(), "web-1 | one\nweb-1 | two\nweb-1 | \nweb-1 | four\n");
    EXPECT_TRUE(ring.has(read_of(web)));
}

TEST_F(Output, KeepsStdoutAndStderrApart) {
    const OutputStreams web = open("web");
    bytes(web, "good\n", Stream::out);
    bytes(web, "bad\n", Stream::err);
    EXPECT_EQ(ring.find(write_to(Stream::out))->fd, kStdio[0]);
    EXPECT_EQ(ring.find(write_to(Stream::err))->fd, kStdio[1]);
    EXPECT_EQ(accept_all(Stream::out), "web | good\n");
    EXPECT_EQ(accept_all(Stream::err), "web | bad\n");
}

TEST_F(Output, HasOneWriterForWhatIsOneFile) {
    OutputOptions options;
    options.fds = {0, 0};
    output.emplace(reactor, options, record);
    const OutputStreams web = open("web");
    bytes(web, "good\n", Stream::out);
    bytes(web, "bad\n", Stream::err);
    EXPECT_FALSE(ring.has(write_to(Stream::err)));
    EXPECT_EQ(accept_all(), "web | good\nweb | bad\n");
}

TEST_F(Output, PadsToTheLongestNameSoFar) {
    const OutputStreams web = open("web");
    bytes(web, "1\n");
    const OutputStreams worker = open("worker");
    bytes(web, "2\n");
    bytes(worker, "3\n");
    EXPECT_EQ(accept_all(), "web | 1\nweb    | 2\nworker | 3\n");
}

TEST_F(Output, PadsToNoMoreThanTwentyFour) {
    const OutputStreams longest = open(repeated(40));
    const OutputStreams web = open("web");
    bytes(longest, "1\n");
    bytes(web, "2\n");
    EXPECT_EQ(accept_all(), repeated(40) + " | 1\nweb" + repeated(21, ' ') + " | 2\n");
}

TEST_F(Output, ColoursNamesWhereAsked) {
    make({.colour = {true, false}});
    const OutputStreams web = open("web");
    bytes(web, "1\n", Stream::out);
    bytes(web, "2\n", Stream::err);
    const std::string line = accept_all();
    EXPECT_EQ(line.substr(0, 2), "\x1b[");
    EXPECT_TRUE(line.ends_with("mweb |\x1b[0m 1\n")) << line;
    EXPECT_EQ(accept_all(Stream::err), "web | 2\n");
}

TEST_F(Output, KeepsControlCharacters) {
    const OutputStreams web = open("web");
    const std::string text("\x1b[1m\ta\rb\0c\x80", 11);
    bytes(web, text + "\n");
    EXPECT_EQ(accept_all(), "web | " + text + "\n");
}

TEST_F(Output, HoldsALineUntilItsEnd) {
    const OutputStreams web = open("web");
    bytes(web, "one ");
    bytes(web, "line");
    EXPECT_EQ(writing(), "");
    bytes(web, "\nand");
    EXPECT_EQ(accept_all(), "web | one line\n");
    bytes(web, " two\n");
    EXPECT_EQ(accept_all(), "web | and two\n");
}

TEST_F(Output, MixesNoLinesOfTwoContainers) {
    const OutputStreams one = open("one");
    const OutputStreams two = open("two");
    bytes(one, "a");
    bytes(two, "1");
    bytes(one, "b\nc");
    bytes(two, "2\n3\n4");
    bytes(one, "d\n");
    bytes(two, "\n");
    EXPECT_EQ(accept_all(), "one | ab\ntwo | 12\ntwo | 3\none | cd\ntwo | 4\n");
}

TEST_F(Output, MixesNoLinesOfItsTwoPipes) {
    const OutputStreams web = open("web");
    bytes(web, "a", Stream::out);
    bytes(web, "1\n", Stream::err);
    bytes(web, "b\n", Stream::out);
    EXPECT_EQ(accept_all(Stream::out), "web | ab\n");
    EXPECT_EQ(accept_all(Stream::err), "web | 1\n");
}

TEST_F(Output, CutsALineThatIsTooLong) {
    const OutputStreams web = open("web");
    for (int count = 0; count < 4; ++count)
        bytes(web, repeated(4096));
    EXPECT_EQ(writing(), "");  // 16 KiB are held
    bytes(web, "yz");
    EXPECT_EQ(accept_all(), "web | " + repeated(16384) + "\n");
    bytes(web, "\n");
    EXPECT_EQ(accept_all(), "web | yz\n");
}

TEST_F(Output, CutsNoCharacterOfUtf8) {
    const OutputStreams web = open("web");
    bytes(web, repeated(16382) + "\xe2\x82\xac");  // 16,385 bytes
    EXPECT_EQ(accept_all(), "web | " + repeated(16382) + "\n");
    bytes(web, "\n");
    EXPECT_EQ(accept_all(), "web | \xe2\x82\xac\n");
}

TEST_F(Output, EndsALineThatTheContainerDidNot) {
    OutputStreams web = open("web");
    bytes(web, "no end");
    end(web);
    EXPECT_EQ(accept_all(), "web | no end\n");
    EXPECT_EQ(record.log, Log{"web drained"});
}

TEST_F(Output, PostsALineBetweenThoseOfContainers) {
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    output->post(Stream::out, "sigil: hello");
    bytes(web, "two\n");
    EXPECT_EQ(accept_all(), "web | one\nsigil: hello\nweb | two\n");
}

// ---- other sinks --------------------------------------------------------------------------------

TEST_F(Output, TellsLinesAsEvents) {
    make({.sink = Sink::events});
    OutputStreams web = open("web");
    bytes(web, "one\ntwo\nthr", Stream::out);
    bytes(web, "bad\n", Stream::err);
    end(web);
    EXPECT_EQ(record.log, (Log{"web stdout one", "web stdout two", "web stderr bad",
                               "web stdout thr", "web drained"}));
    EXPECT_EQ(output->pending(), 0U);
}

TEST_F(Output, ChargesWhatTheObserverQueuesToTheContainer) {
    make({.sink = Sink::events, .container_limit = 9});
    record.queues = true;
    OutputStreams web = open("web");
    bytes(web, "0123456789\n");
    EXPECT_EQ(output->pending(), 10U);
    EXPECT_FALSE(ring.has(read_of(web)));
    output->written(web.id, 10);
    EXPECT_TRUE(ring.has(read_of(web)));
    bytes(web, "a\n");
    end(web);
    EXPECT_EQ(record.log.back(), "web stdout a");
    EXPECT_EQ(record.reads_out, 1);
    output->written(web.id, 1);
    EXPECT_EQ(record.log.back(), "web drained");
    EXPECT_EQ(output->pending(), 0U);
}

TEST_F(Output, SaysThatItIsReadOutAfterTheLastLine) {
    make({.sink = Sink::events, .container_limit = 9});
    record.queues = true;
    OutputStreams web = open("web");
    bytes(web, "0123456789\n");
    ASSERT_EQ(::write(web.fds[0].get(), "last\n", 5), 5);
    web.fds = {};
    output->ended(web.id);
    ring.complete(read_of(web, Stream::err), 0);
    turn();
    EXPECT_EQ(record.reads_out, 0) << "it is blocked, and has more";
    EXPECT_FALSE(output->is_read_out(web.id));
    output->written(web.id, 10);
    bytes(web, "last\n");
    EXPECT_EQ(record.reads_out, 1);
    EXPECT_EQ(record.log.back(), "web stdout last");
    EXPECT_TRUE(output->is_read_out(web.id));
    output->written(web.id, 4);
}

TEST_F(Output, IsReadOutAtOnceWhereAPipeIsHeldAndEmpty) {
    make({.sink = Sink::events});
    const OutputStreams web = open("web");  // with the ends of its pipes, as a grandchild
    output->ended(web.id);
    for (Stream stream : {Stream::out, Stream::err})
        ring.complete(read_of(web, stream), -ECANCELED);
    turn();
    EXPECT_EQ(record.reads_out, 1);
    EXPECT_EQ(record.log, Log{"web drained"});
}

// ---- the end ------------------------------------------------------------------------------------

TEST_F(Output, DrainsOnceEverythingIsWritten) {
    OutputStreams web = open("web");
    bytes(web, "one\ntwo\n");
    end(web);
    EXPECT_TRUE(record.log.empty());
    accept(8);
    EXPECT_TRUE(record.log.empty());
    accept_all();
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(output->live(), 0U);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Output, DrainsAtOnceWhatHasClosedItsPipes) {
    const OutputStreams web = open("web");
    result(read_of(web, Stream::out), 0);
    result(read_of(web, Stream::err), 0);
    EXPECT_TRUE(record.log.empty());  // it may live on
    output->ended(web.id);
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(output->live(), 0U);
}

TEST_F(Output, LeavesAPipeThatSomebodyElseHolds) {
    OutputStreams web = open("web");  // the write ends stay open
    const int reader = ring.find(read_of(web))->fd;
    output->ended(web.id);
    EXPECT_TRUE(ring.was_cancelled(read_of(web)));
    EXPECT_TRUE(record.log.empty());
    ring.work_off_cancels();
    turn();
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(ring.in_flight(), 0U);
    EXPECT_EQ(::fcntl(reader, F_GETFD), -1);
}

TEST_F(Output, ReadsOutWhatAHeldPipeHasAndNoMore) {
    OutputStreams web = open("web");
    ASSERT_EQ(::write(web.fds[0].get(), "last words\n", 11), 11);
    output->ended(web.id);
    ring.work_off_cancels();
    turn();
    ASSERT_TRUE(ring.has(read_of(web)));
    EXPECT_FALSE(ring.has(read_of(web, Stream::err)));
    bytes(web, "last w");
    ASSERT_TRUE(ring.has(read_of(web)));
    bytes(web, "ords\nof somebody else");
    EXPECT_FALSE(ring.has(read_of(web)));
    EXPECT_EQ(accept_all(), "web | last words\nweb | of somebody else\n");
    EXPECT_EQ(record.log, Log{"web drained"});
}

// The read had completed when it was cancelled: its bytes come before those in the pipe.
TEST_F(Output, TakesTheBytesOfAReadThatRacedWithTheEnd) {
    OutputStreams web = open("web");
    ASSERT_EQ(::write(web.fds[0].get(), "two\n", 4), 4);
    ring.complete_read(read_of(web), "one\n");
    output->ended(web.id);
    ring.work_off_cancels();
    turn();
    bytes(web, "two\n");
    EXPECT_EQ(accept_all(), "web | one\nweb | two\n");
    EXPECT_EQ(record.log, Log{"web drained"});
}

TEST_F(Output, MindsNoSecondEnd) {
    OutputStreams web = open("web");
    end(web);
    output->ended(web.id);
    EXPECT_EQ(record.log, Log{"web drained"});
}

TEST_F(Output, DropsLateCompletions) {
    OutputStreams web = open("web");
    end(web);
    const OutputStreams next = open("next");
    ASSERT_EQ(next.id.slot, web.id.slot);
    ring.inject(read_of(web), 5);
    ring.inject(read_of(web, Stream::err), -ECANCELED);
    ring.inject(write_to(), 7);
    ring.inject({Source::output, Operation::read_out, 0, 77}, 7);
    turn();
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(output->live(), 1U);
    EXPECT_EQ(ring.in_flight(), 2U);
}

TEST_F(Output, ReadsAgainWhatGotNoBuffer) {
    const OutputStreams web = open("web");
    for (int code : {ENOBUFS, EAGAIN, EINTR}) {
        result(read_of(web), -code);
        EXPECT_TRUE(ring.has(read_of(web)));
    }
    bytes(web, "hello\n");
    EXPECT_EQ(accept_all(), "web | hello\n");
}

TEST_F(Output, TakesAFailedReadForTheEnd) {
    const OutputStreams web = open("web");
    bytes(web, "part");
    result(read_of(web), -EIO);
    EXPECT_FALSE(ring.has(read_of(web)));
    EXPECT_EQ(accept_all(), "web | part\n");
}

TEST_F(Output, HoldsThousandsWithNothingInFlightOnceTheyEnd) {
    std::vector<OutputStreams> many;
    for (int count = 0; count < 200; ++count)
        many.push_back(open(std::to_string(count)));
    EXPECT_EQ(ring.in_flight(), 400U);
    for (OutputStreams& one : many)
        end(one);
    EXPECT_EQ(ring.in_flight(), 0U);
    EXPECT_EQ(record.log.size(), 200U);
}

}  // namespace
}  // namespace sigil::loop
