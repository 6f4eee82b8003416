// Containers that come, go, are killed, stopped, replaced and restarted at random, hundreds at
// once, through the real binary, while a model reads what it tells. $SIGIL_SOAK_SECONDS is how
// long, $SIGIL_SOAK_SEED what is done: the same again with the same seed, but for who is faster.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "many.h"
#include "model.h"

namespace sigil::e2e {
namespace {

using Clock = std::chrono::steady_clock;

unsigned long from_environment(const char* name, unsigned long otherwise) {
    const char* value = ::getenv(name);
    return value && *value ? ::strtoul(value, nullptr, 10) : otherwise;
}

// What a supervisor holds.
struct Holdings {
    size_t descriptors = 0;
    long resident_kb = 0;

    static Holdings of(pid_t pid) {
        const std::string directory = "/proc/" + std::to_string(pid);
        const std::string status = read_file(directory + "/status");
        const size_t at = status.find("VmRSS:");
        return {names_in(directory + "/fd").size(),
                at == std::string::npos ? 0 : ::atol(status.c_str() + at + 6)};
    }
};

class Soak : public CgroupE2e {
  protected:
    static constexpr size_t kMostLive = 300;

    void SetUp() override {
        CgroupE2e::SetUp();
        random_.seed(seed_);
        RecordProperty("seed", std::to_string(seed_));
        add(anchor_, R"("args":["sleep","100000"])", {});
    }

    void add(const std::string& id, const std::string& job, const Habit& habit) {
        jobs_[id] = "{\"id\":\"" + id + "\"," + job + "}\n";
        model_.expect(id, habit);
    }

    unsigned below(unsigned bound) {
        return std::uniform_int_distribution<unsigned>(0, bound - 1)(random_);
    }

    void add_one() {
        const std::string id = "c" + std::to_string(++made_);
        const std::string code = std::to_string(below(100));
        switch (below(8)) {
            case 0:
                return add(id, R"("args":["/bin/bare",")" + code + R"("])",
                           {.code = std::stoi(code)});
            case 1:
                return add(id, R"("args":["sh","-c","kill -9 $$"])", {.kills_itself = true});
            case 2:
                return add(id,
                           R"("args":["sleep","100000"],"timeout":")" +
                               std::to_string(20 + below(2000)) + R"(ms")",
                           {.has_timeout = true});
            case 3:
                return add(id, R"("args":["sh","-c","exit 3"],"restart":"on-failure:2")",
                           {.code = 3});
            case 4:  // PID 1 without a handler: a stop has to wait and kill
                return add(id, R"("args":["sleep","100000"],"init":false,"stop-timeout":"50ms")",
                           {});
            default:
                return add(id, R"("args":["sleep","100000"])", {});
        }
    }

    // Writes what is wanted, and has it read.
    void reload() const {
        std::string text;
        for (const auto& [id, line] : jobs_)
            text += line;
        write_file(file_ + ".new", text);  // it may be read at any time
        ASSERT_EQ(::rename((file_ + ".new").c_str(), file_.c_str()), 0);
    }

    void remove_some(unsigned most) {
        for (unsigned left = below(most + 1); left > 0 && jobs_.size() > 1; --left) {
            auto found = jobs_.lower_bound("c" + std::to_string(below(made_ + 1)));
            if (found == jobs_.end() || found->first == anchor_)
                continue;
            jobs_.erase(found);
        }
    }

    // Another environment: the container is stopped and started anew.
    void change_some() {
        for (unsigned left = below(5); left > 0; --left) {
            auto found = jobs_.lower_bound("c" + std::to_string(below(made_ + 1)));
            if (found == jobs_.end() || found->first == anchor_)
                continue;
            std::string& line = found->second;
            const size_t at = line.find(",\"env\"");
            line = line.substr(0, at == std::string::npos ? line.rfind('}') : at) +
                   R"(,"env":{"N":")" + std::to_string(below(1000)) + "\"}}\n";
        }
    }

    // The pid is its container's if its parent is the supervisor, once a pidfd holds it.
    void kill_some(pid_t supervisor) {
        for (unsigned left = below(6); left > 0 && !model_.live().empty(); --left) {
            auto found = model_.live().begin();
            std::advance(found, below(static_cast<unsigned>(model_.live().size())));
            const auto [pid, id] = *found;
            const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
            const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
            const auto words = words_of(std::string_view(stat).substr(stat.rfind(')') + 1));
            if (pidfd >= 0 && words.size() > 1 && words[1] == std::to_string(supervisor) &&
                id != anchor_ && ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0) == 0)
                model_.was_killed(pid);
            if (pidfd >= 0)
                ::close(pidfd);
        }
    }

    // Gives the model what has been told since the last time.
    void read_events() {
        std::ifstream events(outputs_.events);
        events.seekg(read_);
        std::string line;
        while (std::getline(events, line) && !events.eof()) {
            model_.take(line);
            read_ += static_cast<std::streamoff>(line.size()) + 1;
        }
    }

    // Waits until something more has been told, or a moment has passed in which nothing was.
    void await_news() {
        const auto before = read_;
        const auto until = Clock::now() + std::chrono::milliseconds(50);
        do {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            read_events();
        } while (read_ == before && Clock::now() < until);
    }

    void step(const Running& running) {
        if (below(3) == 0)
            kill_some(running.pid());
        remove_some(model_.live().size() > kMostLive ? 120 : 12);
        change_some();
        if (model_.live().size() < kMostLive)
            for (unsigned left = below(25); left > 0; --left)
                add_one();
        reload();
        running.send(SIGHUP);
        if (below(4) == 0)
            running.send(SIGHUP);
        await_news();
    }

    // Everybody goes, and one comes that was not there before.
    Holdings settle(const Running& running) {
        jobs_.clear();
        anchor_ = "anchor-" + std::to_string(++made_);
        add(anchor_, R"("args":["sleep","100000"])", {});
        reload();
        running.send(SIGHUP);
        EXPECT_TRUE(eventually([&] {
            read_events();
            return model_.live().size() == 1 && model_.is_alone(anchor_);
        })) << model_.live().size()
            << " live";
        return Holdings::of(running.pid());
    }

    void soak_until(const Running& running, Clock::time_point until) {
        while (Clock::now() < until && !HasFailure()) {
            step(running);
            most_live_ = std::max(most_live_, model_.live().size());
        }
    }

    const unsigned long seconds_ = from_environment("SIGIL_SOAK_SECONDS", 60);
    const unsigned long seed_ = from_environment("SIGIL_SOAK_SEED", 1);
    std::mt19937_64 random_;
    std::map<std::string, std::string> jobs_;  // their lines
    std::string anchor_ = "anchor";            // the one that stays, so that the run does
    unsigned made_ = 0;
    size_t most_live_ = 0;
    Outputs outputs_;
    std::string file_ = make_directory_outside() + "/jobs";
    std::streamoff read_ = 0;
    Model model_;
};

TEST_F(Soak, NothingIsLostAndNothingIsLeft) {
    reload();
    Running running(sigil_run({"--name", "soak", "--quiet", "--events", outputs_.events, "--from",
                               file_, "--stop-timeout", "2s"},
                              {}));
    ASSERT_TRUE(outputs_.await("started", 1));
    const auto begun = Clock::now();
    const auto all = std::chrono::seconds(seconds_);
    soak_until(running, begun + all / 3);
    const Holdings warm = settle(running);
    soak_until(running, begun + all);
    (void)settle(running);
    // It gives back what it can once it has been quiet for a moment.
    constexpr long kMoreKb = 1024;
    Holdings last;
    EXPECT_TRUE(eventually([&] {
        last = Holdings::of(running.pid());
        return last.descriptors <= warm.descriptors &&
               last.resident_kb <= warm.resident_kb + kMoreKb;
    })) << "descriptors: "
        << warm.descriptors << " warm, " << last.descriptors
        << " at the end; resident: " << warm.resident_kb << " KB warm, " << last.resident_kb
        << " KB at the end";
    running.send(SIGTERM);
    const Finished finished = running.wait();
    read_events();
    model_.expect_complete();
    EXPECT_EQ(finished.err, "");
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    printf("seed %lu: %lu started, at most %zu at once, %lu restarted", seed_,
           model_.count("started"), most_live_, model_.count("restarting"));
    for (const auto& [cause, count] : model_.causes())
        printf(", %lu %s", count, cause.c_str());
    printf("; descriptors %zu -> %zu, resident %ld -> %ld KB\n", warm.descriptors, last.descriptors,
           warm.resident_kb, last.resident_kb);
}

}  // namespace
}  // namespace sigil::e2e
