// What must be true of the events of a run, whatever its containers do and whatever is done to
// them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ios>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "report.h"

namespace sigil::e2e {

// What a container does if it is left alone.
struct Habit {
    std::optional<int> code;        // it ends with this one
    std::set<std::string> signals;  // or by one of these
    bool has_timeout = false;
    bool takes_too_much = false;  // memory, if nothing else ends it first
    bool may_fail = false;        // its launch
};

class Model {
  public:
    // A container of this id may come, now or later.
    void expect(const std::string& id, const Habit& habit) { habits_[id] = habit; }
    // Its process was killed by us.
    void was_killed(pid_t pid) { killed_.insert(pid); }
    // Takes the next line of the events; a failed test where it can't be true.
    void take(std::string_view line);
    // How many lines were taken.
    [[nodiscard]] int64_t taken() const { return sequence_; }
    // Takes what was added to a file of them since the last time.
    void read(const std::string& path);

    // Who runs, by pid.
    [[nodiscard]] const std::map<pid_t, std::string>& live() const { return live_; }
    // Whom that one runs as; -1: it does not run.
    [[nodiscard]] pid_t pid_of(const std::string& id) const;
    // Whether that one alone runs, and none is under way.
    [[nodiscard]] bool is_alone(const std::string& id) const;
    [[nodiscard]] uint64_t count(const std::string& event) const;
    [[nodiscard]] bool is_over() const { return count("summary") > 0; }
    // What was told of how many ended, by cause.
    [[nodiscard]] const std::map<std::string, uint64_t>& causes() const { return causes_; }
    // At the end of a run: everybody has ended, and the summary has counted each restart.
    void expect_complete() const;
    // The same of a run whose jobs were never replaced: and each end that was not a restart's.
    void expect_all_counted() const;

  private:
    enum class Status { none, created, running, resting };
    struct Life {
        Status status = Status::none;
        bool is_stopping = false;
        pid_t pid = -1;
        std::string cause;  // of its last end
    };

    void began(const std::string& id, Life& life, pid_t pid);
    void ended(const std::string& id, Life& life, const rapidjson::Document& event);

    std::map<std::string, Habit> habits_;
    std::map<std::string, Life> lives_;
    std::map<pid_t, std::string> live_;
    std::set<pid_t> killed_;
    std::map<std::string, uint64_t> counts_;
    std::map<std::string, uint64_t> causes_;
    std::map<std::string, int64_t> final_causes_;  // without those that were restarted
    std::map<std::string, int64_t> summed_;        // the same, by the summary
    int64_t sequence_ = 0;
    int64_t time_ = 0;
    int64_t summed_restarts_ = -1;
    std::streamoff read_ = 0;
};

}  // namespace sigil::e2e
