// Thousands of containers that end at once, several at a time: no exit is missed, nothing hangs and
// nothing is left. SIGIL_RACE_RUNS says how many.
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

constexpr int kAtATime = 4;

int runs() {
    if (const char* text = ::getenv("SIGIL_RACE_RUNS"))
        return ::atoi(text);
    return is_slow() ? 300 : 10'000;
}

// Keeps kAtATime processes going until all have run; sees each end.
class Crowd {
  public:
    // What the run of that number is to do, and the code that it must end with.
    using Words = std::vector<std::string>;
    Crowd(std::function<Words(int)> command, std::function<int(int)> code)
        : command_(std::move(command)), code_(std::move(code)) {}

    void run(int count) {
        for (int number = 0; number < count && !testing::Test::HasFailure(); ++number) {
            start(number);
            if (running_.size() >= kAtATime)
                finish_one();
        }
        while (!running_.empty())
            finish_one();
    }
    [[nodiscard]] int seen() const { return seen_; }

  private:
    // No fork: a copy of this program would take longer than the container.
    void start(int number) {
        const Words command = command_(number);
        std::vector<char*> words;
        for (const std::string& word : command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        pid_t pid = -1;
        ASSERT_EQ(::posix_spawn(&pid, words[0], nullptr, nullptr, words.data(), environ), 0);
        running_.emplace(pid, number);
    }

    void finish_one() {
        int word = 0;
        pid_t pid = -1;
        const bool ended = eventually_reaped(pid, word);
        if (!ended) {
            ADD_FAILURE() << "hangs: run " << running_.begin()->second;
            for (const auto& [left, number] : running_)
                ::kill(left, SIGKILL);
            return running_.clear();
        }
        const int number = running_.at(pid);
        running_.erase(pid);
        EXPECT_TRUE(WIFEXITED(word)) << "run " << number << ", signal " << WTERMSIG(word);
        EXPECT_EQ(WEXITSTATUS(word), code_(number)) << "run " << number;
        ++seen_;
    }

    bool eventually_reaped(pid_t& pid, int& word) {
        ::alarm(static_cast<unsigned>(patience().count()));  // interrupts the wait
        do
            pid = ::waitpid(-1, &word, 0);
        while (pid > 0 && !running_.contains(pid));
        ::alarm(0);
        return pid > 0;
    }

    std::function<Words(int)> command_;
    std::function<int(int)> code_;
    std::map<pid_t, int> running_;
    int seen_ = 0;
};

class Race : public E2e {
  protected:
    void SetUp() override {
        struct sigaction wake = {};
        wake.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &wake, nullptr);  // without SA_RESTART
        descriptors_ = names_in("/proc/self/fd").size();
        E2e::SetUp();
    }
    void TearDown() override {
        EXPECT_EQ(names_in("/proc/self/fd").size(), descriptors_);
        E2e::TearDown();
    }

  private:
    size_t descriptors_ = 0;
};

std::vector<std::string> run_words(const Words& options, const Words& command) {
    return sigil_run(options, command).command;
}

int code_of(int number) {
    return number % 120;  // none of sigil's own
}

Words bare(int number) {
    return {"/bin/bare", std::to_string(code_of(number))};
}

TEST_F(Race, EveryExitIsSeen) {
    Crowd crowd([](int number) { return run_words({}, bare(number)); }, code_of);
    crowd.run(runs());
    EXPECT_EQ(crowd.seen(), runs());
}

TEST_F(Race, EveryExitIsSeenWithoutInit) {
    Crowd crowd(
        [](int number) {
            return run_words({"--no-init", "--network", "host"}, bare(number));
        },
        code_of);
    crowd.run(runs() / 10);
    EXPECT_EQ(crowd.seen(), runs() / 10);
}

// The end of the command, the timeout and the failure of a launch, all close together.
TEST_F(Race, EveryOtherEndIsSeenToo) {
    auto command = [](int number) {
        switch (number % 4) {
            case 0:
                return run_words({"--timeout", "1ms"}, {"/bin/sleep", "100000"});
            case 1:
                return run_words({}, {"/bin/nope"});
            case 2:
                return run_words({"--timeout", "1h"}, bare(3));
            default:
                return run_words({"--tmpfs", "/tmp:1M"}, {"/bin/probe", "die", "TERM"});
        }
    };
    auto code = [](int number) {
        constexpr int kCodes[] = {137, 127, 3, 143};
        return kCodes[number % 4];
    };
    const int null = ::dup(STDERR_FILENO);  // thousands of messages, the same each time
    ASSERT_TRUE(::freopen("/dev/null", "w", stderr));
    Crowd crowd(command, code);
    crowd.run(runs() / 10);
    ::dup2(null, STDERR_FILENO);
    ::close(null);
    EXPECT_EQ(crowd.seen(), runs() / 10);
}

}  // namespace
}  // namespace sigil::e2e
