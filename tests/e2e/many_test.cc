// `sigil run --count`: many containers under one supervisor, and stops of all.
#include "many.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "cgroups.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Many = E2e;

TEST_F(Many, EachHasANumberedNameAndHostname) {
    const ManyRun run = run_many({"--count", "5"}, {"hostname"});
    EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(run.finished);
    EXPECT_EQ(run.events.ids(),
              (std::set<std::string>{"web-1", "web-2", "web-3", "web-4", "web-5"}));
    for (unsigned number = 1; number <= 5; ++number)
        EXPECT_EQ(run.outputs.log(numbered("web", number)), numbered("web", number) + "\n");
}

TEST_F(Many, AHostnameThatIsGivenIsEverybodys) {
    const ManyRun run = run_many({"--count", "2", "--hostname", "box"}, {"hostname"});
    EXPECT_EQ(run.outputs.log("web-1"), "box\n");
    EXPECT_EQ(run.outputs.log("web-2"), "box\n");
}

TEST_F(Many, EndsWithTheFirstFailuresCode) {
    const ManyRun run = run_many_script({"--count", "5", "--jobs", "1"},
                                        "case $(hostname) in web-3) exit 7;; web-4) exit 9;; esac");
    EXPECT_EQ(run.finished.code(), 7);
    EXPECT_EQ(run.events.summary("exit_code"), 7);
    EXPECT_EQ(run.events.summary("exited"), 5);
    EXPECT_EQ(run.events.summary("succeeded"), 3);
}

TEST_F(Many, OneAloneIsNumberedToo) {
    const ManyRun run = run_many({"--count", "1"}, {"/bin/probe", "die", "TERM"});
    EXPECT_EQ(run.finished.code(), 128 + SIGTERM);
    EXPECT_EQ(run.events.ids(), std::set<std::string>{"web-1"});
    EXPECT_EQ(run.events.summary("signaled"), 1);
}

TEST_F(Many, ReportHasOneLineForEach) {
    const ManyRun run = run_many_script({"--count", "4"}, "exit 3");
    const auto lines = lines_of(read_file(run.outputs.reports));
    ASSERT_EQ(lines.size(), 4U);
    std::set<std::string> ids;
    for (const std::string& line : lines) {
        const auto report = parse_report(line + "\n");
        EXPECT_EQ(report["exit_code"].GetInt(), 3);
        ids.insert(report["id"].GetString());
    }
    EXPECT_EQ(ids, run.events.ids());
}

TEST_F(Many, HundredsAreAllCounted) {
    const unsigned count = scaled(500, 60);
    const ManyRun run =
        run_many({"--count", std::to_string(count), "--jobs", "16"}, {"/bin/bare", "0"});
    EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(run.finished);
    EXPECT_EQ(run.events.summary("succeeded"), count);
    EXPECT_EQ(run.events.count("exited"), count);
    EXPECT_EQ(run.events.ids().size(), count);
    EXPECT_EQ(lines_of(read_file(run.outputs.reports)).size(), count);
}

TEST_F(Many, AnyNumberOfLaunchersWillDo) {
    for (const char* launchers : {"1", "2", "16"})
        for (const Words& mode : {Words{}, Words{"--no-init"}, Words{"--network", "host"}}) {
            Words options = {"--count", "20", "--launchers", launchers};
            options.insert(options.end(), mode.begin(), mode.end());
            const ManyRun run = run_many(options, {"/bin/bare", "0"});
            EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(run.finished);
            EXPECT_EQ(run.events.summary("succeeded"), 20) << launchers;
        }
}

TEST_F(Many, NoMoreThanJobsLiveAtATime) {
    const ManyRun run = run_many_script({"--count", "12", "--jobs", "3"}, "sleep 0.02");
    EXPECT_EQ(run.finished.code(), 0);
    int live = 0;
    int most = 0;
    for (const auto& event : run.events.all()) {
        live += EventLog::text(event, "event") == "created";
        live -= EventLog::text(event, "event") == "exited";
        most = std::max(most, live);
    }
    EXPECT_EQ(most, 3);
}

TEST_F(Many, AMissingCommandIsAnErrorOfEach) {
    const ManyRun run = run_many({"--count", "3"}, {"/bin/nope"});
    EXPECT_EQ(run.finished.code(), 127);
    for (unsigned number = 1; number <= 3; ++number) {
        EXPECT_EQ(run.events.of(numbered("web", number)), (Words{"created", "error", "exited"}));
        EXPECT_NE(run.finished.err.find(numbered("sigil: web", number) + ": "), std::string::npos)
            << run.finished.err;
    }
    EXPECT_EQ(run.events.summary("failed"), 3);
    for (const auto* error : run.events.named("error")) {
        EXPECT_EQ(EventLog::number(*error, "exit_code"), 127);
        EXPECT_NE(EventLog::text(*error, "error").find("/bin/nope"), std::string::npos);
    }
}

TEST_F(Many, ARootfsThatIsMissingIsAnErrorOfEach) {
    const Outputs outputs;
    Words words = {"run", "--rootfs", outputs.directory + "/none"};
    for (const std::string& word : outputs.with({"--count", "3", "--", "true"}))
        words.push_back(word);
    EXPECT_EQ(run_program(sigil(words)).code(), 125);
    EXPECT_EQ(EventLog(outputs.events).summary("failed"), 3);
}

TEST_F(Many, FailFastStopsTheRest) {
    const ManyRun run = run_many_script({"--count", "50", "--jobs", "4", "--fail-fast"},
                                        "[ $(hostname) = web-2 ] && exit 3; exec sleep 100000");
    EXPECT_EQ(run.finished.code(), 3) << testing::PrintToString(run.finished);
    EXPECT_EQ(run.events.summary("exited"), 1);
    EXPECT_EQ(run.events.summary("stopped"), 3);
    EXPECT_EQ(run.events.summary("not_started"), 0) << "none is taken before it has a place";
    EXPECT_EQ(run.events.count("created"), 4U);
}

// ---- stops --------------------------------------------------------------------------------------

TEST_F(Many, AStopEndsAll) {
    for (int signal : {SIGTERM, SIGINT}) {
        const Outputs outputs;
        Running running(
            sigil_run(outputs.with({"--count", "8", "--stop-timeout", "1h"}), kSleeper));
        ASSERT_TRUE(outputs.await("ready", 8));
        running.send(signal);
        EXPECT_EQ(running.wait().code(), 128 + signal);
        const EventLog events(outputs.events);
        EXPECT_EQ(events.summary("stopped"), 8);
        for (const std::string& id : events.ids())
            EXPECT_EQ(events.of(id), (Words{"created", "started", "ready", "stopping", "exited"}));
    }
}

TEST_F(Many, AStopStartsNoMore) {
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "100", "--jobs", "2"}), kSleeper));
    ASSERT_TRUE(outputs.await("ready", 2));
    running.send(SIGTERM);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 128 + SIGTERM) << testing::PrintToString(finished);
    const EventLog events(outputs.events);
    EXPECT_EQ(events.ids(), (std::set<std::string>{"web-1", "web-2"}));
}

TEST_F(Many, WhatIgnoresAStopIsKilledAfterItsTimeout) {
    for (const char* timeout : {"0", "50ms"}) {
        const Outputs outputs;
        Running running(
            sigil_run(outputs.with({"--count", "4", "--stop-timeout", timeout}), kStubborn));
        for (unsigned number = 1; number <= 4; ++number)
            ASSERT_TRUE(
                eventually([&] { return outputs.log(numbered("web", number)) == "ready\n"; }));
        running.send(SIGTERM);
        EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
        EXPECT_EQ(EventLog(outputs.events).summary("stopped"), 4);
    }
}

// Whenever it comes, in the midst of launches too.
TEST_F(Many, AStopMayComeAtAnyTime) {
    const unsigned rounds = scaled(60, 8);
    for (unsigned round = 0; round < rounds; ++round) {
        const Outputs outputs;
        Running running(sigil_run(
            outputs.with({"--count", "10", "--stop-timeout", round % 2 ? "0" : "1h"}), kSleeper));
        ::usleep(round * (is_slow() ? 20'000 : 500));
        running.send(SIGTERM);
        const Finished finished = running.wait();
        ASSERT_TRUE(finished.signal() == SIGTERM || finished.code() == 0 ||
                    finished.code() == 128 + SIGTERM || finished.code() == 128 + SIGKILL ||
                    (round % 2 && finished.code() == 125))
            << "round " << round << ": " << testing::PrintToString(finished);
    }
}

TEST_F(Many, OtherSignalsGoToAll) {
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "3"}), {"/bin/probe", "signals", "USR2"}));
    for (unsigned number = 1; number <= 3; ++number)
        ASSERT_TRUE(eventually([&] { return outputs.log(numbered("web", number)) == "ready\n"; }));
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_EQ(EventLog(outputs.events).summary("succeeded"), 3);
}

TEST_F(Many, AKilledSupervisorTakesAllAlongAndSweepRemovesTheRest) {
    const unsigned count = scaled(50, 10);
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", std::to_string(count)}), kStubborn));
    ASSERT_TRUE(outputs.await("ready", count));
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
    const Finished swept = run_program(sigil({"sweep"}));
    EXPECT_EQ(swept.code(), 0) << testing::PrintToString(swept);
    EXPECT_EQ(container_cgroups(), Words{});
    const Finished again = run_program(sigil({"sweep"}));
    EXPECT_EQ(again.code(), 0);
    EXPECT_EQ(again.out, "");
}

TEST_F(Many, ASecondRunOfTheNameFailsAndHurtsNobody) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "it is their cgroups that tell names apart";
    const Outputs outputs;
    Running first(sigil_run(outputs.with({"--count", "6"}), kSleeper));
    ASSERT_TRUE(outputs.await("ready", 6));
    const ManyRun second = run_many({"--count", "6", "--launchers", "1"}, {"true"});
    EXPECT_EQ(second.finished.code(), 125);
    EXPECT_EQ(second.events.summary("failed"), 6);
    for (const auto* error : second.events.named("error"))
        EXPECT_NE(EventLog::text(*error, "error").find("is running already"), std::string::npos)
            << EventLog::text(*error, "error");
    EXPECT_EQ(EventLog(outputs.events).count("exited"), 0U);
    EXPECT_EQ(run_many({"--name", "web2", "--count", "6"}, {"true"}).finished.code(), 0);
    first.send(SIGTERM);
    EXPECT_EQ(first.wait().code(), 128 + SIGTERM);
    EXPECT_EQ(EventLog(outputs.events).summary("stopped"), 6);
}

// A launcher stands in the containers' root: what is there under the path of our record isn't ours.
TEST_F(Many, ARecordInTheRootfsIsNotTakenForOurs) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "there is nothing to write down";
    const std::string root = make_rootfs();
    make_directory(root + records_root() + "/runs");
    ASSERT_EQ(::chmod((root + records_root() + "/runs").c_str(), 0777), 0);
    const std::string group = test_cgroup() + "/sigil-web";
    ASSERT_TRUE(make_cgroup(group));
    for (unsigned number = 1; number <= 8; ++number)  // as one that was killed leaves them
        ASSERT_TRUE(make_cgroup(group + "/sigil-" + numbered("web", number)));
    const ManyRun run = run_many(
        {"--rootfs", root, "--count", "8", "--jobs", "1", "--launchers", "1"}, {"/bin/bare", "0"});
    EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(run.finished);
    EXPECT_EQ(run.events.summary("succeeded"), 8);
    remove_cgroup(group);
    EXPECT_EQ(names_in(root + records_root() + "/runs"), Words{});
}

}  // namespace
}  // namespace sigil::e2e
