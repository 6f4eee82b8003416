// Network namespaces made ahead: how many, and what follows when one can't be made. Files stand for
// them.
#include "isolation/network_pool.h"

#include <errno.h>
#include <fcntl.h>

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace sigil::isolation {
namespace {

using namespace std::chrono_literals;

class NetworkPoolTest : public ::testing::Test {
  protected:
    ~NetworkPoolTest() override {
        pool.stop();
        maker.join();
    }
    // One is made within the test's own limit of time.
    Fd await_one() {
        Fd one;
        while (!(one = pool.take()))
            std::this_thread::yield();
        return one;
    }
    void await_made(int count) {
        while (made != count)
            std::this_thread::yield();
    }

    std::atomic<int> made = 0;
    std::atomic<int> tries = 0;
    std::atomic<int> failing = 0;  // so many more
    NetworkPool pool{2, [this]() -> long {
                         ++tries;
                         if (failing > 0) {
                             --failing;
                             return -ENOSPC;
                         }
                         ++made;
                         return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                     }};
    std::thread maker{[this] { pool.run(); }};
};

using NetworkPool = NetworkPoolTest;

TEST_F(NetworkPool, KeepsSoManyReady) {
    await_made(2);
    EXPECT_TRUE(await_one());
    await_made(3);
    EXPECT_TRUE(await_one());
    await_made(4);
    std::this_thread::yield();
    EXPECT_EQ(made, 4) << "and no more";
}

TEST_F(NetworkPool, TriesAgainAfterAFailure) {
    await_made(2);
    failing = 3;
    EXPECT_TRUE(await_one());
    EXPECT_TRUE(await_one());
    EXPECT_TRUE(await_one()) << "made after three failures";
    EXPECT_EQ(failing, 0);
}

// Each pause is twice the one before: 10, 20, 40 ms.
TEST_F(NetworkPool, TriesLessAndLessOften) {
    await_made(2);
    failing = 1'000'000;
    const int before = tries;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(await_one());
    while (tries < before + 4)
        std::this_thread::yield();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 70ms);
}

}  // namespace
}  // namespace sigil::isolation
