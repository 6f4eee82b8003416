// Containers that come, go, are killed, stopped, replaced and restarted at random, hundreds at
// once, through the real binary, while a model reads what it tells. $SIGIL_SOAK_SECONDS is how
// long, $SIGIL_SOAK_SEED what is done. Nothing is chosen by what sigil has told: the same seed does
// the same again, as far as it comes in its time.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
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

    bool operator==(const Holdings&) const = default;
    static Holdings of(pid_t pid) {
        const std::string directory = "/proc/" + std::to_string(pid);
        const std::string status = read_file(directory + "/status");
        const size_t at = status.find("VmRSS:");
        return {names_in(directory + "/fd").size(),
                at == std::string::npos ? 0 : ::atol(status.c_str() + at + 6)};
    }
};

// Directories aside.
Words files_below(const std::string& directory) {
    Words found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
        if (!entry.is_directory())
            found.push_back(entry.path());
    return found;
}

class Soak : public CgroupE2e {
  protected:
    static constexpr long kMoreKb = 1024;  // resident, of tens of thousands of containers
    // Three or four of eight end by themselves.
    const size_t most_jobs_ = in_virtual_machine() ? 150 : 600;

    void SetUp() override {
        CgroupE2e::SetUp();
        ::signal(SIGHUP, SIG_DFL);  // else, below nohup(1), no reload would be heard
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
        const std::string id = series_ + std::to_string(++made_);
        const std::string code = std::to_string(below(100));
        switch (below(8)) {
            case 0:
                return add(id, R"("args":["/bin/bare",")" + code + R"("])",
                           {.code = std::stoi(code)});
            case 1:
                return add(id, R"("args":["sh","-c","kill -9 $$"])", {.signals = {"SIGKILL"}});
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
            case 5:
                if (has_controller("memory"))
                    return add(id, R"("args":["/bin/probe","alloc","100000000"],"memory":"16M")",
                               {.takes_too_much = true});
                [[fallthrough]];
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

    // The next job that is wanted, from a random place on; the anchor stays.
    auto any_job() {
        auto found = jobs_.lower_bound(series_ + std::to_string(below(made_ + 1)));
        return found == jobs_.end() || found->first == anchor_ ? jobs_.end() : found;
    }

    void remove_some(unsigned most) {
        for (unsigned left = below(most + 1); left > 0; --left)
            if (const auto found = any_job(); found != jobs_.end())
                jobs_.erase(found);
    }

    // Another environment: the container is stopped and started anew.
    void change_some() {
        for (unsigned left = below(5); left > 0; --left) {
            const auto found = any_job();
            if (found == jobs_.end())
                continue;
            std::string& line = found->second;
            const size_t at = line.find(",\"env\"");
            line = line.substr(0, at == std::string::npos ? line.rfind('}') : at) +
                   R"(,"env":{"N":")" + std::to_string(below(1000)) + "\"}}\n";
        }
    }

    // Those of them that live.
    void kill_some(pid_t supervisor) {
        for (unsigned left = below(12); left > 0; --left) {
            const auto found = any_job();
            const pid_t pid = found == jobs_.end() ? -1 : model_.pid_of(found->first);
            if (pid > 0 && kill_child(supervisor, pid))
                model_.was_killed(pid);
        }
    }

    // Waits until so much more has been told, or a moment has passed in which nothing was.
    void await_news(int64_t count) {
        const auto moment = std::chrono::milliseconds(in_virtual_machine() ? 400 : 20);
        const int64_t wanted = model_.taken() + count;
        for (auto until = Clock::now() + moment; model_.taken() < wanted && Clock::now() < until;) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            const int64_t before = model_.taken();
            model_.read(outputs_.events);
            if (model_.taken() > before)
                until = Clock::now() + moment;
        }
    }

    void step(const Running& running) {
        if (below(3) == 0)
            kill_some(running.pid());
        remove_some(jobs_.size() > most_jobs_ ? 240 : 12);
        change_some();
        if (jobs_.size() < most_jobs_)
            for (unsigned left = below(25); left > 0; --left)
                add_one();
        reload();
        running.send(SIGHUP);
        if (below(4) == 0)
            running.send(SIGHUP);
        await_news(below(2) == 0 ? below(10) : below(200));
    }

    // Everybody goes, and one comes that was not there before.
    Holdings settle(const Running& running) {
        jobs_.clear();
        anchor_ += "-anew";
        add(anchor_, R"("args":["sleep","100000"])", {});
        reload();
        running.send(SIGHUP);
        EXPECT_TRUE(eventually([&] {
            model_.read(outputs_.events);
            return model_.live().size() == 1 && model_.is_alone(anchor_);
        })) << model_.live().size()
            << " live";
        return quiet(running.pid());
    }

    // What it holds once that stays the same: quiet for a moment, it gives back what it can.
    static Holdings quiet(pid_t pid) {
        constexpr int kTimes = 100;
        Holdings last;
        int times = 0;
        EXPECT_TRUE(eventually([&] {
            const Holdings now = Holdings::of(pid);
            times = now == last ? times + 1 : 0;
            last = now;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            return times == kTimes;
        }));
        return last;
    }

    // A series begins the same wherever the one before it came to.
    void soak_until(const Running& running, const std::string& series, Clock::time_point until) {
        random_.seed(seed_ ^ std::hash<std::string>()(series));
        series_ = series;
        made_ = 0;
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
    std::string series_;                       // what the names of the others begin with
    unsigned made_ = 0;                        // of them
    size_t most_live_ = 0;
    Outputs outputs_;
    std::string file_ = make_directory_outside() + "/jobs";
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
    soak_until(running, "c", begun + all / 3);
    const Holdings warm = settle(running);
    soak_until(running, "d", begun + all);
    const Holdings last = settle(running);
    EXPECT_LE(last.descriptors, warm.descriptors);
    EXPECT_LE(last.resident_kb, warm.resident_kb + kMoreKb);
    running.send(SIGTERM);
    const Finished finished = running.wait();
    model_.read(outputs_.events);
    model_.expect_complete();
    EXPECT_EQ(finished.err, "");
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    EXPECT_EQ(files_below(records_root()), Words{});
    printf("seed %lu: %lu started, at most %zu at once, %lu restarted", seed_,
           model_.count("started"), most_live_, model_.count("restarting"));
    for (const auto& [cause, count] : model_.causes())
        printf(", %lu %s", count, cause.c_str());
    printf("; descriptors %zu -> %zu, resident %ld -> %ld KB\n", warm.descriptors, last.descriptors,
           warm.resident_kb, last.resident_kb);
}

}  // namespace
}  // namespace sigil::e2e
