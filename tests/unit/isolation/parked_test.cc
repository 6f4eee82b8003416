// Containers made ahead: how many, of what kind, and what follows when one can't be made. Processes
// that only wait stand for them.
#include "isolation/parked.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace sigil::isolation {
namespace {

constexpr const char* kPlaces = "1 2 3";

ParkedShape shape_named(const std::string& hostname) {
    Spec spec;
    spec.hostname = hostname;  // no shape has one: it stands for whatever differs
    return {.spec = spec, .root = "root"};
}

class ParkedTest : public ::testing::Test {
  protected:
    ~ParkedTest() override {
        if (maker.joinable())
            finish();
    }
    void finish() {
        containers.stop();
        maker.join();
    }
    ParkedContainer await_one(const ParkedShape& shape) {
        for (;;) {
            if (auto one = containers.take(shape, kPlaces))
                return std::move(*one);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    void await_made(int count) const {
        while (made != count)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    const ParkedShape web = shape_named("web");
    const ParkedShape db = shape_named("db");
    std::atomic<int> made = 0;
    std::atomic<int> tries = 0;
    std::atomic<int> failing = 0;  // so many more
    std::atomic<pid_t> first = 0;
    std::string root_of_made = "root";
    ParkedContainers containers{2, [this](const Spec&) -> Result<ParkedContainer> {
                                    ++tries;
                                    if (failing > 0) {
                                        --failing;
                                        return failure("no room");
                                    }
                                    ParkedContainer one;
                                    one.root = root_of_made;
                                    one.places = kPlaces;
                                    one.pid = ::fork();
                                    if (one.pid == 0)
                                        for (;;)
                                            ::pause();
                                    if (++made == 1)
                                        first = one.pid;
                                    return one;
                                }};
    std::thread maker{[this] { containers.run(); }};
};

using Parked = ParkedTest;

TEST_F(Parked, NoneIsMadeBeforeOneIsAskedFor) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(tries, 0);
}

TEST_F(Parked, SoManyAreMadeOnceOneWasAskedFor) {
    EXPECT_FALSE(containers.take(web, kPlaces));
    await_made(2);
    discard(await_one(web));
    await_made(3);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(made, 3) << "and no more";
}

TEST_F(Parked, TheKindThatWasAskedForLastTakesThePlaceOfTheOldest) {
    EXPECT_FALSE(containers.take(web, kPlaces));
    await_made(2);
    EXPECT_FALSE(containers.take(db, kPlaces));
    await_made(4);
    EXPECT_NE(::kill(first, 0), 0) << "the first is still there";
    discard(await_one(db));
}

TEST_F(Parked, OneWhoseMountsAreElsewhereGivesWay) {
    EXPECT_FALSE(containers.take(web, kPlaces));
    await_made(2);
    EXPECT_FALSE(containers.take(web, "4 2 3"));
    await_made(4);
    EXPECT_NE(::kill(first, 0), 0) << "the first is still there";
}

TEST_F(Parked, NoneIsMadeWhileStartsAreUnderWay) {
    containers.set_busy(true);
    EXPECT_FALSE(containers.take(web, kPlaces));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(tries, 0);
    containers.set_busy(false);
    await_made(2);
}

TEST_F(Parked, WhatCannotBeMadeIsTriedAgain) {
    failing = 2;
    EXPECT_FALSE(containers.take(web, kPlaces));
    await_made(2);
    EXPECT_EQ(tries, 4);
}

TEST_F(Parked, OneInAnotherRootIsNone) {
    root_of_made = "another";
    EXPECT_FALSE(containers.take(web, kPlaces));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(containers.take(web, kPlaces));
    EXPECT_GE(made, 1);
    EXPECT_LE(made, 5) << "less and less often";
    EXPECT_NE(::kill(first, 0), 0) << "the first is still there";
}

TEST_F(Parked, NoneIsLeftAtTheEnd) {
    EXPECT_FALSE(containers.take(web, kPlaces));
    await_made(2);
    finish();
    EXPECT_NE(::kill(first, 0), 0);
}

TEST_F(Parked, WhatComesWithTheCommandMakesNoKind) {
    Spec spec;
    spec.args = {"a"};
    spec.init = true;
    Spec other = spec;
    other.name = other.hostname = other.user = "other";
    other.args = {"b", "c"};
    other.env = {"A=b"};
    other.cwd = "/tmp";
    other.timeout = std::chrono::seconds(1);
    other.stop_timeout = std::chrono::seconds(1);
    other.rlimits.push_back({.resource = 0, .soft = 1, .hard = 1, .origin = ""});
    ASSERT_TRUE(parked_spec(spec));
    EXPECT_EQ(*parked_spec(spec), *parked_spec(other));
    other.read_only_root = true;
    EXPECT_NE(*parked_spec(spec), *parked_spec(other));
    other = spec;
    other.resources.pids = 7;
    EXPECT_NE(*parked_spec(spec), *parked_spec(other));
}

TEST_F(Parked, WhatCannotComeLaterHasNone) {
    Spec spec;
    ASSERT_TRUE(parked_spec(spec));
    Spec other = spec;
    other.terminal = ConsoleSize{};
    EXPECT_FALSE(parked_spec(other));
    other = spec;
    other.passed_fds = {5};
    EXPECT_FALSE(parked_spec(other));
    other = spec;
    other.privileged = true;
    EXPECT_FALSE(parked_spec(other));
    other = spec;
    other.user_namespace = UserNamespace::automatic;
    EXPECT_FALSE(parked_spec(other));
    other = spec;
    other.cgroup_parent = "/other";
    EXPECT_FALSE(parked_spec(other));
    // A filter that may keep its process from telling what has failed.
    other = spec;
    other.seccomp = std::make_shared<SeccompProgram>();
    EXPECT_TRUE(parked_spec(other));
    other.init = false;
    EXPECT_FALSE(parked_spec(other));
}

}  // namespace
}  // namespace sigil::isolation
