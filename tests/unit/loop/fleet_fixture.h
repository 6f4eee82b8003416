// A fleet on a fake ring, with jobs of the test's and a launcher that launches nothing.
#pragma once

#include <deque>
#include <map>

#include "loop/fleet.h"
#include "loop/supervisor_fixture.h"

namespace sigil::loop {

// Remembers the names of what is to be launched.
class NamedLauncher final : public Launcher {
  public:
    void launch(Token token, const isolation::LaunchRequest& request) override {
        launched.emplace_back(request.name, token);
    }
    void cancel(Token token) override { cancelled.push_back(token); }

    std::vector<std::pair<std::string, Token>> launched;
    std::vector<Token> cancelled;
};

class ListedJobs final : public JobSource {
  public:
    Answer next(std::shared_ptr<const Job>& job, std::string& name) override {
        if (jobs.empty())
            return is_open ? Answer::later : Answer::end;
        name = jobs.front()->spec.name;
        job = std::move(jobs.front());
        jobs.pop_front();
        return Answer::job;
    }

    std::deque<std::shared_ptr<const Job>> jobs;
    bool is_open = false;  // more are to come
};

// Writes down what is told; starts and ends without their pid or code.
class FleetRecord final : public FleetObserver {
  public:
    void created(const Subject& subject) override { add(subject.name, "created"); }
    void started(const Subject& subject, const Outcome&) override { add(subject.name, "started"); }
    void out_of_memory(const Subject& subject, const Outcome&) override {
        add(subject.name, "oom");
    }
    void stopping(const Subject& subject) override { add(subject.name, "stopping"); }
    void ended(const Subject& subject, Outcome&& outcome) override {
        add(subject.name, name(outcome.cause));
    }
    void restarting(const Subject& subject, Time delay, uint64_t attempt) override {
        add(subject.name, fmt::format("restarting {}", attempt));
        delays.push_back(delay);
    }
    void rejected(const std::string& name, uint64_t line, const Error& error) override {
        add(line == 0 ? name : fmt::format("line {}", line), "rejected: " + error.message());
    }
    void warning(const Subject& subject, const Error& error) override {
        add(subject.name, "warning: " + error.message());
    }
    void finished() override { is_finished = true; }
    bool has_room() override { return room; }
    void stopped_again() override { log_.push_back("stopped again"); }

    // What came since it was asked last.
    Log take() { return std::exchange(log_, {}); }

    std::vector<Time> delays;
    bool is_finished = false;
    bool room = true;

  private:
    void add(const std::string& name, const std::string& what) {
        log_.push_back(name + " " + what);
    }
    Log log_;
};

// Streams whose content is told when the test says so.
class SlowStreams final : public StreamProvider {
  public:
    Result<isolation::Streams> open(const Job&, const std::string&, uint64_t, bool) override {
        return isolation::kInheritedStreams;
    }
    void close(uint64_t) override {}
    bool ended(uint64_t tag) override {
        if (is_told)
            return true;
        waiting.push_back(tag);
        return false;
    }

    bool is_told = false;
    std::vector<uint64_t> waiting;
};

struct Wanted {
    std::string name;
    std::vector<std::string> after;
    RestartPolicy restart;
};

class FleetTest : public ::testing::Test {
  protected:
    FleetTest() { reactor.use(ring); }

    // The fleet of a test; its options are set before the first job.
    Fleet& fleet() {
        if (!fleet_) {
            fleet_.emplace(reactor, record, options);
            supervisor_.emplace(reactor, launcher, *fleet_);
            fleet_->use(*supervisor_, source, streams);
        }
        return *fleet_;
    }
    void add(const Wanted& wanted) {
        auto job = std::make_shared<Job>();
        job->spec.name = wanted.name;
        job->after = wanted.after;
        job->restart = wanted.restart;
        source.jobs.push_back(std::move(job));
    }
    void run(const std::vector<Wanted>& all) {
        for (const Wanted& wanted : all)
            add(wanted);
        fleet().pump();
    }
    // Names of what was handed to the launcher since it was asked last.
    Log launches() {
        Log names;
        for (const auto& [name, token] : std::exchange(launcher.launched, {})) {
            names.push_back(name);
            tokens_[name] = token;
        }
        return names;
    }
    // Its process runs.
    void launch(const std::string& name, Child child) {
        (void)launches();
        isolation::LaunchOutcome outcome;
        outcome.process = child.process();
        outcome.times.cloned = outcome.times.isolated = outcome.times.executed =
            sys::monotonic_now() - age;
        children_.insert_or_assign(name, std::make_unique<Child>(std::move(child)));
        supervisor_->launched(tokens_.at(name), std::move(outcome));
    }
    void launch(const std::string& name) { launch(name, Child::pausing()); }
    // There was none.
    void fail_launch(const std::string& name) {
        (void)launches();
        isolation::LaunchOutcome outcome;
        outcome.error = Error::because("no launch");
        supervisor_->launched(tokens_.at(name), std::move(outcome));
    }
    // The kernel tells of its end.
    void end(const std::string& name) {
        children_.at(name)->await_end();
        ring.complete(tokens_.at(name).with(Operation::exit), POLLIN);
        turn();
    }
    void run_to_end(const std::string& name, int code) {
        launch(name, Child::exiting(code));
        end(name);
    }
    // It is asked to end by a stop, and does.
    void end_by_stop(const std::string& name) { end(name); }
    void turn() {
        auto turned = reactor.turn();
        EXPECT_TRUE(turned) << turned.error().message();
    }
    void settle() {
        while (ring.work_off_cancels())
            turn();
    }
    // The timer of a backoff; the table of them is the fleet's own.
    [[nodiscard]] Token rest(uint32_t slot = 0) const {
        for (uint32_t generation = 0; generation < 100; ++generation) {
            const Token token = {Source::fleet, Operation::restart, generation, slot};
            if (ring.has(token))
                return token;
        }
        return {};
    }
    void wake() {
        ring.complete(rest(), -ETIME);
        turn();
    }
    [[nodiscard]] bool was_asked(const std::string& name) const {
        return children_.at(name)->has_ended();
    }
    void stop() { fleet().stop({.number = SIGTERM, .value = {}}); }

    FakeRing ring;
    Reactor reactor;
    NamedLauncher launcher;
    FleetRecord record;
    ListedJobs source;
    StreamProvider* streams = nullptr;
    FleetOptions options;
    Time age{};  // how long ago what is launched has started

  private:
    std::optional<Fleet> fleet_;
    std::optional<Supervisor> supervisor_;
    std::map<std::string, Token> tokens_;
    std::map<std::string, std::unique_ptr<Child>> children_;
};

constexpr RestartPolicy kAlways = {RestartPolicy::always, 0};
constexpr RestartPolicy kOnFailure = {RestartPolicy::on_failure, 0};

}  // namespace sigil::loop
