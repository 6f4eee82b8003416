// Descriptors of every kind on each of the kernel's rings, as sigil's stdout may be any of them.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>

#include "core/sys.h"
#include "loop/backends.h"
#include "loop/open_ring.h"
#include "loop/write_now.h"

namespace sigil::loop {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kEntries = 32;
constexpr Token kTimer = {Source::container, Operation::timed_out, 0, 0};

Token token(uint32_t slot) {
    return {Source::container, Operation::exit, 0, slot};
}

struct Ends {
    Fd reader;
    Fd writer;
};

Ends pipe_ends() {
    auto pipe = sys::pipe();
    EXPECT_TRUE(pipe);
    return {std::move(pipe->reader), std::move(pipe->writer)};
}

Ends fifo_ends() {
    std::string directory = "/tmp/sigil-fifo-XXXXXX";
    EXPECT_TRUE(::mkdtemp(directory.data()));
    const std::string path = directory + "/fifo";
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    Fd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::fcntl(reader.get(), F_SETFL, 0), 0);
    ::unlink(path.c_str());
    ::rmdir(directory.c_str());
    return {std::move(reader), std::move(writer)};
}

Ends socket_ends() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

Ends terminal_ends() {
    Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(master.get()), 0);
    EXPECT_EQ(::unlockpt(master.get()), 0);
    Fd terminal(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios modes;
    EXPECT_EQ(::tcgetattr(terminal.get(), &modes), 0);
    ::cfmakeraw(&modes);
    EXPECT_EQ(::tcsetattr(terminal.get(), TCSANOW, &modes), 0);
    return {std::move(master), std::move(terminal)};
}

// Has it take no more: a terminal by Ctrl-S, as what it holds is moved on by the kernel's workers.
void fill(int fd) {
    if (::isatty(fd)) {
        ASSERT_EQ(::tcflow(fd, TCOOFF), 0);
        return;
    }
    const std::string text(65536, 'f');
    ASSERT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (::write(fd, text.data(), text.size()) > 0) {
    }
    ASSERT_EQ(errno, EAGAIN);
    ASSERT_EQ(::fcntl(fd, F_SETFL, 0), 0);
}

class RingFilesTest : public OnEachRing {
  protected:
    void SetUp() override { open(kEntries); }

    Completion await(Token wanted) {
        std::vector<Completion> seen = await_all(wanted);
        return seen.empty() ? Completion{} : seen.back();
    }
    // What completes up to that, itself last.
    std::vector<Completion> await_all(Token wanted) {
        std::vector<Completion> seen;
        for (;;) {
            std::vector<Completion> batch;
            if (!ring->wait(batch)) {
                ADD_FAILURE() << "the ring failed";
                return {};
            }
            for (const Completion& completion : batch) {
                seen.push_back(completion);
                if (completion.token == wanted)
                    return seen;
            }
        }
    }
    // Whether the operation is still in flight after a while.
    bool waits(Token operation) {
        ring->timer(kTimer, sys::monotonic_now() + 20ms);
        const auto seen = await_all(kTimer);
        return std::ranges::find(seen, operation, &Completion::token) == seen.end();
    }
};

using RingFiles = RingFilesTest;
INSTANTIATE_TEST_SUITE_P(On, RingFiles, backends(), name_of);

// ---- polls --------------------------------------------------------------------------------------

TEST_P(RingFiles, ARegularFileIsAlwaysReady) {
    const Fd file(::memfd_create("file", MFD_CLOEXEC));
    ring->poll(token(1), file.get(), POLLIN);
    EXPECT_EQ(await(token(1)).result, POLLIN);
    ring->poll(token(2), file.get(), POLLOUT);
    EXPECT_EQ(await(token(2)).result, POLLOUT);
}

TEST_P(RingFiles, ARegularFileHasNothingUrgent) {
    const Fd file(::memfd_create("file", MFD_CLOEXEC));
    ring->poll(token(1), file.get(), POLLPRI);
    EXPECT_EQ(await(token(1)).result, -EINVAL);
}

TEST_P(RingFiles, TwoPollsOfOneDescriptorAreToldApart) {
    const Ends ends = socket_ends();
    ring->poll(token(1), ends.reader.get(), POLLIN);
    ring->poll(token(2), ends.reader.get(), POLLOUT);
    EXPECT_EQ(await(token(2)).result, POLLOUT);
    EXPECT_TRUE(waits(token(1)));
    EXPECT_EQ(::write(ends.writer.get(), "x", 1), 1);
    EXPECT_EQ(await(token(1)).result, POLLIN);
}

TEST_P(RingFiles, OfTwoPollsOfOneDescriptorTheOtherGoesOnAfterACancel) {
    const Ends ends = pipe_ends();
    ring->poll(token(1), ends.reader.get(), POLLIN);
    ring->poll(token(2), ends.reader.get(), POLLIN);
    ring->cancel(token(1));
    EXPECT_EQ(await(token(1)).result, -ECANCELED);
    EXPECT_EQ(::write(ends.writer.get(), "x", 1), 1);
    EXPECT_EQ(await(token(2)).result, POLLIN);
}

TEST_P(RingFiles, TwoDescriptorsOfOneFileAreBothTold) {
    const Ends ends = pipe_ends();
    const Fd copy(::dup(ends.reader.get()));
    ring->poll(token(1), ends.reader.get(), POLLIN);
    ring->poll(token(2), copy.get(), POLLIN);
    EXPECT_EQ(::write(ends.writer.get(), "x", 1), 1);
    EXPECT_EQ(await(token(1)).result, POLLIN);
    ring->poll(token(1), ends.reader.get(), POLLIN);
    ring->poll(token(3), copy.get(), POLLIN);
    EXPECT_EQ(await(token(3)).result, POLLIN);
}

// The file lives on under another number, and what it tells must not reach who waits for the new.
TEST_P(RingFiles, AClosedNumberBelongsToTheNextFile) {
    Ends before = pipe_ends();
    const Ends after = pipe_ends();
    const Fd kept(::dup(before.reader.get()));
    const int number = before.reader.get();
    ring->poll(token(1), number, POLLIN);
    EXPECT_TRUE(waits(token(1)));
    ASSERT_EQ(::dup2(after.reader.get(), number), number);
    ring->poll(token(2), number, POLLIN);
    EXPECT_EQ(::write(before.writer.get(), "x", 1), 1);
    EXPECT_TRUE(waits(token(2)));
    EXPECT_EQ(::write(after.writer.get(), "x", 1), 1);
    EXPECT_EQ(await(token(2)).result, POLLIN);
}

TEST_P(RingFiles, ADescriptorThatWasClosedAfterACancelCanBeWatchedAgain) {
    Ends ends = pipe_ends();
    const Fd kept(::dup(ends.reader.get()));
    const int number = ends.reader.get();
    ring->poll(token(1), number, POLLIN);
    EXPECT_TRUE(waits(token(1)));
    ::close(number);
    ring->cancel(token(1));
    EXPECT_EQ(await(token(1)).result, -ECANCELED);
    ASSERT_EQ(::dup2(kept.get(), number), number);
    ring->poll(token(2), number, POLLIN);
    EXPECT_TRUE(waits(token(2)));
    EXPECT_EQ(::write(ends.writer.get(), "x", 1), 1);
    EXPECT_EQ(await(token(2)).result, POLLIN);
}

// ---- writes -------------------------------------------------------------------------------------

TEST_P(RingFiles, WritesToARegularFileWhereItStands) {
    const Fd file(::memfd_create("file", MFD_CLOEXEC));
    ASSERT_EQ(::write(file.get(), "one ", 4), 4);
    for (std::string_view word : {"two ", "three"}) {
        ring->write(token(1), file.get(), word);
        EXPECT_EQ(await(token(1)).result, static_cast<int32_t>(word.size()));
    }
    char text[32] = {};
    EXPECT_EQ(::pread(file.get(), text, sizeof text, 0), 13);
    EXPECT_STREQ(text, "one two three");
}

TEST_P(RingFiles, WritesToDevices) {
    const Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    ring->write(token(1), null.get(), std::string_view("gone"));
    EXPECT_EQ(await(token(1)).result, 4);
    const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    ring->write(token(1), full.get(), std::string_view("lost"));
    EXPECT_EQ(await(token(1)).result, -ENOSPC);
}

TEST_P(RingFiles, TellsAWriteToADescriptorThatIsNone) {
    ring->write(token(1), 9999, std::string_view("lost"));
    EXPECT_EQ(await(token(1)).result, -EBADF);
}

TEST_P(RingFiles, AWriteThatHasNoRoomDoesNotStopTheLoop) {
    for (Ends (*make)() : {pipe_ends, fifo_ends, socket_ends, terminal_ends}) {
        Ends ends = make();
        fill(ends.writer.get());
        const std::string text(100'000, 'x');
        ring->write(token(1), ends.writer.get(), text);
        EXPECT_TRUE(waits(token(1)));
        EXPECT_FALSE(::fcntl(ends.writer.get(), F_GETFL) & O_NONBLOCK) << "others write to it too";
        if (::isatty(ends.writer.get())) {
            ASSERT_EQ(::tcflow(ends.writer.get(), TCOON), 0);
        }
        std::thread drain([&ends] {
            char buffer[65536];
            while (::read(ends.reader.get(), buffer, sizeof buffer) > 0) {
            }
        });
        EXPECT_GT(await(token(1)).result, 0);
        ends.writer.reset();
        drain.join();
    }
}

TEST_P(RingFiles, CancelsAWriteThatHasNoRoom) {
    const Ends ends = pipe_ends();
    fill(ends.writer.get());
    ring->write(token(1), ends.writer.get(), std::string_view("never"));
    EXPECT_TRUE(waits(token(1)));
    ring->cancel(token(1));
    const int32_t result = await(token(1)).result;
    EXPECT_TRUE(result == -ECANCELED || result == -EINTR) << result;  // the latter: a worker's
}

// ---- without waiting ----------------------------------------------------------------------------

// Takes descriptors away: from here on none can be opened.
class NoDescriptors {
  public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const rlimit none = {0, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

  private:
    rlimit before_ = {};
};

TEST(WriteNow, OfAFifoThatCannotBeOpenedAnewWritesWhatSurelyFits) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizer asks by a pipe of its own whether memory can be read";
#endif
    const Ends ends = fifo_ends();
    const std::string text(100'000, 'x');
    const NoDescriptors none;
    const auto unknown = write_now(ends.writer.get(), text, false);
    ASSERT_FALSE(unknown);
    EXPECT_TRUE(unknown.error().is(EAGAIN));
    const auto taken = write_now(ends.writer.get(), text, true);
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, 4096U);
}

TEST(WriteNow, TakesAsMuchAsFits) {
    for (Ends (*make)() : {pipe_ends, fifo_ends, socket_ends, terminal_ends}) {
        const Ends ends = make();
        const std::string text(1 << 20, 'x');
        const auto taken = write_now(ends.writer.get(), text, false);
        ASSERT_TRUE(taken) << taken.error().message();
        EXPECT_GT(*taken, 0U);
        EXPECT_LT(*taken, text.size());
    }
}

TEST(WriteNow, LeavesARegularFileToAnOrdinaryWrite) {
    std::string path = "/tmp/sigil-write-XXXXXX";
    const Fd file(::mkstemp(path.data()));
    ::unlink(path.c_str());
    const auto taken = write_now(file.get(), "text", false);
    EXPECT_TRUE(taken ? *taken == 4 : taken.error().is(EAGAIN));
}

// ---- the choice ---------------------------------------------------------------------------------

TEST(OpenRing, TakesWhatItIsToldTo) {
    auto epoll = open_ring(RingChoice::epoll, kEntries);
    ASSERT_TRUE(epoll);
    EXPECT_STREQ((*epoll)->name(), "epoll");
    auto uring = open_ring(RingChoice::uring, kEntries);
    if (!uring)
        GTEST_SKIP() << uring.error().message();
    EXPECT_STREQ((*uring)->name(), "io_uring");
    auto chosen = open_ring(RingChoice::automatic, kEntries);
    ASSERT_TRUE(chosen);
    EXPECT_STREQ((*chosen)->name(), "io_uring");
}

TEST(OpenRing, DoesNotHideThatDescriptorsRanOut) {
    const NoDescriptors none;
    auto ring = open_ring(RingChoice::automatic, kEntries);
    ASSERT_FALSE(ring);
    EXPECT_TRUE(ring.error().is(EMFILE) || ring.error().is(EPERM)) << ring.error().message();
}

}  // namespace
}  // namespace sigil::loop
