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
#include <vector>

#include "core/job.h"
#include "loop/notify_relay.h"
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

// A job of a list that takes the place of the source's.
struct NamedJob {
    std::string name;
    std::shared_ptr<const Job> job;
    bool is_past = false;  // it was taken already, as it stands: if it is gone, it stays so
    uint64_t digest = 0;   // the caller's
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
    bool is_endless = false;        // the source is a stream, of which more may always come
    std::optional<Time> requested;  // when the first start was asked for; else when it is made
    Backoff backoff;
};

// What is known of a job that has a place, or waits for one.
struct JobFacts {
    const std::string& name;
    const char* state;  // "waiting", "ready", "live", "ending", "resting", "gone"
    pid_t pid;          // of its last start; -1: there was none
    Time started_at;    // the same; zero: it does not run
    uint64_t restarts;  // in all
};

// How the jobs of a run have ended; each is counted once, restarts aside.
struct Summary {
    std::array<uint64_t, kCauses> causes = {};  // by Cause; `exited` with a code but 0 too
    uint64_t succeeded = 0;                     // exited with 0
    uint64_t rejected = 0;                      // never started: an invalid line, a cycle
    uint64_t not_started = 0;                   // because of a stop
    uint64_t restarts = 0;
    uint64_t started = 0;        // restarts among them
    uint64_t out_of_memory = 0;  // containers that lost a process to the OOM killer
    int exit_code = 0;           // 0, or the first failure's
};

class FleetObserver : public Observer {
  public:
    // The job has a place: its container is about to be made.
    virtual void created(const Subject& subject) = 0;
    // It serves: once it was started, or where containers tell for themselves, once it has.
    virtual void ready(const Subject& /*subject*/) {}
    // The run as a whole begins to end.
    virtual void run_stopping() {}
    // Whether SIGHUP asks for the jobs to be read anew; then it does.
    [[nodiscard]] virtual bool can_reload() const { return false; }
    virtual void reload() {}
    // It has ended, and starts again after this time; the `attempt`th restart in a row.
    virtual void restarting(const Subject& subject, Time delay, uint64_t attempt) = 0;
    // It is gone for good.
    virtual void gone(const std::string& /*name*/) {}
    // It never started. `line`: of the source, where that is all that is known; else 0.
    virtual void rejected(const std::string& name, uint64_t line, const Error& error) = 0;
    // Every job is gone, and the source has ended. May be told more than once.
    virtual void finished() = 0;
    // Whether there is room for what a further start will have to tell. Once it said no,
    // Fleet::pump() is to be called when there is.
    virtual bool has_room() { return true; }
    // A further stop was asked for, and nothing runs any more that could be stopped.
    virtual void stopped_again() {}
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
    // The container has ended, or could not be started: what it has written is complete. False:
    // something of it is yet to be told, before its end; Fleet::streams_told() follows.
    virtual bool ended(uint64_t tag) = 0;
};

class Fleet final : public Handler, public Observer, public SignalReceiver {
  public:
    Fleet(Reactor& reactor, FleetObserver& observer, const FleetOptions& options);
    // `streams` may be null: everything is inherited.
    void use(Supervisor& supervisor, JobSource& source, StreamProvider* streams);

    // Each container gets a socket to tell of its readiness (--notify container). Those that come
    // after it wait for that.
    void use(NotifyRelay& relay) { relay_ = &relay; }

    // Starts what can be started.
    void pump();
    // The container of that tag has told that it is ready.
    void ready(uint64_t tag);
    // From now on these are the run's jobs, each name once: those that have a place and aren't
    // there are stopped, those that differ are given new limits or are stopped and started anew.
    // Returns those that are to be started, which the source has to give from now on; pump()
    // follows. The order of `after` holds for starts, not for these stops.
    std::vector<NamedJob> replace(std::vector<NamedJob> jobs);
    // Whether the first jobs that may run at a time have all become ready, or have failed; of an
    // endless source, whether one has. A job that is started again has failed, except where
    // containers tell of their readiness: there it may yet become ready.
    [[nodiscard]] bool is_up() const;
    [[nodiscard]] const std::string& name_of(uint64_t tag) const {
        return reinterpret_cast<const Entry*>(tag)->name;
    }
    // A line of the source that is no job.
    void reject_line(uint64_t line, const Error& error);
    // What that container has written was told: its end is next.
    void streams_told(uint64_t tag);
    [[nodiscard]] bool has_room() { return observer_.has_room(); }

    void forward(const Signal& signal) override;
    // Starts no more, and asks every container to end: those that others named in `after` once
    // those have ended. A second request goes to all at once; where nothing runs any more, the
    // observer is told.
    void stop(const Signal& signal) override;
    [[nodiscard]] bool can_reload() const override { return observer_.can_reload(); }
    void reload() override { observer_.reload(); }

    [[nodiscard]] const Summary& summary() const { return summary_; }
    // The first `most` jobs, by their names, of those behind `after`.
    [[nodiscard]] std::vector<JobFacts> jobs(std::string_view after, size_t most) const;
    // The job of that name; null: there is none.
    [[nodiscard]] const Job* job(const std::string& name) const;
    // Calls act(name, cgroup's path) for each container that has a cgroup.
    template <typename Act>
    void for_each_cgroup(Act act) const {
        supervisor_->for_each_cgroup(act);
    }
    [[nodiscard]] uint64_t running() const { return running_; }
    [[nodiscard]] uint64_t ended() const;
    [[nodiscard]] bool is_finished() const;

    void terminal_opened(const Subject& subject, Fd master) override {
        observer_.terminal_opened(subject, std::move(master));
    }
    void started(const Subject& subject, const Outcome& so_far) override;
    void out_of_memory(const Subject& subject, const Outcome& so_far) override;
    void stopping(const Subject& subject) override;
    void ended(const Subject& subject, Outcome&& outcome) override;
    void warning(const Subject& subject, const Error& error) override;
    void complete(const Completion& completion) override;

  private:
    enum class State : uint8_t { waiting, ready, live, ending, resting, gone };
    struct Entry;
    static constexpr uint64_t kMostWaiting = 65'536;  // jobs, which are held in memory
    using Waits = std::multimap<std::string, Entry*>;
    struct Entry {
        std::string name;
        std::shared_ptr<const Job> job;
        State state = State::waiting;
        bool has_started = false;  // those that come after it may start
        bool is_oom = false;
        bool is_ready = false;                 // this time
        bool is_leaving = false;               // the run no longer has this job
        bool has_news = false;                 // limits that came while it was launched
        std::shared_ptr<const Job> successor;  // which starts once it has left
        bool is_settled = false;               // is_up() waits for it no longer
        uint32_t missing = 0;                  // of those named in `after`: not started yet
        uint32_t dependents = 0;               // live ones that named it
        std::vector<Waits::iterator> waits;    // its own of waits_for_
        Token container;
        Token rest;                 // the timer of a backoff
        uint32_t restarts = 0;      // in a row
        uint32_t all_restarts = 0;  // in all
        Time started_at{};          // this time; zero: it has not
        pid_t pid = -1;
        int exit_code = 0;  // of its last end
        Cause cause = Cause::exited;
        std::unique_ptr<Outcome> outcome;  // of an end that isn't told yet
    };

    static uint64_t tag_of(const Entry& entry) { return reinterpret_cast<uint64_t>(&entry); }
    static Entry& entry_of(const Subject& subject) {
        return *reinterpret_cast<Entry*>(subject.tag);
    }
    static Subject subject_of(const Entry& entry) {
        return {entry.name, entry.job->spec, tag_of(entry)};
    }
    Entry* find(const std::string& name);
    bool take_next();
    void admit(std::shared_ptr<const Job> job, std::string name);
    bool closes_cycle(const Entry& entry);
    std::string describe_cycle(const Entry& from);
    void start_ready();
    void start(Entry& entry);
    void fail_start(Entry& entry, const Start& start, Error error);
    void release_dependents(const std::string& name);
    void tell_end(Entry& entry, Outcome&& outcome);
    void go_on_after_end(Entry& entry);
    void rest(Entry& entry);
    void settle(Entry& entry);
    bool wants_restart(const Entry& entry, bool has_failed) const;
    void leave_dependencies(const Entry& entry);
    void conclude(Entry& entry);
    void count(const Entry& entry);
    void fail(int exit_code);
    void remember(const std::string& name);
    [[nodiscard]] bool is_remembered(const std::string& name) const;
    void reject(const std::string& name, uint64_t line, const Error& error);
    void reject_waiting(Entry& entry, const Error& error);
    void reject_dependents(std::string name);
    bool reject_unsatisfiable();
    void drop_idle();
    void drop_rest(Entry& entry);
    void change(Entry& entry, const std::shared_ptr<const Job>& next);
    void tell_limits(Entry& entry);
    void dismiss(Entry& entry, std::shared_ptr<const Job> successor);
    void send_stop(Entry& entry);
    void stop_now(const Signal& signal);
    void stop_all(bool in_order);
    void check_finished();

    Reactor& reactor_;
    FleetObserver& observer_;
    FleetOptions options_;
    Supervisor* supervisor_ = nullptr;
    JobSource* source_ = nullptr;
    StreamProvider* streams_ = nullptr;
    NotifyRelay* relay_ = nullptr;

    std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
    std::deque<Entry*> ready_;
    std::deque<Entry*> rested_;      // to be started again, before any other
    Waits waits_for_;                // by the name that is waited for
    std::deque<NamedJob> replaced_;  // successors: before those of the source
    uint64_t leaving_ = 0;           // that the run no longer has
    std::deque<std::string> lost_;   // never started: their dependents can't either
    // Digests of names that have started and are gone, the latest last: eight bytes each, and
    // looked through for a job that names one of them.
    std::deque<size_t> remembered_;
    SlotTable<Entry*> rests_;
    uint64_t waiting_ = 0;
    uint64_t places_taken_ = 0;
    uint64_t running_ = 0;
    uint64_t unsettled_ = 0;       // that have a place, of the first
    bool takes_first_ = true;      // what gets a place is one of the first
    bool has_been_ready_ = false;  // any
    bool source_ended_ = false;
    bool is_stopping_ = false;
    bool was_asked_to_stop_ = false;  // from outside
    bool is_pumping_ = false;
    bool is_rejecting_ = false;
    Signal stop_signal_;
    Summary summary_;
};

}  // namespace sigil::loop
