// What the kernel's rings have in common, on each of them.
#include "loop/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "loop/backends.h"
#include "loop/reactor.h"
#include "loop/read_buffers.h"

namespace sigil::loop {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kEntries = 8;
constexpr unsigned kManyEntries = 512;  // more than there are buffers

Token token(uint32_t slot, Operation operation = Operation::exit) {
    return {Source::container, operation, 0, slot};
}

struct Pipe {
    explicit Pipe(int flags = O_NONBLOCK) {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC | flags), 0);
        reader = Fd(ends[0]);
        writer = Fd(ends[1]);
    }
    void write(std::string_view text = "x") const {
        EXPECT_EQ(::write(writer.get(), text.data(), text.size()),
                  static_cast<ssize_t>(text.size()));
    }
    Fd reader;
    Fd writer;
};

class RingTest : public OnEachRing {
  protected:
    void SetUp() override { open(kEntries); }
    // Waits until `count` operations have completed; those of cancels belong to nobody.
    std::vector<Completion> await(size_t count) {
        std::vector<Completion> seen;
        while (seen.size() < count) {
            std::vector<Completion> batch;
            auto waited = ring->wait(batch);
            EXPECT_TRUE(waited) << waited.error().message();
            EXPECT_FALSE(batch.empty());
            if (!waited)
                break;
            std::erase_if(batch,
                          [](const Completion& completion) { return completion.token == Token{}; });
            seen.insert(seen.end(), batch.begin(), batch.end());
        }
        return seen;
    }
};

using Ring = RingTest;
INSTANTIATE_TEST_SUITE_P(On, Ring, backends(), name_of);

TEST_P(Ring, CompletesAPollOnceItsDescriptorIsReady) {
    const Pipe pipe;
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    pipe.write();
    const auto seen = await(1);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].token, token(1));
    EXPECT_TRUE(seen[0].result & POLLIN);
}

TEST_P(Ring, CompletesAPollOfWhatBecomesReadyWhileItWaits) {
    const Pipe pipe;
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));  // handed in, not ready
    pipe.write();
    EXPECT_EQ(await(1)[0].token, token(1));
}

TEST_P(Ring, PollsOnceOnly) {
    const Pipe pipe;
    pipe.write();
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    EXPECT_EQ(await(1)[0].token, token(1));
    pipe.write();
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
}

// A file's pages that nobody has written to, as a program's text is.
class TextFile {
  public:
    static constexpr size_t kPages = 32;
    static constexpr size_t kPage = 4096;

    TextFile() {
        const Fd file = std::move(*sys::memfd_create("text", 0));
        EXPECT_EQ(::ftruncate(file.get(), kPages * kPage), 0);
        EXPECT_EQ(::pwrite(file.get(), "x", 1, 0), 1);
        void* mapped = ::mmap(nullptr, kPages * kPage, PROT_READ, MAP_PRIVATE, file.get(), 0);
        EXPECT_NE(mapped, MAP_FAILED);
        pages_ = {static_cast<const char*>(mapped), kPages * kPage};
        touch();
    }
    ~TextFile() { ::munmap(const_cast<char*>(pages_.data()), pages_.size()); }

    [[nodiscard]] std::span<const char> pages() const { return pages_; }
    void touch() const {
        for (size_t page = 0; page < kPages; ++page)
            (void)*static_cast<const volatile char*>(pages_.data() + page * kPage);
    }
    // How many are in our page tables (/proc/PID/pagemap, bit 63).
    [[nodiscard]] size_t mapped() const {
        std::array<uint64_t, kPages> entries = {};
        const Fd pagemap = std::move(*sys::open(AT_FDCWD, "/proc/self/pagemap", O_RDONLY));
        const auto at = reinterpret_cast<uintptr_t>(pages_.data()) / kPage * sizeof(uint64_t);
        EXPECT_EQ(::pread(pagemap.get(), entries.data(), sizeof entries, static_cast<off_t>(at)),
                  static_cast<ssize_t>(sizeof entries));
        return static_cast<size_t>(
            std::ranges::count_if(entries, [](uint64_t entry) { return entry >> 63; }));
    }

  private:
    std::span<const char> pages_;
};

TEST_P(Ring, DropsPagesBeforeItSleeps) {
    const TextFile file;
    ASSERT_EQ(file.mapped(), TextFile::kPages);
    ring->drop(file.pages());
    const Pipe pipe;
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
    EXPECT_EQ(file.mapped(), 0U);
    EXPECT_EQ(file.pages()[0], 'x');  // as it was

    file.touch();  // dropped once only
    pipe.write();
    EXPECT_EQ(await(1)[0].token, token(1));
    EXPECT_EQ(file.mapped(), TextFile::kPages);
}

TEST_P(Ring, WhatCompletesWhileItSleepsLightlyIsSeen) {
    const TextFile file;
    const Pipe pipe;
    pipe.write();
    ring->drop(file.pages());
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    EXPECT_EQ(await(1)[0].token, token(1));
}

// Whether the ring does it by itself, or has to be asked again.
TEST_P(Ring, PollsOnForEachWakeUp) {
    const Pipe pipe;
    ring->poll_on(token(1), pipe.reader.get(), POLLIN);
    for (int round = 0; round < 3; ++round) {
        pipe.write();
        const Completion completion = await(1)[0];
        EXPECT_EQ(completion.token, token(1));
        EXPECT_EQ(completion.result, POLLIN);
        char byte = 0;
        EXPECT_EQ(::read(pipe.reader.get(), &byte, 1), 1);
        if (!completion.more)
            ring->poll_on(token(1), pipe.reader.get(), POLLIN);
    }
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));  // nothing was left
    ring->cancel(token(1));
    EXPECT_EQ(await(1)[0].result, -ECANCELED);
}

TEST_P(Ring, TellsAClosedPipe) {
    Pipe pipe;
    pipe.writer.reset();
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    EXPECT_TRUE(await(1)[0].result & POLLHUP);
}

TEST_P(Ring, TellsADescriptorThatIsNone) {
    ring->poll(token(1), 9999, POLLIN);
    EXPECT_EQ(await(1)[0].result, -EBADF);
}

TEST_P(Ring, CompletesATimerAtItsTime) {
    const Time at = sys::monotonic_now() + 30ms;
    ring->timer(token(1, Operation::grace_over), at);
    const auto seen = await(1);
    EXPECT_GE(sys::monotonic_now(), at);
    EXPECT_EQ(seen[0].token, token(1, Operation::grace_over));
    EXPECT_EQ(seen[0].result, -ETIME);
}

TEST_P(Ring, CompletesATimerOfThePastAtOnce) {
    ring->timer(token(1, Operation::timed_out), sys::monotonic_now() - 1s);
    EXPECT_EQ(await(1)[0].result, -ETIME);
}

TEST_P(Ring, CompletesTimersInTheOrderOfTheirTimes) {
    const Time now = sys::monotonic_now();
    ring->timer(token(3), now + 60ms);
    ring->timer(token(1), now + 20ms);
    ring->timer(token(2), now + 40ms);
    const auto seen = await(3);
    for (uint32_t index = 0; index < 3; ++index)
        EXPECT_EQ(seen[index].token.slot, index + 1);
}

TEST_P(Ring, CancelsAPoll) {
    const Pipe pipe;
    ring->poll(token(1), pipe.reader.get(), POLLIN);
    ring->cancel(token(1));
    const auto seen = await(1);
    EXPECT_EQ(seen[0].token, token(1));
    EXPECT_EQ(seen[0].result, -ECANCELED);
}

TEST_P(Ring, CancelsATimerThatWasHandedInBefore) {
    ring->timer(token(1, Operation::grace_over), sys::monotonic_now() + 1h);
    ring->timer(token(2), sys::monotonic_now());
    EXPECT_EQ(await(1)[0].token, token(2));
    ring->cancel(token(1, Operation::grace_over));
    const auto seen = await(1);
    EXPECT_EQ(seen[0].token, token(1, Operation::grace_over));
    EXPECT_EQ(seen[0].result, -ECANCELED);
}

TEST_P(Ring, CancelsOnlyWhatItWasAskedTo) {
    const Pipe pipe;
    ring->poll(token(1, Operation::exit), pipe.reader.get(), POLLIN);
    ring->poll(token(1, Operation::oom), pipe.reader.get(), POLLIN);
    ring->cancel(token(1, Operation::oom));
    EXPECT_EQ(await(1)[0].token, token(1, Operation::oom));
    pipe.write();
    EXPECT_EQ(await(1)[0].token, token(1, Operation::exit));
}

TEST_P(Ring, MindsNoCancelOfWhatIsNotThere) {
    ring->cancel(token(1));
    std::vector<Completion> batch;
    ASSERT_TRUE(ring->wait(batch));
    ASSERT_EQ(batch.size(), 1U);
    EXPECT_EQ(batch[0].token, Token{});
    EXPECT_EQ(batch[0].result, -ENOENT);
}

TEST_P(Ring, TakesMoreOperationsThanItHasEntries) {
    constexpr uint32_t kCount = 500;
    std::vector<Pipe> pipes(kCount);
    for (uint32_t index = 0; index < kCount; ++index)
        ring->poll(token(index), pipes[index].reader.get(), POLLIN);
    for (const Pipe& pipe : pipes)
        pipe.write();
    std::map<uint32_t, int> times;
    for (const Completion& completion : await(kCount))
        ++times[completion.token.slot];
    EXPECT_EQ(times.size(), size_t{kCount});
    EXPECT_TRUE(std::ranges::all_of(times, [](const auto& entry) { return entry.second == 1; }));
}

// They complete as they are handed in: more than the completion queue holds, before any is taken.
TEST_P(Ring, LosesNoCompletionWhenItsQueueOverflows) {
    constexpr uint32_t kCount = 500;
    const Pipe pipe;
    pipe.write();
    for (uint32_t index = 0; index < kCount; ++index)
        ring->poll(token(index), pipe.reader.get(), POLLIN);
    std::map<uint32_t, int> times;
    for (const Completion& completion : await(kCount))
        ++times[completion.token.slot];
    EXPECT_EQ(times.size(), size_t{kCount});
}

TEST_P(Ring, TakesMoreTimersThanItHasEntries) {
    constexpr uint32_t kCount = 300;
    const Time at = sys::monotonic_now() + 10ms;
    for (uint32_t index = 0; index < kCount; ++index)
        ring->timer(token(index), at);
    for (const Completion& completion : await(kCount))
        EXPECT_EQ(completion.result, -ETIME);
}

TEST_P(Ring, CarriesEveryBitOfAToken) {
    const Pipe pipe;
    pipe.write();
    const Token large = {Source::container, Operation::timed_out, Token::kMask, Token::kMask};
    ring->poll(large, pipe.reader.get(), POLLIN);
    EXPECT_EQ(await(1)[0].token, large);
}

// ---- reads and writes -----------------------------------------------------------------------

class RingReadTest : public RingTest {
  protected:
    void SetUp() override { open(kManyEntries); }
    // The bytes of a read that completes next, its buffer given back.
    std::string await_read() {
        const Completion completion = await(1)[0];
        EXPECT_GE(completion.result, 0);
        std::string text(ring->data(completion));
        EXPECT_EQ(text.size(), static_cast<size_t>(completion.result));
        ring->give_back(completion);
        return text;
    }
};

using RingRead = RingReadTest;
INSTANTIATE_TEST_SUITE_P(On, RingRead, backends(), name_of);

TEST_P(RingRead, CompletesWithWhatIsThere) {
    const Pipe pipe;
    pipe.write("hello");
    ring->read(token(1), pipe.reader.get());
    EXPECT_EQ(await_read(), "hello");
}

TEST_P(RingRead, CompletesWithWhatComesLater) {
    const Pipe pipe;
    ring->read(token(1), pipe.reader.get());
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
    pipe.write("hello");
    EXPECT_EQ(await_read(), "hello");
}

size_t threads() {
    size_t count = 0;
    for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
        ++count;
    return count;
}

TEST_P(RingRead, WaitsForABlockingPipeWithoutAThread) {
    const Pipe pipe(0);
    const size_t before = threads();
    ring->read(token(1), pipe.reader.get());
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
    EXPECT_EQ(threads(), before);  // the kernel's workers are threads of the process
    pipe.write("hello");
    EXPECT_EQ(await_read(), "hello");
}

TEST_P(RingRead, TellsTheEndOfAPipe) {
    Pipe pipe;
    ring->read(token(1), pipe.reader.get());
    pipe.writer.reset();
    EXPECT_EQ(await_read(), "");
}

TEST_P(RingRead, TellsADescriptorThatIsNone) {
    ring->read(token(1), 9999);
    const Completion completion = await(1)[0];
    EXPECT_LT(completion.result, 1);
    if (completion.buffer != Completion::kNoBuffer)
        ring->give_back(completion);
}

TEST_P(RingRead, CancelsARead) {
    const Pipe pipe;
    ring->read(token(1), pipe.reader.get());
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now());
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
    ring->cancel(token(1));
    EXPECT_EQ(await(1)[0].result, -ECANCELED);
}

// What waits holds no buffer.
TEST_P(RingRead, ReadsOneOfManyMoreThanThereAreBuffers) {
    constexpr uint32_t kCount = 300;
    std::vector<Pipe> pipes(kCount);
    for (uint32_t index = 0; index < kCount; ++index)
        ring->read(token(index), pipes[index].reader.get());
    ring->timer(token(kCount), sys::monotonic_now());
    EXPECT_EQ(await(1)[0].token, token(kCount));
    for (uint32_t index = kCount; index-- > 0;) {
        pipes[index].write(std::to_string(index));
        EXPECT_EQ(await_read(), std::to_string(index));
    }
}

// Buffers are given back late, and reads asked again: each comes to its bytes.
TEST_P(RingRead, ServesMoreThanThereAreBuffersInTurn) {
    constexpr uint32_t kCount = 300;
    std::vector<Pipe> pipes(kCount);
    for (uint32_t index = 0; index < kCount; ++index) {
        pipes[index].write(std::to_string(index));
        ring->read(token(index), pipes[index].reader.get());
    }
    uint32_t seen = 0;
    uint32_t refused = 0;
    while (seen < kCount) {
        std::vector<Completion> batch;
        ASSERT_TRUE(ring->wait(batch));
        for (const Completion& completion : batch) {
            const uint32_t index = completion.token.slot;
            if (completion.result == -ENOBUFS) {
                ++refused;
                ring->read(completion.token, pipes[index].reader.get());
                continue;
            }
            EXPECT_EQ(ring->data(completion), std::to_string(index));
            ++seen;
        }
        for (const Completion& completion : batch)
            if (completion.buffer != Completion::kNoBuffer)
                ring->give_back(completion);
    }
    EXPECT_GT(refused, 0U);
    EXPECT_LE(refused, kCount);  // once each
}

// The first in the queue are idle: they must not keep the others from their turn.
TEST_P(RingRead, LeavesNoReadBehindIdleOnes) {
    constexpr uint32_t kBusy = ReadBuffers::kCount + 1;
    constexpr uint32_t kIdle = 3 * ReadBuffers::kCount;
    std::vector<Pipe> pipes(kBusy + kIdle);
    for (uint32_t index = 0; index < kBusy; ++index) {
        pipes[index].write();
        ring->read(token(index), pipes[index].reader.get());
    }
    std::vector<Completion> batch;
    while (batch.size() < kBusy)
        ASSERT_TRUE(ring->wait(batch));
    for (uint32_t index = kBusy; index < kBusy + kIdle; ++index)  // queued, as buffers ran out
        ring->read(token(index), pipes[index].reader.get());
    for (const Completion& completion : batch) {
        if (completion.result == -ENOBUFS)
            ring->read(completion.token, pipes[completion.token.slot].reader.get());
        else
            ring->give_back(completion);
    }
    EXPECT_EQ(await_read(), "x");
}

TEST_P(RingRead, CancelsAReadThatWaitsItsTurn) {
    constexpr uint32_t kCount = ReadBuffers::kCount + 1;
    std::vector<Pipe> pipes(kCount);
    for (uint32_t index = 0; index < kCount; ++index) {
        pipes[index].write();
        ring->read(token(index), pipes[index].reader.get());
    }
    std::vector<Completion> batch;
    while (batch.size() < kCount)
        ASSERT_TRUE(ring->wait(batch));
    auto refused = std::ranges::find(batch, -ENOBUFS, &Completion::result);
    ASSERT_NE(refused, batch.end());
    ring->read(refused->token, pipes[refused->token.slot].reader.get());
    ring->cancel(refused->token);
    const Completion completion = await(1)[0];
    EXPECT_EQ(completion.token, refused->token);
    EXPECT_EQ(completion.result, -ECANCELED);
}

TEST_P(Ring, Writes) {
    const Pipe pipe;
    ring->write(token(1, Operation::write), pipe.writer.get(), std::string_view("hello"));
    EXPECT_EQ(await(1)[0].result, 5);
    ring->read(token(2), pipe.reader.get());
    EXPECT_EQ(ring->data(await(1)[0]), "hello");
}

TEST_P(Ring, WritesToAFullPipeOnceThereIsRoom) {
    const Pipe pipe(0);
    ASSERT_GT(::fcntl(pipe.writer.get(), F_SETPIPE_SZ, 4096), 0);
    pipe.write(std::string(4096, 'a'));
    ring->write(token(1, Operation::write), pipe.writer.get(), std::string_view("hello"));
    ring->timer(token(2, Operation::timed_out), sys::monotonic_now() + 20ms);
    EXPECT_EQ(await(1)[0].token, token(2, Operation::timed_out));
    char buffer[4096];
    ASSERT_EQ(::read(pipe.reader.get(), buffer, sizeof buffer), 4096);
    EXPECT_EQ(await(1)[0].result, 5);
}

TEST_P(Ring, TellsThatNobodyReads) {
    ::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    pipe.reader.reset();
    ring->write(token(1, Operation::write), pipe.writer.get(), std::string_view("hello"));
    EXPECT_EQ(await(1)[0].result, -EPIPE);
    ::signal(SIGPIPE, SIG_DFL);
}

TEST_P(Ring, TurnsAReactor) {
    struct Stopper final : Handler {
        explicit Stopper(Reactor& turned) : reactor(turned) {}
        void complete(const Completion& completion) override {
            result = completion.result;
            reactor.stop();
        }
        Reactor& reactor;
        int32_t result = 0;
    };
    Reactor reactor;
    reactor.use(*ring);
    Stopper stopper(reactor);
    reactor.attach(Source::container, stopper);
    const Pipe pipe;
    pipe.write();
    reactor.ring().poll(token(1), pipe.reader.get(), POLLIN);
    EXPECT_TRUE(reactor.run());
    EXPECT_TRUE(stopper.result & POLLIN);
}

TEST_P(Ring, ClampsHowManyEntriesItIsAskedFor) {
    EXPECT_TRUE(GetParam().open(1U << 20));
}

}  // namespace
}  // namespace sigil::loop
