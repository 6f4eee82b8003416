// Signals: from the process to the signalfd to the containers. Real signals, real children.
#include "loop/signals.h"

#include <signal.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

constexpr Token kReadable = {Source::signals, Operation::readable};

class SignalsTest : public SupervisorTest {
  protected:
    // Every signal is blocked while a test runs; nothing of it is left for the next.
    ~SignalsTest() override {
        for (int number : {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGPIPE, SIGCHLD, SIGRTMIN})
            ::signal(number, SIG_IGN);  // drops what is pending
        signals.reset();
        (void)sys::set_signal_mask(0);
        for (int number : {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGPIPE, SIGCHLD, SIGRTMIN})
            ::signal(number, SIG_DFL);
    }

    void open(bool shares_terminal = false) {
        auto opened = loop::Signals::open(shares_terminal);
        ASSERT_TRUE(opened) << opened.error().message();
        signals = std::move(*opened);
        signals->attach(reactor, supervisor);
    }
    // The signalfd has become readable.
    void deliver() {
        ring.complete(kReadable, POLLIN);
        turn();
    }

    std::unique_ptr<loop::Signals> signals;
};

using Signals = SignalsTest;

TEST_F(Signals, WatchesItsSignalfdForEver) {
    open();
    const FakeRing::Asked* asked = ring.find(kReadable);
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->events, uint32_t{POLLIN});
    deliver();  // nothing is there: it only looked
    EXPECT_TRUE(ring.has(kReadable));
    ring.complete(kReadable, -ENOMEM);
    turn();
    EXPECT_TRUE(ring.has(kReadable));
}

TEST_F(Signals, ForwardsWhatItGets) {
    const Child child = Child::telling_its_signal();
    open();
    const Token token = run(child);
    ::kill(::getpid(), SIGUSR2);
    deliver();
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), SIGUSR2);
}

TEST_F(Signals, ForwardsTheValueOfSigqueue) {
    const Child child = Child::telling_its_signal();
    open();
    const Token token = run(child);
    ::sigqueue(::getpid(), SIGRTMIN + 2, sigval{.sival_int = 77});
    deliver();
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), 77);
}

// Between two parts, the ends of containers have their turn.
TEST_F(Signals, TakesManyInParts) {
    open();
    for (int value = 0; value < 100; ++value)
        ::sigqueue(::getpid(), SIGRTMIN, sigval{.sival_int = value});
    int turns = 0;
    for (sigset_t pending; ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGRTMIN) == 1;) {
        ASSERT_LT(++turns, 100);
        deliver();
    }
    EXPECT_GT(turns, 1);
    EXPECT_TRUE(ring.has(kReadable));
}

TEST_F(Signals, TakesTermForAStop) {
    const Child child = Child::telling_its_signal();
    open();
    const Token token = run(child);
    ::kill(::getpid(), SIGTERM);
    deliver();
    EXPECT_TRUE(ring.has(token.with(Operation::grace_over)));
    child.await_end();
    exit(token);
    settle();
    EXPECT_EQ(record.last.cause, Cause::stopped);
}

TEST_F(Signals, ReadsMoreThanABatchAtOnce) {
    constexpr int kCount = 40;
    const Child child = Child::run_blocked([](const sigset_t& every) {
        int seen = 0;
        while (seen < kCount && ::sigwaitinfo(&every, nullptr) == SIGRTMIN + 5)
            ++seen;
        return seen;
    });
    open();
    const Token token = run(child);
    for (int count = 0; count < kCount; ++count)
        ::sigqueue(::getpid(), SIGRTMIN + 5, sigval{.sival_int = count});
    deliver();
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), kCount);
}

TEST_F(Signals, KeepsTheOrderOfRealTimeSignals) {
    const Child child = Child::telling_its_signal();
    open();
    run(child);
    ::sigqueue(::getpid(), SIGRTMIN + 1, sigval{.sival_int = 11});
    ::sigqueue(::getpid(), SIGRTMIN + 1, sigval{.sival_int = 12});
    deliver();
    child.await_end();
    EXPECT_EQ(sys::wait_exited(child.process().pidfd.get())->value().status.exit_code(), 11);
}

TEST_F(Signals, RemembersWhatWasIgnored) {
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGUSR1, SIG_IGN);
    open();
    EXPECT_EQ(signals->ignored(), (std::vector<int>{SIGHUP, SIGUSR1}));
}

// signal(7): a blocked signal that is ignored is dropped, or would be read; either way it is kept.
TEST_F(Signals, ForwardsNothingThatWasIgnored) {
    const Child child = Child::telling_its_signal();
    ::signal(SIGHUP, SIG_IGN);
    open();
    run(child);
    ::kill(::getpid(), SIGHUP);
    deliver();
    EXPECT_TRUE(child.survives());
}

// With SIGCHLD ignored the kernel would reap the containers itself.
TEST_F(Signals, TakesBackAnIgnoredSigchld) {
    ::signal(SIGCHLD, SIG_IGN);
    open();
    EXPECT_FALSE(sys::is_ignored(SIGCHLD));
    EXPECT_EQ(signals->ignored(), std::vector<int>{});
}

// README: "SIGPIPE from a write of sigil's: kept". The kernel sends it as SI_USER with our own pid.
TEST_F(Signals, KeepsTheSigpipeOfItsOwnWrite) {
    const Child child = Child::telling_its_signal();
    open();
    run(child);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    EXPECT_EQ(::write(ends[1], "x", 1), -1);
    ::close(ends[1]);
    deliver();
    EXPECT_TRUE(child.survives());
}

TEST_F(Signals, ForwardsASigpipeThatSomebodySent) {
    const Child child = Child::telling_its_signal();
    open();
    const Token token = run(child);
    const Child sender = Child::run([] { return ::kill(::getppid(), SIGPIPE); });
    sender.await_end();
    deliver();
    child.await_end();
    exit(token);
    EXPECT_EQ(record.last.status.exit_code(), SIGPIPE);
}

}  // namespace
}  // namespace sigil::loop
