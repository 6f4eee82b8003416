// The pump between a real pseudo-terminal and pipes, on each ring.
#include "loop/terminal_pump.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include <array>

#include "backends.h"
#include "core/sys.h"

namespace sigil::loop {
namespace {

class TerminalPump : public OnEachRing, public loop::TerminalPump::Client {
  protected:
    void SetUp() override {
        ::signal(SIGPIPE, SIG_IGN);
        open(16);
        if (!ring)
            return;
        reactor.use(*ring);
        Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        ASSERT_EQ(::unlockpt(master.get()), 0);
        command = std::move(*sys::open_peer(master.get()));
        termios modes = *sys::terminal_modes(command.get());
        ::cfmakeraw(&modes);
        ASSERT_TRUE(sys::set_terminal_modes(command.get(), modes));
        ASSERT_TRUE(sys::set_nonblocking(command.get()));
        typed = std::move(*sys::pipe());
        shown = std::move(*sys::pipe());
        ASSERT_TRUE(sys::set_nonblocking(shown.reader.get()));
        pump.emplace(reactor, *this,
                     TerminalOptions{.input = typed.reader.get(), .output = shown.writer.get()});
        ASSERT_TRUE(pump->begin(std::move(master)));
    }

    void detach_typed() override {}
    bool suspend_typed(pid_t) override { return false; }
    void input_lost() override {}
    void drained() override { is_drained = true; }

    static std::string read_some(int fd) {
        std::array<char, 65536> bytes;
        const auto count = sys::read(fd, bytes);
        return count ? std::string(bytes.data(), *count) : std::string();
    }
    void turn() { ASSERT_TRUE(reactor.turn()); }

    Reactor reactor;
    Fd command;  // the container's end
    sys::Pipe typed;
    sys::Pipe shown;
    std::optional<loop::TerminalPump> pump;
    bool is_drained = false;
};

INSTANTIATE_TEST_SUITE_P(On, TerminalPump, backends(), name_of);

TEST_P(TerminalPump, CarriesBothWays) {
    ASSERT_TRUE(sys::write_all(typed.writer.get(), "in"));
    std::string inside;
    while ((inside += read_some(command.get())) != "in")
        turn();
    ASSERT_TRUE(sys::write_all(command.get(), "out"));
    std::string outside;
    while ((outside += read_some(shown.reader.get())) != "out")
        turn();
}

// The command waits, as at a terminal that is slow; and nothing is lost of what it could write.
TEST_P(TerminalPump, SlowsTheCommandDownToWhatIsTaken) {
    constexpr size_t kMuch = size_t{1} << 20;
    const std::string chunk(1000, 'x');
    size_t written = 0;
    // A timer of another source ends each turn in which nothing moves.
    for (int idle = 0; idle < 3;) {
        const auto count = sys::write(command.get(), chunk);
        written += count ? *count : 0;
        ASSERT_LT(written, kMuch);
        if (count)
            continue;
        const size_t before = *sys::bytes_in_pipe(shown.reader.get());
        ring->timer({Source::settling, Operation::none, 0, 0},
                    sys::monotonic_now() + std::chrono::milliseconds(20));
        turn();
        idle = *sys::bytes_in_pipe(shown.reader.get()) == before ? idle + 1 : 0;
    }
    command.reset();
    pump->ended();
    size_t read = 0;
    while (!is_drained || read < written) {
        read += read_some(shown.reader.get()).size();
        if (!is_drained)
            turn();
        ASSERT_LE(read, written);
    }
    EXPECT_EQ(read, written);
}

TEST_P(TerminalPump, HangsUpWhenNobodySeesTheOutput) {
    shown.reader.reset();
    ASSERT_TRUE(sys::write_all(command.get(), "lost"));
    while (!is_drained)
        turn();
    while (sys::write(command.get(), "x"))  // EIO once the master is closed
        turn();
}

TEST_P(TerminalPump, DropsWhatIsShownWhileDetached) {
    pump->detach();
    ASSERT_TRUE(sys::write_all(command.get(), "unseen"));
    turn();
    pump->attach();
    ASSERT_TRUE(sys::write_all(command.get(), "seen"));
    command.reset();
    pump->ended();
    while (!is_drained)
        turn();
    const std::string outside = read_some(shown.reader.get());
    EXPECT_TRUE(outside.ends_with("seen")) << outside;
}

}  // namespace
}  // namespace sigil::loop
