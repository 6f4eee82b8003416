#include "model.h"

#include <signal.h>

#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "events.h"

namespace sigil::e2e {

uint64_t Model::count(const std::string& event) const {
    const auto found = counts_.find(event);
    return found == counts_.end() ? 0 : found->second;
}

pid_t Model::pid_of(const std::string& id) const {
    const auto found = lives_.find(id);
    return found != lives_.end() && found->second.status == Status::running ? found->second.pid
                                                                            : -1;
}

bool Model::is_alone(const std::string& id) const {
    return std::ranges::all_of(lives_, [&](const auto& one) {
        const Status status = one.second.status;
        return one.first == id ? status == Status::running
                               : status == Status::none || status == Status::resting;
    });
}

void Model::take(std::string_view line) {
    const rapidjson::Document event = parse_report(std::string(line) + "\n");
    const std::string name = EventLog::text(event, "event");
    const std::string id = EventLog::text(event, "id");
    SCOPED_TRACE(std::string(line));
    EXPECT_FALSE(is_over()) << "after the summary";
    EXPECT_EQ(EventLog::number(event, "seq"), sequence_ + 1);
    EXPECT_GE(EventLog::number(event, "mono_us"), time_);
    sequence_ = EventLog::number(event, "seq");
    time_ = EventLog::number(event, "mono_us");
    ++counts_[name];
    if (name == "summary") {
        summed_restarts_ = EventLog::number(event, "restarts");
        for (const auto& [cause, count] : causes_)
            summed_[cause] = EventLog::number(event, cause.c_str());
        return;
    }
    EXPECT_TRUE(habits_.contains(id)) << "nobody asked for it";
    Life& life = lives_[id];
    const auto pid = static_cast<pid_t>(EventLog::number(event, "pid"));
    if (name == "created") {
        // One that rests goes without a word where its job is changed or removed.
        EXPECT_TRUE(life.status == Status::none || life.status == Status::resting)
            << "twice at once";
        life = {.status = Status::created};
    } else if (name == "started") {
        began(id, life, pid);
    } else if (name == "ready" || name == "oom") {
        EXPECT_EQ(life.status, Status::running);
        EXPECT_TRUE(name == "ready" || habits_[id].takes_too_much);
    } else if (name == "stopping") {
        EXPECT_NE(life.status, Status::none);
        EXPECT_FALSE(life.is_stopping);
        life.is_stopping = true;
    } else if (name == "exited") {
        ended(id, life, event);
    } else if (name == "restarting") {
        EXPECT_EQ(life.status, Status::none);
        --final_causes_[life.cause];
        life = {.status = Status::resting};
    } else if (name == "error") {
        EXPECT_TRUE(habits_[id].may_fail);
    } else {
        ADD_FAILURE() << "an event that has no place here";
    }
}

void Model::read(const std::string& path) {
    std::ifstream events(path);
    events.seekg(read_);
    std::string line;
    while (std::getline(events, line) && !events.eof()) {
        take(line);
        read_ += static_cast<std::streamoff>(line.size()) + 1;
    }
}

void Model::began(const std::string& id, Life& life, pid_t pid) {
    EXPECT_TRUE(life.status == Status::created || life.status == Status::resting);
    EXPECT_GT(pid, 0);
    EXPECT_FALSE(live_.contains(pid)) << "two of one pid";
    killed_.erase(pid);  // that of another, long ago
    live_[pid] = id;
    life.status = Status::running;
    life.pid = pid;
}

void Model::ended(const std::string& id, Life& life, const rapidjson::Document& event) {
    const std::string cause = EventLog::text(event, "cause");
    ++causes_[cause];
    const Habit& habit = habits_[id];
    if (cause == "failed") {
        EXPECT_TRUE(habit.may_fail);
        EXPECT_TRUE(life.status == Status::created || life.status == Status::resting);
    } else {
        EXPECT_EQ(life.status, Status::running) << "its end without its start";
        EXPECT_EQ(EventLog::number(event, "pid"), life.pid);
    }
    const bool was_killed = killed_.erase(life.pid) > 0;
    if (cause == "exited") {
        EXPECT_EQ(EventLog::number(event, "exit_code"), habit.code.value_or(-1));
        EXPECT_FALSE(life.is_stopping);
    } else if (cause == "signaled") {
        const std::string signal = EventLog::text(event, "signal");
        EXPECT_TRUE(habit.signals.contains(signal) || (was_killed && signal == "SIGKILL"));
        EXPECT_FALSE(life.is_stopping);
    } else if (cause == "stopped") {
        EXPECT_TRUE(life.is_stopping);
    } else if (cause == "timeout") {
        EXPECT_TRUE(habit.has_timeout);
    } else if (cause == "oom") {
        EXPECT_TRUE(habit.takes_too_much);
    } else if (cause != "failed") {
        ADD_FAILURE() << "a cause that nobody gave";
    }
    live_.erase(life.pid);
    ++final_causes_[cause];
    life = {.cause = cause};
}

void Model::expect_complete() const {
    EXPECT_TRUE(is_over());
    const auto failed = causes_.find("failed");
    EXPECT_EQ(count("started") + (failed == causes_.end() ? 0 : failed->second), count("exited"));
    for (const auto& [id, life] : lives_)
        EXPECT_TRUE(life.status == Status::none || life.status == Status::resting)
            << id << " has no end";
    EXPECT_EQ(summed_restarts_, static_cast<int64_t>(count("restarting")));
}

void Model::expect_all_counted() const {
    expect_complete();
    EXPECT_EQ(summed_, final_causes_);
}

}  // namespace sigil::e2e
