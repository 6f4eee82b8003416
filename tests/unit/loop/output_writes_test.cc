// Lines on their way to who reads them: gathered, limited, lost, given up.
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "loop/output_fixture.h"

namespace sigil::loop {
namespace {

using Log = std::vector<std::string>;
using Output = OutputTest;

// ---- writes -------------------------------------------------------------------------------------

TEST_F(Output, GathersWhatComesDuringAWrite) {
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    bytes(web, "two\n");
    bytes(web, "three\n");
    EXPECT_EQ(accept(SIZE_MAX), "web | one\n");
    EXPECT_EQ(accept(SIZE_MAX), "web | two\nweb | three\n");
    EXPECT_EQ(ring.in_flight(), 2U);  // the reads
}

TEST_F(Output, WritesTheRestOfAShortWrite) {
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    bytes(web, "two\n");
    EXPECT_EQ(accept(3), "web");
    EXPECT_EQ(writing(), " | one\n");
    EXPECT_EQ(accept_all(), " | one\nweb | two\n");
}

TEST_F(Output, WritesAgainWhatWasInterrupted) {
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    result(write_to(), -EINTR);
    EXPECT_EQ(accept_all(), "web | one\n");
}

TEST_F(Output, WaitsForADestinationThatMayNotBlock) {
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    result(write_to(), -EAGAIN);
    EXPECT_FALSE(ring.has(write_to()));
    result(write_to().with(Operation::writable), POLLOUT);
    EXPECT_EQ(accept_all(), "web | one\n");
}

TEST_F(Output, WritesLargeQueuesInSteps) {
    make({.container_limit = 1 << 20});
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    for (int count = 0; count < 30; ++count)
        bytes(web, repeated(4095) + "\n");
    accept(SIZE_MAX);
    EXPECT_EQ(writing().size(), 65536U);
    EXPECT_EQ(accept_all().size(), 30 * (4096 + 6U));
}

TEST_F(Output, DropsEverythingOnceNobodyReads) {
    make({.container_limit = 10});
    OutputStreams web = open("web");
    bytes(web, "one long line\n");
    EXPECT_FALSE(ring.has(read_of(web)));
    result(write_to(), -EPIPE);
    EXPECT_EQ(record.log, Log{"warning write: Broken pipe"});
    EXPECT_EQ(output->pending(), 0U);
    ASSERT_TRUE(ring.has(read_of(web)));  // it isn't blocked for ever
    bytes(web, "more\nand");
    EXPECT_FALSE(ring.has(write_to()));
    bytes(web, "error\n", Stream::err);  // that one is still read
    EXPECT_EQ(accept_all(Stream::err), "web | error\n");
    end(web);
    EXPECT_EQ(record.log, (Log{"warning write: Broken pipe", "web drained"}));
}

TEST_F(Output, DrainsWhatHadEndedWhenNobodyReads) {
    OutputStreams web = open("web");
    bytes(web, "one\n");
    bytes(web, "two\n");
    end(web);
    result(write_to(), -EPIPE);
    EXPECT_EQ(record.log, (Log{"warning write: Broken pipe", "web drained"}));
}

TEST_F(Output, CountsWhatAFullDiskLosesAndWritesAgain) {
    OutputStreams web = open("web");
    bytes(web, "one\n");
    result(write_to(), -ENOSPC);
    EXPECT_EQ(record.log, Log{"warning write: No space left on device"});
    bytes(web, "two\n");
    EXPECT_EQ(accept_all(), "web | [sigil: 10 bytes dropped]\nweb | two\n");
    end(web);
    EXPECT_EQ(record.log, (Log{"warning write: No space left on device",
                               "web dropped 10 bytes 1 lines", "web drained"}));
}

TEST_F(Output, BeginsANewLineAfterOneThatAFullDiskCut) {
    OutputStreams web = open("web");
    bytes(web, "one\n");
    accept(7);
    result(write_to(), -ENOSPC);
    bytes(web, "two\n");
    EXPECT_EQ(accept_all(), "\nweb | [sigil: 3 bytes dropped]\nweb | two\n");
    end(web);
    EXPECT_EQ(record.log.back(), "web drained");
    EXPECT_EQ(output->pending(), 0U);
}

TEST_F(Output, TellsOfAFullDiskOnceAndDrainsNevertheless) {
    OutputStreams web = open("web");
    bytes(web, "one\n");
    bytes(web, "two\n");
    result(write_to(), -ENOSPC);
    end(web);
    while (ring.has(write_to()))
        result(write_to(), -ENOSPC);
    while (ring.has(write_to(Stream::err)))
        result(write_to(Stream::err), -ENOSPC);
    ASSERT_GE(record.log.size(), 2U);
    EXPECT_EQ(std::ranges::count(record.log, "warning write: No space left on device"),
              2);  // one of each destination
    EXPECT_EQ(record.log.back(), "web drained");
    EXPECT_EQ(ring.in_flight(), 0U);
}

// ---- slow destinations --------------------------------------------------------------------------

TEST_F(Output, BlocksAContainerBeyondItsLimit) {
    make({.container_limit = 100});
    const OutputStreams web = open("web");
    const OutputStreams other = open("other");
    bytes(web, repeated(80) + "\n");
    EXPECT_TRUE(ring.has(read_of(web)));
    bytes(web, repeated(80) + "\n");
    EXPECT_FALSE(ring.has(read_of(web)));
    EXPECT_TRUE(ring.has(read_of(other)));  // nobody else
    bytes(other, "hello\n");
    EXPECT_TRUE(ring.has(read_of(other)));
    accept(60);
    EXPECT_FALSE(ring.has(read_of(web)));
    accept_all();
    EXPECT_TRUE(ring.has(read_of(web)));
    EXPECT_EQ(output->pending(), 0U);
}

TEST_F(Output, BlocksEachContainerBeyondTheLimitOfAll) {
    make({.total_limit = 100});
    const OutputStreams web = open("web");
    const OutputStreams other = open("other");
    bytes(web, repeated(120) + "\n");
    EXPECT_FALSE(ring.has(read_of(web)));
    bytes(other, "hello\n");
    EXPECT_FALSE(ring.has(read_of(other)));
    accept_all();
    EXPECT_TRUE(ring.has(read_of(web)));
    EXPECT_TRUE(ring.has(read_of(other)));
}

// What is in the pipe stays there until there is room, and is all that comes.
TEST_F(Output, ReadsOutABlockedContainerThatHasEnded) {
    make({.container_limit = 10});
    OutputStreams web = open("web");
    ASSERT_EQ(::write(web.fds[0].get(), "last\n", 5), 5);
    bytes(web, "one long line\n");
    ASSERT_FALSE(ring.has(read_of(web)));
    output->ended(web.id);
    ring.work_off_cancels();  // of stderr
    turn();
    EXPECT_EQ(accept_all(), "web | one long line\n");
    EXPECT_TRUE(record.log.empty());
    bytes(web, "last\n");
    EXPECT_EQ(accept_all(), "web | last\n");
    EXPECT_EQ(record.log, Log{"web drained"});
}

TEST_F(Output, ForgetsABlockedReadOfAPipeThatIsClosed) {
    make({.container_limit = 10});
    OutputStreams web = open("web");
    bytes(web, "one long line\n");
    ASSERT_FALSE(ring.has(read_of(web)));
    end(web);  // nothing is left in it
    EXPECT_EQ(accept_all(), "web | one long line\n");
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Output, DropsLinesBeyondTheLimitAndTellsWhere) {
    make({.policy = Policy::drop, .container_limit = 100});
    OutputStreams web = open("web");
    for (int count = 0; count < 3; ++count)
        bytes(web, repeated(80, static_cast<char>('a' + count)) + "\n");
    bytes(web, repeated(12345 - 82, 'd') + "\n");
    EXPECT_TRUE(ring.has(read_of(web)));  // it is never blocked
    EXPECT_EQ(accept_all(), "web | " + repeated(80, 'a') + "\nweb | " + repeated(80, 'b') + "\n");
    bytes(web, "e\n");
    EXPECT_EQ(accept_all(), "web | [sigil: 12,345 bytes dropped]\nweb | e\n");
    end(web);
    EXPECT_EQ(record.log, (Log{"web dropped 12345 bytes 2 lines", "web drained"}));
}

TEST_F(Output, TellsAtTheEndWhatWasDroppedLast) {
    make({.policy = Policy::drop, .container_limit = 10});
    OutputStreams web = open("web");
    bytes(web, "one long line\ntwo\nthree");
    end(web);
    EXPECT_EQ(accept_all(), "web | one long line\n");
    EXPECT_EQ(accept_all(Stream::err), "web | [sigil: 10 bytes dropped]\n");
    EXPECT_EQ(record.log, (Log{"web dropped 10 bytes 2 lines", "web drained"}));
}

TEST_F(Output, DropsOfOneContainerOnly) {
    make({.policy = Policy::drop, .container_limit = 20});
    const OutputStreams web = open("web");
    const OutputStreams other = open("other");
    bytes(web, "a long line, and\na second\n");
    bytes(other, "hello\n");
    EXPECT_EQ(accept_all(), "web   | a long line, and\nother | hello\n");
}

// ---- giving up ----------------------------------------------------------------------------------

TEST_F(Output, GivesUpWithAWriteInFlight) {
    OutputStreams web = open("web");
    bytes(web, "one\n");
    bytes(web, "two\n");
    end(web);
    EXPECT_EQ(accept(4), "web ");
    EXPECT_EQ(output->give_up(), 16U);
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(output->pending(), 0U);
    EXPECT_EQ(writing(), "| one\n") << "the kernel may still read it";
    result(write_to(), 6);
    EXPECT_EQ(ring.in_flight(), 0U);
}

TEST_F(Output, GivesUpWhatABlockedContainerLeftInItsPipe) {
    make({.container_limit = 10});
    OutputStreams web = open("web");
    bytes(web, "one long line\nand");
    ASSERT_EQ(::write(web.fds[0].get(), "rest\n", 5), 5);
    web.fds = {};
    output->ended(web.id);
    ring.complete(read_of(web, Stream::err), 0);
    turn();
    EXPECT_EQ(output->live(), 1U) << "it waits for the reader";
    EXPECT_EQ(output->give_up(), writing().size() + 3 + 5);
    bytes(web, "rest\n");
    EXPECT_EQ(record.log, Log{"web drained"});
    output->post(Stream::out, "nobody gets this");
    EXPECT_EQ(output->pending(), 0U);
}

TEST_F(Output, GivesUpWhatTheObserverHas) {
    make({.sink = Sink::events, .container_limit = 9});
    record.queues = true;
    OutputStreams web = open("web");
    bytes(web, "0123456789\n");
    end(web);
    EXPECT_EQ(output->give_up(), 10U);
    output->written(web.id, 10);  // so does the observer
    EXPECT_EQ(output->live(), 0U);
}

// ---- room ---------------------------------------------------------------------------------------

TEST_F(Output, HasRoomWithinTheLimitOfAll) {
    make({.total_limit = 20});
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    EXPECT_TRUE(output->has_room(1));
    bytes(web, "two two two\n");
    EXPECT_FALSE(output->has_room(1));
    accept(15);
    EXPECT_TRUE(output->has_room(1));
    EXPECT_FALSE(output->has_room(2));
    accept_all();
    EXPECT_TRUE(output->has_room(2));
}

TEST_F(Output, HasAlwaysRoomWhereItDrops) {
    make({.policy = Policy::drop, .total_limit = 5});
    const OutputStreams web = open("web");
    bytes(web, "one\n");
    EXPECT_TRUE(output->has_room(2));
    output->post(Stream::out, "beyond");
    EXPECT_EQ(accept_all(), "web | one\n");
    output->post(Stream::out, "within");
    EXPECT_EQ(accept_all(), "within\n");
}

}  // namespace
}  // namespace sigil::loop
