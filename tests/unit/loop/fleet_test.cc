// Which of many jobs starts when, and again: on a fake ring, with a launcher that launches nothing.
#include "loop/fleet.h"

#include <deque>
#include <map>

#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

using namespace std::chrono_literals;

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
    void ended(const Subject& subject, const Outcome& outcome) override {
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

    // What came since it was asked last.
    Log take() { return std::exchange(log_, {}); }

    std::vector<Time> delays;
    bool is_finished = false;

  private:
    void add(const std::string& name, const std::string& what) {
        log_.push_back(name + " " + what);
    }
    Log log_;
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
            fleet_->use(*supervisor_, source, nullptr);
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

// ---- places -------------------------------------------------------------------------------------

TEST_F(FleetTest, StartsAllWhereThereIsRoom) {
    run({{"a"}, {"b"}, {"c"}});
    EXPECT_EQ(launches(), (Log{"a", "b", "c"}));
    EXPECT_EQ(record.take(), (Log{"a created", "b created", "c created"}));
    EXPECT_EQ(fleet().running(), 3U);
    EXPECT_FALSE(record.is_finished);
}

TEST_F(FleetTest, IsFinishedAtOnceWithoutJobs) {
    run({});
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 0);
}

TEST_F(FleetTest, TakesNoMoreJobsThanItHasPlaces) {
    options.most_live = 2;
    run({{"a"}, {"b"}, {"c"}, {"d"}});
    EXPECT_EQ(launches(), (Log{"a", "b"}));
    EXPECT_EQ(source.jobs.size(), 2U) << "what has no place stays in its source";
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"c"});
    run_to_end("b", 0);
    run_to_end("c", 0);
    run_to_end("d", 0);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().succeeded, 4U);
    EXPECT_EQ(fleet().ended(), 4U);
    EXPECT_EQ(fleet().running(), 0U);
}

TEST_F(FleetTest, AFailedLaunchGivesItsPlaceBack) {
    options.most_live = 1;
    run({{"a"}, {"b"}});
    fail_launch("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a failed", "b created"}));
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
}

TEST_F(FleetTest, AsksALaterSourceWhenPumped) {
    source.is_open = true;
    run({{"a"}});
    run_to_end("a", 0);
    EXPECT_FALSE(record.is_finished);
    add({"b"});
    EXPECT_EQ(launches(), Log{});
    fleet().pump();
    EXPECT_EQ(launches(), Log{"b"});
    run_to_end("b", 0);
    source.is_open = false;
    fleet().pump();
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RejectsANameThatIsTaken) {
    options.most_live = 2;
    run({{"a"}, {"a"}});
    EXPECT_EQ(record.take(),
              (Log{"a created", "a rejected: another container of that name is running"}));
    run_to_end("a", 0);
    EXPECT_EQ(fleet().summary().rejected, 1U);
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, TakesANameThatIsFreeAgain) {
    options.most_live = 1;
    run({{"a"}, {"a"}});
    run_to_end("a", 0);
    run_to_end("a", 0);
    EXPECT_EQ(fleet().summary().succeeded, 2U);
    EXPECT_EQ(fleet().summary().rejected, 0U);
}

TEST_F(FleetTest, CountsEachEndByItsCause) {
    run({{"a"}, {"b"}, {"c"}, {"d"}});
    run_to_end("a", 0);
    run_to_end("b", 3);
    launch("c", Child::run([] { return ::raise(SIGKILL); }));
    end("c");
    fail_launch("d");
    const Summary& summary = fleet().summary();
    EXPECT_EQ(summary.causes, (std::array<uint64_t, kCauses>{1, 2, 1, 0, 0, 0}));
    EXPECT_EQ(summary.succeeded, 1U);
    EXPECT_EQ(summary.exit_code, 3) << "the first failure's";
    EXPECT_EQ(fleet().ended(), 4U);
}

TEST_F(FleetTest, ALineThatIsNoJobIsRejected) {
    source.is_open = true;
    run({{"a"}});
    fleet().reject_line(2, Error::because("no JSON"));
    (void)launches();
    EXPECT_EQ(record.take(), (Log{"a created", "line 2 rejected: no JSON"}));
    EXPECT_EQ(fleet().summary().rejected, 1U);
    EXPECT_EQ(fleet().summary().exit_code, kExitRuntimeFailure);
}

// ---- after --------------------------------------------------------------------------------------

TEST_F(FleetTest, StartsADependentOnceTheOtherHasStarted) {
    run({{"a"}, {"b", {"a"}}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, ADependentMayComeBeforeWhatItNames) {
    run({{"b", {"a"}}, {"a"}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, ADependentWaitsForAllThatItNames) {
    run({{"c", {"a", "b", "a"}}, {"a"}, {"b"}});
    launch("a");
    EXPECT_EQ(launches(), Log{});
    launch("b");
    EXPECT_EQ(launches(), Log{"c"});
}

TEST_F(FleetTest, ADependentOfWhatIsGoneStarts) {
    options.most_live = 1;
    run({{"a"}, {"b", {"a"}}});
    run_to_end("a", 1);
    EXPECT_EQ(launches(), Log{"b"}) << "it has started, whatever became of it";
}

TEST_F(FleetTest, AWaitingJobTakesNoPlace) {
    options.most_live = 1;
    run({{"b", {"a"}}, {"a"}});
    EXPECT_EQ(launches(), Log{"a"});
    launch("a", Child::exiting(0));
    EXPECT_EQ(launches(), Log{}) << "the only place is taken";
    end("a");
    EXPECT_EQ(launches(), Log{"b"});
}

TEST_F(FleetTest, RejectsTheDependentsOfWhatDidNotStart) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}, {"d"}});
    fail_launch("a");
    EXPECT_EQ(record.take(),
              (Log{"a created", "d created", "a failed", "b rejected: after: a did not start",
                   "c rejected: after: b did not start"}));
    run_to_end("d", 0);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 2U);
}

TEST_F(FleetTest, RejectsWhatWaitsForNobodyOnceAllIsOver) {
    run({{"a"}, {"b", {"ghost"}}, {"c", {"a"}}});
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"c"});
    (void)record.take();
    run_to_end("c", 0);
    EXPECT_EQ(record.take(), (Log{"c started", "c exited",
                                  "b rejected: after: there is no container named ghost"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, TellsOfAnUnknownNameBeforeItsConsequences) {
    run({{"b", {"zero"}}, {"c", {"b"}}});
    EXPECT_EQ(record.take(), (Log{"b rejected: after: there is no container named zero",
                                  "c rejected: after: b did not start"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RejectsACycleAndWhatWaitsForIt) {
    run({{"a", {"b"}}, {"b", {"c"}}, {"d", {"a"}}, {"c", {"a"}}});
    EXPECT_EQ(record.take(),
              (Log{"c rejected: after: a cycle: c is after a is after b is after c",
                   "b rejected: after: c did not start", "a rejected: after: b did not start",
                   "d rejected: after: a did not start"}));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 4U);
}

TEST_F(FleetTest, RejectsWhatIsAfterItself) {
    run({{"a", {"a"}}});
    EXPECT_EQ(record.take(), Log{"a rejected: after: a cycle: a is after a"});
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ADiamondIsNoCycle) {
    run({{"d", {"b", "c"}}, {"b", {"a"}}, {"c", {"a"}}, {"a"}});
    launch("a");
    EXPECT_EQ(launches(), (Log{"b", "c"}));
}

// ---- restarts -----------------------------------------------------------------------------------

TEST_F(FleetTest, RestartsWhatFailed) {
    run({{"a", {}, kOnFailure}});
    run_to_end("a", 1);
    EXPECT_EQ(record.take(), (Log{"a created", "a started", "a exited", "a restarting 1"}));
    EXPECT_EQ(launches(), Log{});
    wake();
    EXPECT_EQ(launches(), Log{"a"});
    run_to_end("a", 0);
    EXPECT_EQ(record.take(), (Log{"a started", "a exited"}));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 0) << "only the last end counts";
    EXPECT_EQ(fleet().summary().restarts, 1U);
}

TEST_F(FleetTest, AlwaysRestartsASuccessToo) {
    run({{"a", {}, kAlways}, {"b", {}, kOnFailure}, {"c"}});
    for (const char* name : {"a", "b", "c"})
        run_to_end(name, 0);
    EXPECT_EQ(fleet().summary().restarts, 1U);
    EXPECT_EQ(fleet().summary().succeeded, 2U);
}

TEST_F(FleetTest, RestartsNoMoreOftenThanItsPolicySays) {
    run({{"a", {}, {RestartPolicy::on_failure, 2}}});
    for (int restart = 0; restart < 2; ++restart) {
        run_to_end("a", 9);
        wake();
    }
    run_to_end("a", 9);
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 9);
    EXPECT_EQ(fleet().ended(), 1U);
}

TEST_F(FleetTest, RestartsAFailedLaunch) {
    run({{"a", {}, {RestartPolicy::on_failure, 1}}});
    fail_launch("a");
    wake();
    fail_launch("a");
    EXPECT_EQ(record.take(), (Log{"a created", "a failed", "a restarting 1", "a failed"}));
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, RestsTwiceAsLongEachTimeUpToTheLongest) {
    options.backoff = {.first = 100ms, .longest = 1s, .well = 10s};
    run({{"a", {}, kAlways}});
    for (Time whole : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
        const Time before = sys::monotonic_now();
        run_to_end("a", 0);
        const Time after = sys::monotonic_now();
        const Time delay = record.delays.back();
        EXPECT_GE(delay, whole / 2);
        EXPECT_LE(delay, whole);
        EXPECT_GE(ring.find(rest())->at, before + delay);
        EXPECT_LE(ring.find(rest())->at, after + delay);
        wake();
    }
}

TEST_F(FleetTest, RestsNoLongerThanTheLongestHoweverOftenItFailed) {
    options.backoff = {.first = 100ms, .longest = 30s, .well = 1h};
    run({{"a", {}, kAlways}});
    for (int restart = 0; restart < 70; ++restart) {
        run_to_end("a", 0);
        EXPECT_GT(record.delays.back(), 0ms);
        EXPECT_LE(record.delays.back(), 30s);
        wake();
    }
    EXPECT_GE(record.delays.back(), 15s);
}

TEST_F(FleetTest, StartsAgainFromTheFirstDelayAfterItRanWell) {
    run({{"a", {}, {RestartPolicy::always, 3}}});
    for (int restart = 0; restart < 3; ++restart) {
        run_to_end("a", 1);
        wake();
    }
    age = 11s;
    (void)record.take();
    run_to_end("a", 1);
    EXPECT_EQ(record.take(), (Log{"a started", "a exited", "a restarting 1"}))
        << "the count of restarts begins again too";
    EXPECT_LE(record.delays.back(), 100ms);
}

// That it once ran well is no merit of a launch that fails.
TEST_F(FleetTest, AFailedLaunchDidNotRunWell) {
    run({{"a", {}, {RestartPolicy::on_failure, 2}}});
    age = 11s;
    run_to_end("a", 1);
    for (const char* told : {"a restarting 2", "a failed"}) {
        wake();
        fail_launch("a");
        EXPECT_EQ(record.take().back(), told);
    }
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ARestingContainerKeepsItsPlace) {
    options.most_live = 1;
    run({{"a", {}, kOnFailure}, {"b"}});
    run_to_end("a", 1);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().running(), 0U);
    wake();
    run_to_end("a", 0);
    EXPECT_EQ(launches(), Log{"b"});
}

// ---- stops --------------------------------------------------------------------------------------

TEST_F(FleetTest, AStopAsksWhatRunsAndStartsNoMore) {
    options.most_live = 2;
    run({{"a"}, {"b"}, {"c"}});
    launch("a");
    launch("b");
    stop();
    for (const char* name : {"a", "b"})
        end_by_stop(name);
    settle();
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().summary().causes[static_cast<size_t>(Cause::stopped)], 2U);
    EXPECT_EQ(fleet().summary().exit_code, 128 + SIGTERM);
}

TEST_F(FleetTest, AStopGoesToDependentsFirst) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}});
    for (const char* name : {"a", "b", "c"})
        launch(name);
    (void)record.take();
    stop();
    EXPECT_EQ(record.take(), Log{"c stopping"});
    end_by_stop("c");
    EXPECT_EQ(record.take(), (Log{"c stopped", "b stopping"}));
    end_by_stop("b");
    EXPECT_EQ(record.take(), (Log{"b stopped", "a stopping"}));
    end_by_stop("a");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, ASecondStopGoesToAllAtOnce) {
    run({{"a"}, {"b", {"a"}}});
    launch("a");
    launch("b");
    (void)record.take();
    stop();
    EXPECT_EQ(record.take(), Log{"b stopping"});
    stop();
    EXPECT_EQ(record.take(), Log{"a stopping"});
    end_by_stop("a");
    end_by_stop("b");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, AStopEndsARest) {
    run({{"a", {}, kOnFailure}});
    run_to_end("a", 5);
    const Token timer = rest();
    stop();
    EXPECT_TRUE(ring.was_cancelled(timer));
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().exit_code, 5) << "as it has ended last";
    EXPECT_EQ(fleet().ended(), 1U);
    settle();
    EXPECT_EQ(launches(), Log{});
}

// The timer had completed before the cancel reached it.
TEST_F(FleetTest, ARestThatEndsWithAStopStartsNothing) {
    run({{"a", {}, kOnFailure}, {"b"}});
    launch("b");
    run_to_end("a", 5);
    ring.complete(rest(), -ETIME);
    stop();
    turn();
    settle();
    EXPECT_EQ(launches(), Log{});
    end_by_stop("b");
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, AStopDropsWhatWaits) {
    run({{"a"}, {"b", {"a"}}, {"c", {"b"}}});
    stop();
    EXPECT_EQ(fleet().summary().not_started, 2U);
    fail_launch("a");
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().rejected, 0U);
    EXPECT_EQ(fleet().summary().not_started, 2U);
}

TEST_F(FleetTest, AStoppedContainerIsNotRestarted) {
    run({{"a", {}, kAlways}});
    launch("a");
    stop();
    end_by_stop("a");
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(fleet().summary().restarts, 0U);
}

TEST_F(FleetTest, AStopBeforeAnyJobFinishesAtOnce) {
    source.is_open = true;
    run({});
    stop();
    EXPECT_TRUE(record.is_finished);
}

TEST_F(FleetTest, FailFastStopsTheRestAtTheFirstFailure) {
    options.fail_fast = true;
    options.most_live = 3;
    run({{"a"}, {"b"}, {"c", {}, kAlways}, {"d"}});
    launch("b");
    run_to_end("c", 0);  // rests
    run_to_end("a", 7);
    EXPECT_TRUE(ring.was_cancelled(rest()));
    end_by_stop("b");
    settle();
    EXPECT_TRUE(record.is_finished);
    EXPECT_EQ(launches(), Log{});
    EXPECT_EQ(fleet().summary().exit_code, 7);
}

TEST_F(FleetTest, FailFastLetsARestartedFailureBe) {
    options.fail_fast = true;
    run({{"a", {}, kOnFailure}, {"b"}});
    launch("b");
    run_to_end("a", 7);
    EXPECT_FALSE(was_asked("b"));
    EXPECT_EQ(fleet().summary().exit_code, 0);
}

TEST_F(FleetTest, FailFastTakesARejectedJobForAFailure) {
    options.fail_fast = true;
    run({{"b", {"a", "b"}}, {"c", {"b"}}, {"a"}, {"d"}});
    EXPECT_EQ(launches(), Log{});
    EXPECT_TRUE(record.is_finished);
}

}  // namespace
}  // namespace sigil::loop
