// Output, driven by hand: any interleaving of reads, writes and ends, with no kernel but for the
// pipes themselves.
#pragma once

#include <errno.h>

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "loop/fake_ring.h"
#include "loop/output.h"
#include "loop/reactor.h"

namespace sigil::loop {

// Any two that are not of one file.
inline constexpr std::array kStdio = {1001, 1002};

class OutputRecord final : public OutputObserver {
  public:
    size_t line(Token, const std::string& name, Stream stream, std::string_view text) override {
        log.push_back(fmt::format("{} {} {}", name, loop::name(stream), text));
        return queues ? text.size() : 0;
    }
    void read_out(Token) override { ++reads_out; }
    void dropped(Token, const std::string& name, uint64_t bytes, uint64_t lines) override {
        log.push_back(fmt::format("{} dropped {} bytes {} lines", name, bytes, lines));
    }
    void drained(Token, const std::string& name) override { log.push_back(name + " drained"); }
    void warning(const Error& error) override { log.push_back("warning " + error.message()); }

    std::vector<std::string> log;
    bool queues = false;  // as events that nobody has read yet
    int reads_out = 0;    // containers of which everything was told
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
        output->begin(streams->id);
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
    OutputRecord record;
    std::optional<loop::Output> output;
};

inline std::string repeated(size_t count, char letter = 'x') {
    return std::string(count, letter);
}

}  // namespace sigil::loop
