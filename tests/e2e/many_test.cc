// `sigil run --count`: many containers under one supervisor, their events, restarts and streams.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "cgroups.h"
#include "events.h"
#include "fixture.h"
#include "machine.h"
#include "report.h"

namespace sigil::e2e {
namespace {

using Many = E2e;
using Restarts = E2e;
using Events = E2e;

const Words kStubborn = {"/bin/probe", "ignore", "TERM", "INT"};
const Words kSleeper = {"/bin/sleep", "100000"};

// Fewer where everything takes 20 times longer.
unsigned scaled(unsigned count, unsigned in_vm) {
    return in_virtual_machine() ? in_vm : count;
}

std::string numbered(const std::string& name, unsigned number) {
    return name + "-" + std::to_string(number);
}

// Where one run writes what.
struct Outputs {
    std::string directory = make_directory_outside();
    std::string events = directory + "/events";
    std::string reports = directory + "/reports";
    std::string logs = directory + "/logs";

    // The options for them, and those of the test.
    [[nodiscard]] Words with(const Words& options) const {
        Words all = {"--name",   "web",   "--quiet",   "--events", events,
                     "--report", reports, "--log-dir", logs};
        all.insert(all.end(), options.begin(), options.end());
        return all;
    }
    [[nodiscard]] std::string log(const std::string& id) const {
        return read_file(logs + "/" + id + ".log");
    }
    // Waits until so many of an event have been told.
    [[nodiscard]] bool await(const std::string& event, size_t count) const {
        const std::string part = "\"event\":\"" + event + "\"";
        return eventually([&] {
            const auto lines = lines_of(read_file(events));
            return static_cast<size_t>(std::ranges::count_if(lines, [&](const auto& line) {
                       return line.find(part) != std::string::npos;
                   })) >= count;
        });
    }
};

struct ManyRun {
    Outputs outputs;
    Finished finished;
    EventLog events;
};

ManyRun run_many(const Words& options, const Words& command) {
    Outputs outputs;
    Finished finished = run(outputs.with(options), command);
    EventLog events(outputs.events);
    return {std::move(outputs), std::move(finished), std::move(events)};
}

ManyRun run_many_script(const Words& options, const std::string& script) {
    return run_many(options, {"/bin/sh", "-c", script});
}

// ---- Many ---------------------------------------------------------------------------------------

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
        ::usleep(round * (in_virtual_machine() ? 20'000 : 500));
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

// ---- streams and descriptors --------------------------------------------------------------------

TEST_F(Many, StdinIsEmpty) {
    const Outputs outputs;
    Start start = sigil_run(outputs.with({"--count", "2"}), {"/bin/sh", "-c", "cat; echo end"});
    start.input = "for nobody\n";
    EXPECT_EQ(run_program(start).code(), 0);
    EXPECT_EQ(outputs.log("web-1"), "end\n");
    EXPECT_EQ(outputs.log("web-2"), "end\n");
}

TEST_F(Many, StdinFileIsReadByEach) {
    const std::string path = make_directory_outside() + "/input";
    write_file(path, "for everybody\n");
    const ManyRun run = run_many({"--count", "2", "--stdin", path}, {"cat"});
    EXPECT_EQ(run.outputs.log("web-1"), "for everybody\n");
    EXPECT_EQ(run.outputs.log("web-2"), "for everybody\n");
}

TEST_F(Many, StdoutAndStderrGoToFiles) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/out", std::string(1000, 'x'));
    const Finished finished = run(
        {"--count", "1", "--stdout", directory + "/out", "--stderr", directory + "/err", "--quiet"},
        {"/bin/sh", "-c", "echo one; echo two >&2"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out + finished.err, "");
    EXPECT_EQ(read_file(directory + "/out"), "one\n") << "what was there before is replaced";
    EXPECT_EQ(read_file(directory + "/err"), "two\n");
}

TEST_F(Many, StdoutAndStderrMayBeOneFile) {
    const std::string path = make_directory_outside() + "/both";
    (void)run({"--count", "1", "--stdout", path, "--stderr", path, "--quiet"},
              {"/bin/sh", "-c", "echo one; echo two >&2; echo three"});
    EXPECT_EQ(read_file(path), "one\ntwo\nthree\n");
}

TEST_F(Many, AFileForAllThatCannotBeOpenedIsAnErrorBeforeAnyStarts) {
    const ManyRun run = run_many({"--count", "2", "--stdout", "/nowhere/out"}, {"true"});
    expect_failure(run.finished, "--stdout: open /nowhere/out");
    EXPECT_TRUE(run.events.all().empty());
}

TEST_F(Many, LogDirHasOneFileForEachWithBothStreams) {
    const ManyRun run = run_many_script({"--count", "3"}, "echo $(hostname); echo err >&2");
    EXPECT_EQ(names_in(run.outputs.logs), (Words{"web-1.log", "web-2.log", "web-3.log"}));
    EXPECT_EQ(run.outputs.log("web-2"), "web-2\nerr\n");
}

TEST_F(Many, DiscardedOutputGoesNowhere) {
    const Finished finished = run({"--count", "3", "--output", "discard", "--quiet"},
                                  {"/bin/sh", "-c", "echo out; echo err >&2"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out + finished.err, "");
}

Facts facts_in_log(const Outputs& outputs, const std::string& id) {
    return Facts(outputs.log(id));
}

TEST_F(Many, OnlyTheStreamsAreInherited) {
    const Words modes[] = {{},
                           {"--no-init"},
                           {"--network", "host"},
                           {"--launchers", "4"},
                           {"--restart", "on-failure:2"},
                           {"--bind", "/etc/hostname:/etc/hostname", "--tmpfs", "/tmp"}};
    for (const Words& mode : modes) {
        const Outputs outputs;
        Words options = {"--count", "6"};
        options.insert(options.end(), mode.begin(), mode.end());
        Start start = sigil_run(outputs.with(options), {"/bin/probe"});
        start.before_exec = [] {  // without close-on-exec, as a careless caller leaves them
            for (int number : {3, 4, 5, 6, 7, 8, 9, 10, 63, 64, 255, 900})
                ::dup2(0, number);
        };
        EXPECT_EQ(run_program(start).code(), 0);
        for (unsigned number = 1; number <= 6; ++number) {
            const Facts facts = facts_in_log(outputs, numbered("web", number));
            Words numbers;
            for (const auto& [fd, target] : facts.descriptors())
                numbers.push_back(fd);
            EXPECT_EQ(numbers, (Words{"0", "1", "2"})) << testing::PrintToString(mode);
            EXPECT_EQ(facts["fd.0"], "/dev/null");
        }
    }
}

TEST_F(Many, TheLimitOfOpenFilesIsTheCallers) {
    for (const char* mode : {"--network=none", "--no-init"}) {
        const Outputs outputs;
        Start start = sigil_run(outputs.with({"--count", "3", mode}), {"/bin/probe"});
        start.before_exec = [] {
            const rlimit limit = {100, 200};
            ::setrlimit(RLIMIT_NOFILE, &limit);
        };
        EXPECT_EQ(run_program(start).code(), 0);
        for (unsigned number = 1; number <= 3; ++number)
            EXPECT_EQ(facts_in_log(outputs, numbered("web", number))["rlimit.nofile"], "100 200");
    }
}

TEST_F(Many, TheLimitOfOpenFilesMayBeGiven) {
    const ManyRun run = run_many({"--count", "2", "--ulimit", "nofile=50:60"}, {"/bin/probe"});
    EXPECT_EQ(facts_in_log(run.outputs, "web-2")["rlimit.nofile"], "50 60");
}

TEST_F(Many, SomeFailWhereFilesRunOutAndTheRestRun) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer needs descriptors of its own";
    const unsigned count = scaled(200, 100);
    const Outputs outputs;
    Start start =
        sigil_run(outputs.with({"--count", std::to_string(count), "--jobs", std::to_string(count)}),
                  {"/bin/sleep", in_virtual_machine() ? "10" : "1"});
    start.before_exec = [] {
        const rlimit low = {64, 64};
        ::setrlimit(RLIMIT_NOFILE, &low);
    };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 125) << testing::PrintToString(finished);
    const EventLog events(outputs.events);
    EXPECT_EQ(events.count("exited"), count);
    EXPECT_GE(events.summary("succeeded"), 5);
    EXPECT_GE(events.summary("failed"), 1);
    EXPECT_EQ(events.summary("succeeded") + events.summary("failed"), count);
    EXPECT_EQ(static_cast<int64_t>(events.count("error")), events.summary("failed"));
}

// ---- shared roots -------------------------------------------------------------------------------

// Each launcher clones its containers out of one root: none may change what the next one sees.
TEST_F(Many, WhatOneDoesToItsMountsIsNotSeenByAnother) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "bound\n");
    const std::string script =
        "set -e\n"
        "[ $(cat /mnt/file) = bound ]\n"
        "grep -q ' /tmp tmpfs rw' /proc/mounts\n"
        "[ ! -e /tmp/mark ]; touch /tmp/mark\n"
        "[ -e /etc/passwd ]\n"
        // The first writes down how many mounts there are: whole, as others may look at once.
        "[ -e /mnt/mounts ] || grep -c . /proc/mounts >/mnt/$HOSTNAME\n"
        "[ -e /mnt/mounts ] || mv /mnt/$HOSTNAME /mnt/mounts\n"
        "[ $(grep -c . /proc/mounts) = $(cat /mnt/mounts) ]\n"
        "mount -t tmpfs none /etc\n"
        "mount -o remount,ro,bind /\n"
        "! touch /home/mark 2>/dev/null\n"
        "umount /tmp\n"
        "mount -o remount,ro,bind /mnt\n"
        "! touch /mnt/mark 2>/dev/null\n"
        "umount /mnt\n"
        "[ ! -e /mnt/file ]\n";
    const Words modes[] = {{"--jobs", "1", "--launchers", "1"},
                           {"--jobs", "4", "--launchers", "2"},
                           {"--jobs", "1", "--no-init"}};
    for (const Words& mode : modes) {
        Words options = {"--count",         "20",      "--cap-add", "SYS_ADMIN", "--bind",
                         outside + ":/mnt", "--tmpfs", "/tmp"};
        options.insert(options.end(), mode.begin(), mode.end());
        const ManyRun run = run_many_script(options, script);
        EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(mode);
        EXPECT_EQ(run.events.summary("succeeded"), 20);
        if (HasFailure())
            for (const std::string& id : run.events.ids())
                ADD_FAILURE() << id << ": " << run.outputs.log(id);
        std::filesystem::remove(outside + "/mounts");
    }
}

TEST_F(Many, ARootThatIsReadOnlyIsSoInEach) {
    const ManyRun run = run_many_script({"--count", "8", "--jobs", "2", "--read-only"},
                                        "! touch /mark 2>/dev/null");
    EXPECT_EQ(run.finished.code(), 0);
    EXPECT_EQ(run.events.summary("succeeded"), 8);
}

TEST_F(Many, ATmpfsIsEachContainersOwn) {
    const ManyRun run = run_many_script({"--count", "8", "--tmpfs", "/tmp"},
                                        "[ ! -e /tmp/mark ] && touch /tmp/mark && sleep 0.1");
    EXPECT_EQ(run.events.summary("succeeded"), 8);
}

TEST_F(Many, NothingOfTheHostsMountsIsSeen) {
    const ManyRun run = run_many({"--count", "6", "--jobs", "1"}, {"cat", "/proc/self/mountinfo"});
    for (unsigned number = 1; number <= 6; ++number) {
        const std::string mounts = run.outputs.log(numbered("web", number));
        EXPECT_EQ(mounts.find("/sys/fs/cgroup rw"), std::string::npos) << mounts;
        EXPECT_EQ(lines_of(mounts).size(), lines_of(run.outputs.log("web-1")).size()) << mounts;
    }
}

TEST_F(Many, ANewDirectoryUnderTheRootfssPathIsNoticed) {
    const std::string root = make_rootfs();
    const std::string next = make_rootfs();
    write_file(root + "/which", "first");
    write_file(next + "/which", "second");
    const Outputs outputs;
    const std::string shared = make_directory_outside();
    const std::string script =
        "cat /which; [ $(hostname) != web-4 ] || while [ ! -e /mnt/go ]; do sleep 0.01; done";
    Running running(sigil_run(outputs.with({"--rootfs", root, "--count", "8", "--jobs", "1",
                                            "--launchers", "1", "--bind", shared + ":/mnt"}),
                              {"/bin/sh", "-c", script}));
    ASSERT_TRUE(eventually([&] { return outputs.log("web-4") == "first"; }));
    std::filesystem::rename(root, root + "-old");
    std::filesystem::rename(next, root);
    write_file(shared + "/go", "");
    EXPECT_EQ(running.wait().code(), 0);
    for (unsigned number = 1; number <= 8; ++number)
        EXPECT_EQ(outputs.log(numbered("web", number)), number <= 4 ? "first" : "second") << number;
}

TEST_F(Many, ARelativeRootfsIsFoundFromTheCallersDirectory) {
    const Outputs outputs;
    Words words = {"run", "--rootfs", "."};
    for (const std::string& word : outputs.with({"--count", "6", "--", "/bin/bare", "0"}))
        words.push_back(word);
    Start start = sigil(words);
    const std::string root = shared_rootfs();
    start.before_exec = [root] { (void)!::chdir(root.c_str()); };
    EXPECT_EQ(run_program(start).code(), 0);
    EXPECT_EQ(EventLog(outputs.events).summary("succeeded"), 6);
}

// ---- Events -------------------------------------------------------------------------------------

TEST_F(Events, TellEachStepOfEachContainerInOrder) {
    for (const Words& mode : {Words{}, Words{"--jobs", "2"}, Words{"--no-init"}}) {
        Words options = {"--count", "20"};
        options.insert(options.end(), mode.begin(), mode.end());
        const ManyRun run = run_many(options, {"/bin/bare", "0"});
        EXPECT_EQ(run.events.ids().size(), 20U);
        for (const std::string& id : run.events.ids())
            EXPECT_EQ(run.events.of(id), (Words{"created", "started", "ready", "exited"})) << id;
    }
}

TEST_F(Events, AreNumberedWithoutGapsAndInTheOrderOfTime) {
    const ManyRun run = run_many({"--count", "20"}, {"/bin/bare", "0"});
    int64_t sequence = 0;
    int64_t time = 0;
    for (const auto& event : run.events.all()) {
        EXPECT_EQ(EventLog::number(event, "seq"), ++sequence);
        EXPECT_GE(EventLog::number(event, "mono_us"), time);
        time = EventLog::number(event, "mono_us");
        const std::string wall = EventLog::text(event, "time");
        EXPECT_EQ(wall.size(), std::string("2026-01-01T00:00:00.000000Z").size()) << wall;
    }
    EXPECT_EQ(sequence, 20 * 4 + 1);
}

TEST_F(Events, EndWithTheSummary) {
    const ManyRun run = run_many_script(
        {"--count", "6", "--timeout", in_virtual_machine() ? "20s" : "2s"},
        "case $(hostname) in web-1) exit 3;; web-2) kill -9 $$;; web-3) sleep 1000;; esac");
    const auto& last = run.events.all().back();
    EXPECT_EQ(EventLog::text(last, "event"), "summary");
    EXPECT_FALSE(last.HasMember("id"));
    EXPECT_EQ(run.events.count("summary"), 1U);
    EXPECT_EQ(run.events.summary("exited"), 4);
    EXPECT_EQ(run.events.summary("succeeded"), 3);
    EXPECT_EQ(run.events.summary("signaled"), 1);
    EXPECT_EQ(run.events.summary("timeout"), 1);
    for (const char* key :
         {"failed", "oom", "stopped", "rejected", "not_started", "restarts", "out_of_memory"})
        EXPECT_EQ(run.events.summary(key), 0) << key;
    EXPECT_GT(run.events.summary("elapsed_us"), 0);
    EXPECT_EQ(run.events.summary("exit_code"), run.finished.code());
}

TEST_F(Events, HaveTheWholeReportInTheExit) {
    const ManyRun run = run_many_script({"--count", "1"}, "exit 4");
    const auto& exited = *run.events.named("exited").at(0);
    for (const char* key : {"pid", "cause", "exit_code", "signal", "rusage", "memory", "phases_us"})
        EXPECT_TRUE(exited.HasMember(key)) << key;
    EXPECT_EQ(EventLog::number(exited, "exit_code"), 4);
    EXPECT_EQ(EventLog::number(exited, "pid"),
              EventLog::number(*run.events.named("started").at(0), "pid"));
}

TEST_F(Events, AreToldOfOneContainerToo) {
    const std::string path = make_directory_outside() + "/events";
    EXPECT_EQ(run({"--name", "web", "--events", path}, {"true"}).code(), 0);
    EXPECT_EQ(EventLog(path).of("web"), (Words{"created", "started", "ready", "exited"}));
}

TEST_F(Events, AreToldWhenTheyHappen) {
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "2"}), kSleeper));
    EXPECT_TRUE(outputs.await("ready", 2));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Events, ThatCannotBeWrittenAreAnErrorAndTheContainersRunOn) {
    const std::string path = make_directory_outside() + "/report";
    const Finished finished =
        run({"--count", "3", "--quiet", "--events", "/dev/full", "--report", path}, {"true"});
    EXPECT_EQ(finished.code(), 125);
    EXPECT_NE(finished.err.find("--events"), std::string::npos) << finished.err;
    EXPECT_EQ(lines_of(read_file(path)).size(), 3U);
}

// ---- Restarts -----------------------------------------------------------------------------------

TEST_F(Restarts, OnFailureStopsAfterSoMany) {
    const ManyRun run = run_many_script({"--count", "1", "--restart", "on-failure:2"}, "exit 6");
    EXPECT_EQ(run.finished.code(), 6);
    EXPECT_EQ(run.events.of("web-1"),
              (Words{"created", "started", "ready", "exited", "restarting", "started", "ready",
                     "exited", "restarting", "started", "ready", "exited"}));
    const auto restarting = run.events.named("restarting");
    ASSERT_EQ(restarting.size(), 2U);
    for (int64_t attempt : {1, 2}) {
        const auto& event = *restarting[static_cast<size_t>(attempt - 1)];
        EXPECT_EQ(EventLog::number(event, "attempt"), attempt);
        EXPECT_GE(EventLog::number(event, "delay_us"), 50'000 * attempt);
        EXPECT_LE(EventLog::number(event, "delay_us"), 100'000 * attempt);
    }
    EXPECT_EQ(run.events.summary("restarts"), 2);
    EXPECT_EQ(run.events.summary("exited"), 1) << "restarts aside";
}

TEST_F(Restarts, WaitAsLongAsTheySay) {
    const ManyRun run = run_many_script({"--count", "1", "--restart", "on-failure:1"}, "exit 6");
    const auto& restarting = *run.events.named("restarting").at(0);
    const auto& second = *run.events.named("started").at(1);
    EXPECT_GE(EventLog::number(second, "mono_us") - EventLog::number(restarting, "mono_us"),
              EventLog::number(restarting, "delay_us"));
}

TEST_F(Restarts, OnFailureLetsASuccessBe) {
    const ManyRun run = run_many({"--count", "3", "--restart", "on-failure"}, {"true"});
    EXPECT_EQ(run.finished.code(), 0);
    EXPECT_EQ(run.events.count("restarting"), 0U);
    EXPECT_EQ(run.events.count("exited"), 3U);
}

TEST_F(Restarts, OnFailureEndWithTheFirstSuccess) {
    const std::string shared = make_directory_outside();
    const ManyRun run =
        run_many_script({"--count", "1", "--restart", "on-failure", "--bind", shared + ":/mnt"},
                        "echo >> /mnt/tries; [ $(grep -c '' /mnt/tries) = 3 ]");
    EXPECT_EQ(run.finished.code(), 0) << "only the last end counts";
    EXPECT_EQ(run.events.count("exited"), 3U);
    EXPECT_EQ(run.events.summary("succeeded"), 1);
}

TEST_F(Restarts, AlwaysGoOnUntilAStop) {
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "2", "--restart", "always"}), {"true"}));
    ASSERT_TRUE(outputs.await("exited", 6));
    running.send(SIGTERM);
    const int code = running.wait().code();
    EXPECT_TRUE(code == 0 || code == 128 + SIGTERM) << code;
    const EventLog events(outputs.events);
    EXPECT_GE(events.summary("restarts"), 4);
    EXPECT_EQ(events.summary("exited") + events.summary("stopped"), 2);
}

TEST_F(Restarts, WorkForOneContainerToo) {
    const Finished finished =
        run({"--name", "web", "--restart", "on-failure:2"}, {"/bin/sh", "-c", "echo ran; exit 5"});
    EXPECT_EQ(finished.code(), 5);
    EXPECT_EQ(finished.out, "ran\nran\nran\n");
}

TEST_F(Restarts, AppendToTheFilesOfTheFirstStart) {
    const std::string path = make_directory_outside() + "/out";
    write_file(path, "of an earlier run\n");
    (void)run({"--count", "1", "--quiet", "--restart", "on-failure:2", "--stdout", path},
              {"/bin/sh", "-c", "echo line; exit 1"});
    EXPECT_EQ(read_file(path), "line\nline\nline\n");
}

TEST_F(Restarts, ComeAfterAFailedLaunchToo) {
    const ManyRun run = run_many({"--count", "1", "--restart", "on-failure:1"}, {"/bin/nope"});
    EXPECT_EQ(run.finished.code(), 127);
    EXPECT_EQ(run.events.of("web-1"),
              (Words{"created", "error", "exited", "restarting", "error", "exited"}));
}

TEST_F(Restarts, KeepTheirPlace) {
    const ManyRun run =
        run_many_script({"--count", "2", "--jobs", "1", "--restart", "on-failure:1"}, "exit 1");
    Words order;
    for (const auto& event : run.events.all())
        if (EventLog::text(event, "event") == "exited")
            order.push_back(EventLog::text(event, "id"));
    EXPECT_EQ(order, (Words{"web-1", "web-1", "web-2", "web-2"}));
}

TEST_F(Restarts, StopWithTheRunWhileTheyWait) {
    const Outputs outputs;
    Running running(
        sigil_run(outputs.with({"--count", "1", "--restart", "on-failure"}), {"false"}));
    ASSERT_TRUE(outputs.await("restarting", 3));  // now it waits for 200 ms at least
    running.send(SIGTERM);
    const Finished finished = running.wait();
    EXPECT_TRUE(finished.code() == 1 || finished.code() == 128 + SIGTERM)
        << testing::PrintToString(finished);
}

}  // namespace
}  // namespace sigil::e2e
