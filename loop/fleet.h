// Many containers of one run: which start, when, and again after they have ended. What one
// container goes through between its start and its end is the supervisor's; a restart is a new
// container.
//
//     source ─▶ admitted ─▶ waiting (for those named in `after`) ─▶ ready ─▶ live ─▶ gone
//                                                                    ▲        │ ended
//                                                     timer: backoff ◀────────┘ as its policy says
//
// A job takes one of the places (`most_live`) from its first start until it is gone for good. Jobs
// are taken from the source only as places become free, so a source of any length needs no memory.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/job.h"
#include "loop/reactor.h"
#include "loop/signals.h"
#include "loop/slot_table.h"
#include "loop/supervisor.h"

namespace sigil::loop {

// Where jobs come from.
class JobSource {
  public:
    enum class Answer : uint8_t {
        job,
        later,  // none now; Fleet::pump() is to be called when there is one
        end,
    };
    virtual ~JobSource() = default;
    virtual Answer next(std::shared_ptr<const Job>& job, std::string& name) = 0;
};

// Waiting times between restarts: doubled each time, up to the longest; a container that ran for
// `well` starts again from the first. Each is shortened by up to half at random, so that what
// failed together doesn't come back together.
struct Backoff {
    Time first = std::chrono::milliseconds(100);
    Time longest = std::chrono::seconds(30);
    Time well = std::chrono::seconds(10);
};

struct FleetOptions {
    uint64_t most_live = UINT64_MAX;
    bool fail_fast = false;         // the first failure stops the rest
    std::optional<Time> requested;  // when the first start was asked for; else when it is made
    Backoff backoff;
};

// How the jobs of a run have ended; each is counted once, restarts aside.
struct Summary {
    std::array<uint64_t, kCauses> causes = {};  // by Cause; `exited` with a code but 0 too
    uint64_t succeeded = 0;                     // exited with 0
    uint64_t rejected = 0;                      // never started: an invalid line, a cycle
    uint64_t not_started = 0;                   // because of a stop
    uint64_t restarts = 0;
    uint64_t out_of_memory = 0;  // containers that lost a process to the OOM killer
    int exit_code = 0;           // 0, or the first failure's
};

class FleetObserver : public Observer {
  public:
    // The job has a place: its container is about to be made.
    virtual void created(const Subject& subject) = 0;
    // It has ended, and starts again after this time; the `attempt`th restart in a row.
    virtual void restarting(const Subject& subject, Time delay, uint64_t attempt) = 0;
    // It never started. `line`: of the source, where that is all that is known; else 0.
    virtual void rejected(const std::string& name, uint64_t line, const Error& error) = 0;
    // Every job is gone, and the source has ended. May be told more than once.
    virtual void finished() = 0;
};

// What a start needs of the caller's: where the streams go.
class StreamProvider {
  public:
    virtual ~StreamProvider() = default;
    // Descriptors for the command's streams, kept open until closed() with the same tag.
    virtual Result<isolation::Streams> open(const Job& job, const std::string& name, uint64_t tag,
                                            bool is_restart) = 0;
    // The launch has taken them, or has failed.
    virtual void close(uint64_t tag) = 0;
    // The container has ended, or could not be started: what it has written is complete.
    virtual void ended(uint64_t tag) = 0;
};

class Fleet final : public Handler, public Observer, public SignalReceiver {
  public:
    Fleet(Reactor& reactor, FleetObserver& observer, const FleetOptions& options);
    // `streams` may be null: everything is inherited.
    void use(Supervisor& supervisor, JobSource& source, StreamProvider* streams);

    // Starts what can be started.
    void pump();
    // A line of the source that is no job.
    void reject_line(uint64_t line, const Error& error);

    void forward(const Signal& signal) override;
    // Starts no more, and asks every container to end: those that others named in `after` once
    // those have ended. A second request goes to all at once.
    void stop(const Signal& signal) override;

    [[nodiscard]] const Summary& summary() const { return summary_; }
    [[nodiscard]] uint64_t running() const { return running_; }
    [[nodiscard]] uint64_t ended() const;
    [[nodiscard]] bool is_finished() const;

    void started(const Subject& subject, const Outcome& so_far) override;
    void out_of_memory(const Subject& subject, const Outcome& so_far) override;
    void stopping(const Subject& subject) override;
    void ended(const Subject& subject, const Outcome& outcome) override;
    void warning(const Subject& subject, const Error& error) override;
    void complete(const Completion& completion) override;

  private:
    enum class State : uint8_t { waiting, ready, live, resting, gone };
    struct Entry {
        std::string name;
        std::shared_ptr<const Job> job;
        State state = State::waiting;
        bool has_started = false;  // those that come after it may start
        bool is_oom = false;
        uint32_t missing = 0;     // of those named in `after`: not started yet
        uint32_t dependents = 0;  // live ones that named it
        Token container;
        Token rest;             // the timer of a backoff
        uint64_t restarts = 0;  // in a row
        Time started_at{};      // this time; zero: it has not
        int exit_code = 0;      // of its last end
        Cause cause = Cause::exited;
    };

    static uint64_t tag_of(const Entry& entry) { return reinterpret_cast<uint64_t>(&entry); }
    static Entry& entry_of(const Subject& subject) {
        return *reinterpret_cast<Entry*>(subject.tag);
    }
    Entry* find(const std::string& name);
    bool take_next();
    void admit(std::shared_ptr<const Job> job, std::string name);
    std::string find_cycle(const Entry& from);
    void start(Entry& entry);
    void release_dependents(const std::string& name);
    void rest(Entry& entry);
    bool wants_restart(const Entry& entry, bool has_failed) const;
    void leave_dependencies(const Entry& entry);
    void conclude(Entry& entry);
    void count(const Entry& entry);
    void fail(int exit_code);
    void remember(const std::string& name);
    void reject(const std::string& name, uint64_t line, const Error& error);
    void reject_waiting(Entry& entry, const Error& error);
    void reject_unsatisfiable();
    void drop_idle();
    void send_stop(Entry& entry);
    void stop_all(bool in_order);
    void check_finished();

    Reactor& reactor_;
    FleetObserver& observer_;
    FleetOptions options_;
    Supervisor* supervisor_ = nullptr;
    JobSource* source_ = nullptr;
    StreamProvider* streams_ = nullptr;

    std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
    std::deque<Entry*> ready_;
    std::multimap<std::string, Entry*> waits_for_;  // by the name that is waited for
    std::unordered_set<std::string> remembered_;    // that have started and are gone
    std::deque<std::string> remembered_order_;      // the same, the latest last
    SlotTable<Entry*> rests_;
    uint64_t waiting_ = 0;
    uint64_t places_taken_ = 0;
    uint64_t running_ = 0;
    bool source_ended_ = false;
    bool is_stopping_ = false;
    bool is_pumping_ = false;
    Signal stop_signal_;
    Summary summary_;
};

}  // namespace sigil::loop
