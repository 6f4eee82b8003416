// Output on each of the kernel's rings, with writers of their own threads.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "loop/backends.h"
#include "loop/output.h"
#include "loop/reactor.h"

namespace sigil::loop {
namespace {

constexpr int kContainers = 100;  // with two pipes each
constexpr int kLines = 200;
constexpr size_t kThreads = 8;

// Counts the ends, and stops the reactor after the last.
class Ends final : public OutputObserver {
  public:
    Ends(loop::Reactor& reactor, int expected) : reactor_(reactor), left_(expected) {}
    size_t line(Token, const std::string&, Stream, std::string_view) override { return 0; }
    void read_out(Token) override {}
    void dropped(Token, const std::string&, uint64_t bytes, uint64_t) override { lost += bytes; }
    void drained(Token, const std::string&) override {
        if (--left_ == 0)
            reactor_.stop();
    }
    void warning(const Error& error) override { ADD_FAILURE() << error.message(); }
    uint64_t lost = 0;

  private:
    loop::Reactor& reactor_;
    int left_;
};

// Of a length that no buffer is a multiple of.
std::string line_of(int container, Stream stream, int number) {
    return fmt::format("{}.{}.{}.{}", container, loop::name(stream), number,
                       std::string(static_cast<size_t>(number * 7 % 300), 'x'));
}

class OutputOnRing : public OnEachRing {
  protected:
    void SetUp() override {
        open(256);
        if (!ring)
            return;
        reactor.use(*ring);
        auto pipe = sys::pipe();
        ASSERT_TRUE(pipe);
        sink = std::move(*pipe);
    }
    // What goes to the sink is taken by a thread.
    void collect(std::chrono::milliseconds pause = {}) {
        collector = std::thread([this, pause] {
            char buffer[65536];
            ssize_t count;
            while ((count = ::read(sink.reader.get(), buffer, sizeof buffer)) > 0) {
                collected.append(buffer, static_cast<size_t>(count));
                std::this_thread::sleep_for(pause);
            }
        });
    }
    std::string collect_all() {
        sink.writer.reset();
        collector.join();
        return std::move(collected);
    }

    // Runs `body` in a thread, and then `after` in a turn of the reactor.
    template <typename Body>
    void run_beside(Body body, std::function<void()> after) {
        auto pipe = sys::pipe();
        ASSERT_TRUE(pipe);
        over = std::move(*pipe);
        told.then = std::move(after);
        reactor.attach(Source::launcher, told);
        ring->poll({Source::launcher, Operation::readable}, over.reader.get(), POLLIN);
        beside = std::thread([this, body = std::move(body)] {
            body();
            over.writer.reset();
        });
    }

    struct Told final : Handler {
        void complete(const Completion&) override { then(); }
        std::function<void()> then;
    };

    loop::Reactor reactor;
    sys::Pipe sink;
    sys::Pipe over;
    Told told;
    std::thread beside;
    std::thread collector;
    std::string collected;
};

INSTANTIATE_TEST_SUITE_P(On, OutputOnRing, backends(), name_of);

// Writes in pieces, and each line with its end apart, so that reads split them.
void write_in_pieces(int fd, std::string_view text) {
    while (!text.empty()) {
        const size_t count = std::min<size_t>(text.size(), 97);
        ASSERT_TRUE(sys::write_all(fd, text.substr(0, count)));
        text.remove_prefix(count);
    }
}

void write_lines(std::vector<OutputStreams>& containers, size_t thread) {
    for (int number = 0; number < kLines; ++number)
        for (size_t index = thread; index < containers.size(); index += kThreads)
            for (Stream stream : {Stream::out, Stream::err})
                write_in_pieces(containers[index].fds[static_cast<size_t>(stream)].get(),
                                line_of(static_cast<int>(index), stream, number) + "\n");
    for (size_t index = thread; index < containers.size(); index += kThreads)
        containers[index].fds = {};
}

// Every line of `text`, whole, of its own container, in the order of its pipe; how many.
size_t expect_whole_lines(std::string_view text) {
    std::map<std::pair<int, int>, int> next;
    size_t lines = 0;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        if (end == std::string_view::npos) {
            ADD_FAILURE() << "no end: " << text;
            break;
        }
        const std::string line(text.substr(0, end));
        text.remove_prefix(end + 1);
        int name = -1;
        int container = -1;
        char stream[7] = {};
        EXPECT_EQ(::sscanf(line.c_str(), "%d | %d.%6[a-z].", &name, &container, stream), 3) << line;
        EXPECT_EQ(name, container);
        const Stream which = stream == std::string("stdout") ? Stream::out : Stream::err;
        const int number = next[{container, static_cast<int>(which)}]++;
        EXPECT_TRUE(line.ends_with("| " + line_of(container, which, number))) << line;
        ++lines;
    }
    return lines;
}

TEST_P(OutputOnRing, LosesNoByteOfTwoHundredPipesAndMixesNoLines) {
    Ends ends(reactor, kContainers);
    OutputOptions options;
    options.fds = {sink.writer.get(), sink.writer.get()};
    Output output(reactor, options, ends);
    std::vector<OutputStreams> containers;
    for (int index = 0; index < kContainers; ++index) {
        auto streams = output.open(std::to_string(index));
        ASSERT_TRUE(streams);
        output.begin(streams->id);
        containers.push_back(std::move(*streams));
    }
    collect();
    std::vector<std::thread> writers;
    for (size_t thread = 0; thread < kThreads; ++thread)
        writers.emplace_back([&containers, thread] { write_lines(containers, thread); });

    run_beside(
        [&writers] {
            for (std::thread& writer : writers)
                writer.join();
        },
        [&] {
            for (const OutputStreams& streams : containers)
                output.ended(streams.id);
        });
    EXPECT_TRUE(reactor.run());
    beside.join();
    EXPECT_EQ(expect_whole_lines(collect_all()), size_t{kContainers} * kStreams * kLines);
    EXPECT_EQ(ends.lost, 0U);
    EXPECT_EQ(output.live(), 0U);
    EXPECT_EQ(output.pending(), 0U);
}

TEST_P(OutputOnRing, EndsThoughSomebodyElseKeepsWriting) {
    Ends ends(reactor, 1);
    OutputOptions options;
    options.fds = {sink.writer.get(), sink.writer.get()};
    Output output(reactor, options, ends);
    auto streams = output.open("0");
    ASSERT_TRUE(streams);
    output.begin(streams->id);
    collect();
    ::signal(SIGPIPE, SIG_IGN);
    std::thread writer([&] {
        while (sys::write_all(streams->fds[0].get(), "again and again\n")) {
        }
    });
    for (int count = 0; count < 100; ++count)
        ASSERT_TRUE(reactor.turn());
    output.ended(streams->id);
    EXPECT_TRUE(reactor.run());
    writer.join();  // its pipe is closed
    ::signal(SIGPIPE, SIG_DFL);
    EXPECT_TRUE(collect_all().starts_with("0 | again and again\n"));
}

TEST_P(OutputOnRing, KeepsWithinItsLimitsWhereTheSinkIsSlow) {
    Ends ends(reactor, 1);
    OutputOptions options;
    options.fds = {sink.writer.get(), sink.writer.get()};
    Output output(reactor, options, ends);
    auto streams = output.open("0");
    ASSERT_TRUE(streams);
    output.begin(streams->id);
    collect(std::chrono::milliseconds(2));
    const std::string text(1 << 20, 'x');
    run_beside(
        [&] {
            EXPECT_TRUE(sys::write_all(streams->fds[0].get(), text));
            streams->fds = {};
        },
        [&] { output.ended(streams->id); });
    size_t most = 0;
    while (output.live() > 0) {
        ASSERT_TRUE(reactor.turn());
        most = std::max(most, output.pending());
    }
    beside.join();
    EXPECT_LE(most, options.container_limit + 2 * 16384 + 4096);
    const std::string all = collect_all();
    EXPECT_EQ(std::ranges::count(all, 'x'), 1 << 20);
}

// /dev/full is a full disk.
TEST_P(OutputOnRing, EndsOnAFullDisk) {
    struct Troubled final : OutputObserver {
        size_t line(Token, const std::string&, Stream, std::string_view) override { return 0; }
        void read_out(Token) override {}
        void dropped(Token, const std::string&, uint64_t, uint64_t lines) override { lost = lines; }
        void drained(Token, const std::string&) override { is_drained = true; }
        void warning(const Error& error) override { code = error.code(); }
        uint64_t lost = 0;
        int code = 0;
        bool is_drained = false;
    } troubled;
    auto full = sys::open(AT_FDCWD, "/dev/full", O_WRONLY);
    ASSERT_TRUE(full);
    OutputOptions options;
    options.fds = {full->get(), full->get()};
    Output output(reactor, options, troubled);
    auto streams = output.open("0");
    ASSERT_TRUE(streams);
    output.begin(streams->id);
    ASSERT_TRUE(sys::write_all(streams->fds[0].get(), "one\ntwo\nthree"));
    streams->fds = {};
    output.ended(streams->id);
    while (output.live() > 0)
        ASSERT_TRUE(reactor.turn());
    EXPECT_TRUE(troubled.is_drained);
    EXPECT_EQ(troubled.code, ENOSPC);
    EXPECT_GE(troubled.lost, 3U);
}

}  // namespace
}  // namespace sigil::loop
