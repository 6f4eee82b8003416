// Output, driven by hand: any interleaving of reads, writes and ends, with no kernel but for the
// pipes themselves.
#include "loop/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "loop/fake_ring.h"
#include "loop/reactor.h"

namespace sigil::loop {
namespace {

using Log = std::vector<std::string>;

// Any two that are not of one file.
constexpr std::array kStdio = {1001, 1002};

class Record final : public OutputObserver {
  public:
    void line(const std::string& name, Stream stream, std::string_view text) override {
        log.push_back(fmt::format("{} {} {}", name, loop::name(stream), text));
        if (poster)
            poster->post(Stream::out, fmt::format("{{{}}}", text));
    }
    void dropped(const std::string& name, uint64_t bytes, uint64_t lines) override {
        log.push_back(fmt::format("{} dropped {} bytes {} lines", name, bytes, lines));
    }
    void drained(Token, const std::string& name) override { log.push_back(name + " drained"); }
    void warning(const Error& error) override { log.push_back("warning " + error.message()); }

    Log log;
    loop::Output* poster = nullptr;
};

class OutputTest : public ::testing::Test {
  protected:
    OutputTest() {
        reactor.use(ring);
        make({});
    }
    void TearDown() override { EXPECT_EQ(ring.buffers(), 0U); }

    void make(OutputOptions options) {
        options.fds = kStdio;
        output.emplace(reactor, options, record);
    }
    OutputStreams open(std::string name) {
        auto streams = output->open(std::move(name));
        EXPECT_TRUE(streams);
        return std::move(*streams);
    }
    void turn() { ASSERT_TRUE(reactor.turn()); }

    static Token read_of(const OutputStreams& streams, Stream stream = Stream::out) {
        return streams.id.with(stream == Stream::out ? Operation::read_out : Operation::read_err);
    }
    static Token write_to(Stream stream = Stream::out) {
        return {Source::output, Operation::write, 0, static_cast<uint32_t>(stream)};
    }
    void bytes(const OutputStreams& from, std::string text, Stream stream = Stream::out) {
        ring.complete_read(read_of(from, stream), std::move(text));
        turn();
    }
    void result(Token token, int32_t result) {
        ring.complete(token, result);
        turn();
    }
    // What a write is in flight of.
    std::string writing(Stream stream = Stream::out) {
        const auto* asked = ring.find(write_to(stream));
        return asked ? std::string(asked->bytes.begin(), asked->bytes.end()) : std::string();
    }
    // Takes so many bytes of the write in flight.
    std::string accept(size_t count, Stream stream = Stream::out) {
        std::string text = writing(stream).substr(0, count);
        result(write_to(stream), static_cast<int32_t>(text.size()));
        return text;
    }
    // Takes everything.
    std::string accept_all(Stream stream = Stream::out) {
        std::string text;
        while (ring.has(write_to(stream)))
            text += accept(SIZE_MAX, stream);
        return text;
    }
    // The end of a container whose pipes nobody else has.
    void end(OutputStreams& streams) {
        streams.fds = {};
        output->ended(streams.id);
        for (Stream stream : {Stream::out, Stream::err})
            if (ring.has(read_of(streams, stream)))
                ring.complete(read_of(streams, stream), 0);
        turn();
    }

    FakeRing ring;
    loop::Reactor reactor;
    Record record;
    std::optional<loop::Output> output;
};

using Output = OutputTest;

std::string repeated(size_t count, char letter = 'x') {
    return std::string(count, letter);
}

// ---- lines --------------------------------------------------------------------------------------

TEST_F(Output, ReadsBothPipesFromTheFirst) {
    const OutputStreams web = open("web");
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

TEST_F(Output, ChargesWhatAnEventPostsToItsContainer) {
    make({.sink = Sink::events, .container_limit = 10});
    record.poster = &*output;
    OutputStreams web = open("web");
    bytes(web, "0123456789\n");
    EXPECT_FALSE(ring.has(read_of(web)));  // 13 bytes are queued
    EXPECT_EQ(accept_all(), "{0123456789}\n");
    EXPECT_TRUE(ring.has(read_of(web)));
    bytes(web, "a\n");
    end(web);
    EXPECT_EQ(record.log.back(), "web stdout a");
    accept_all();
    EXPECT_EQ(record.log.back(), "web drained");
}

TEST_F(Output, DiscardsWithoutAPipe) {
    make({.sink = Sink::discard});
    const OutputStreams web = open("web");
    struct stat facts;
    ASSERT_EQ(::fstat(web.fds[0].get(), &facts), 0);
    EXPECT_TRUE(S_ISCHR(facts.st_mode));
    EXPECT_EQ(ring.in_flight(), 0U);
    output->ended(web.id);
    EXPECT_EQ(record.log, Log{"web drained"});
    EXPECT_EQ(output->live(), 0U);
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

}  // namespace
}  // namespace sigil::loop
