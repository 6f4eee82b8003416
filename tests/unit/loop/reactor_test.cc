// The reactor: the whole batch is copied out before anything is dispatched.
#include "loop/reactor.h"

#include <functional>

#include <gtest/gtest.h>

#include "loop/fake_ring.h"
#include "loop/settling.h"
#include "temp_dir.h"

namespace sigil::loop {
namespace {

constexpr Token kOne = {Source::container, Operation::exit, 0, 1};
constexpr Token kTwo = {Source::container, Operation::oom, 0, 1};
constexpr Token kSignal = {Source::signals, Operation::readable, 0, 0};

class Recorder final : public Handler {
  public:
    void complete(const Completion& completion) override {
        seen.push_back(completion);
        if (then)
            then(completion);
    }
    std::vector<Completion> seen;
    std::function<void(const Completion&)> then;
};

class ReactorTest : public ::testing::Test {
  protected:
    ReactorTest() {
        reactor.use(ring);
        reactor.attach(Source::container, containers);
        reactor.attach(Source::signals, signals);
    }
    FakeRing ring;
    loop::Reactor reactor;
    Recorder containers;
    Recorder signals;
};

using Reactor = ReactorTest;

TEST_F(Reactor, GivesEachSourceItsOwnCompletionsInOrder) {
    ring.inject(kTwo, 2);
    ring.inject(kSignal, 3);
    ring.inject(kOne, -4);
    ASSERT_TRUE(reactor.turn());
    ASSERT_EQ(containers.seen.size(), 2U);
    EXPECT_EQ(containers.seen[0].token, kTwo);
    EXPECT_EQ(containers.seen[0].result, 2);
    EXPECT_EQ(containers.seen[1].token, kOne);
    EXPECT_EQ(containers.seen[1].result, -4);
    ASSERT_EQ(signals.seen.size(), 1U);
    EXPECT_EQ(signals.seen[0].token, kSignal);
}

TEST_F(Reactor, GivesTheBytesOfAReadBackOnceTheyWereHandled) {
    std::string bytes;
    containers.then = [&](const Completion& completion) { bytes = ring.data(completion); };
    ring.read(kOne, 0);
    ring.complete_read(kOne, "hello");
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(bytes, "hello");
    EXPECT_EQ(ring.buffers(), 0U);
}

TEST_F(Reactor, DropsWhatNobodyWaitsFor) {
    ring.inject(Token{}, 0);
    ring.inject({Source::launcher, Operation::readable, 0, 0}, 0);
    ASSERT_TRUE(reactor.turn());
    EXPECT_TRUE(containers.seen.empty());
    EXPECT_TRUE(signals.seen.empty());
}

TEST_F(Reactor, LetsAHandlerAskForMoreInTheMiddleOfABatch) {
    containers.then = [this](const Completion& completion) {
        if (completion.token == kOne)
            for (uint32_t slot = 2; slot < 100; ++slot)
                ring.poll({Source::container, Operation::exit, 0, slot}, 0, 1);
    };
    ring.inject(kOne, 0);
    ring.inject(kTwo, 0);
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(containers.seen.size(), 2U);
    EXPECT_EQ(ring.in_flight(), 98U);
}

TEST_F(Reactor, GivesWhatBecomesReadyMeanwhileToTheNextTurn) {
    containers.then = [this](const Completion& completion) {
        if (completion.token == kOne)
            ring.inject(kTwo, 0);
    };
    ring.inject(kOne, 0);
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(containers.seen.size(), 1U);
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(containers.seen.size(), 2U);
}

TEST_F(Reactor, FinishesItsBatchWhenItIsStopped) {
    containers.then = [this](const Completion&) { reactor.stop(); };
    ring.inject(kOne, 0);
    ring.inject(kTwo, 0);
    EXPECT_TRUE(reactor.run());
    EXPECT_EQ(containers.seen.size(), 2U);
}

TEST_F(Reactor, TurnsUntilItIsStopped) {
    containers.then = [this](const Completion&) {
        if (containers.seen.size() < 5)
            ring.inject(kOne, 0);
        else
            reactor.stop();
    };
    ring.inject(kOne, 0);
    EXPECT_TRUE(reactor.run());
    EXPECT_EQ(containers.seen.size(), 5U);
}

TEST_F(Reactor, EndsWithTheRingsError) {
    const auto done = reactor.run();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message(), "wait for completions: nothing is ready on the fake ring");
}

constexpr Token kSettled = {Source::settling, Operation::timed_out, 0, 0};

TEST_F(Reactor, SettlesForTheFirstTimeWhateverHappens) {
    Settling settling;
    int calls = 0;
    settling.attach(reactor, std::chrono::seconds(9), std::chrono::seconds(5), [&] { ++calls; });
    ASSERT_TRUE(ring.has(kSettled));
    EXPECT_EQ(ring.find(kSettled)->at, std::chrono::seconds(5));
    ring.inject(kOne, 0);
    ASSERT_TRUE(reactor.turn());
    EXPECT_TRUE(ring.dropped().empty());
    ring.complete(kSettled, -ETIME);
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(ring.dropped().empty());
    EXPECT_EQ(ring.in_flight(), 0U);  // nothing has happened since
}

TEST_F(Reactor, SettlesAgainOnceItIsQuietAgain) {
    Settling settling;
    int calls = 0;
    settling.attach(reactor, std::chrono::seconds(9), std::chrono::seconds(5), [&] { ++calls; });
    ring.complete(kSettled, -ETIME);
    ASSERT_TRUE(reactor.turn());
    const size_t dropped = ring.dropped().size();
    ASSERT_GT(dropped, 0U);
    ring.inject(kOne, 0);
    ASSERT_TRUE(reactor.turn());
    ASSERT_TRUE(ring.has(kSettled));
    ring.complete(kSettled, -ETIME);
    ASSERT_TRUE(reactor.turn());
    EXPECT_EQ(ring.dropped().size(), 2 * dropped);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(containers.seen.size(), 1U);
}

// What is written to would be lost.
TEST_F(Reactor, DropsNothingThatIsWrittenTo) {
    Settling settling;
    settling.attach(reactor, std::chrono::seconds(9), std::chrono::seconds(5), [] {});
    ring.complete(kSettled, -ETIME);
    ASSERT_TRUE(reactor.turn());
    static int written = 1;
    const auto* ours = reinterpret_cast<const char*>(&written);
    bool has_text = false;
    for (const std::span<const char> pages : ring.dropped()) {
        auto holds = [&](const char* at) {
            return pages.data() <= at && at < pages.data() + pages.size();
        };
        EXPECT_FALSE(holds(ours));
        has_text = has_text || holds(reinterpret_cast<const char*>(&Token::unpack));
    }
    EXPECT_TRUE(has_text);
}

TEST_F(Reactor, SettlesEachTimeThatItIsQuiet) {
    Settling settling;
    settling.attach(reactor, std::chrono::seconds(9));
    EXPECT_FALSE(ring.has(kSettled));  // nothing has happened yet
    for (int round = 0; round < 2; ++round) {
        ring.inject(kOne, 0);
        ASSERT_TRUE(reactor.turn());
        ASSERT_TRUE(ring.has(kSettled));
        ring.inject(kOne, 0);
        ASSERT_TRUE(reactor.turn());
        ring.complete(kSettled, -ETIME);
        ASSERT_TRUE(reactor.turn());
        ASSERT_TRUE(ring.has(kSettled));  // something has happened meanwhile
        ring.complete(kSettled, -ETIME);
        ASSERT_TRUE(reactor.turn());
        EXPECT_EQ(ring.in_flight(), 0U);  // it has settled
    }
}

}  // namespace
}  // namespace sigil::loop
