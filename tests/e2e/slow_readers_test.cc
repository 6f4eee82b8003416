// Who reads what sigil writes, and takes their time: nothing is lost that should not be, nobody
// else waits, and a stop can be had.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>

#include "cgroups.h"
#include "many.h"
#include "slow_reader.h"

namespace sigil::e2e {
namespace {

using SlowReaders = E2e;

const Words kFlood = {"/bin/sh", "-c",
                      "while :; do echo 0123456789012345678901234567890123456789; done"};

size_t count_lines(const std::string& path) {
    return lines_of(read_file(path)).size();
}

// Events that came by a pipe.
EventLog events_in(const std::string& text) {
    const std::string path = make_directory_outside() + "/events";
    write_file(path, text);
    return EventLog(path);
}

// A run whose events go to a pipe, and whose reports tell what has ended all the same.
struct PipedRun {
    SlowReader events;
    Outputs outputs;

    Start start(const Words& options, const Words& command) {
        Words all = {"--name", "web", "--quiet", "--events", "fd:9", "--report", outputs.reports};
        all.insert(all.end(), options.begin(), options.end());
        Start start = sigil_run(all, command);
        start.descriptors = {{9, events.writer()}};
        return start;
    }
    [[nodiscard]] bool await_ends(size_t count) const {
        return eventually([&] { return count_lines(outputs.reports) >= count; });
    }
};

void expect_whole(const EventLog& events, unsigned count) {
    EXPECT_EQ(events.count("exited"), count);
    EXPECT_EQ(events.summary("succeeded"), count) << "the summary is last";
    int64_t sequence = 0;
    for (const auto& event : events.all())
        EXPECT_EQ(EventLog::number(event, "seq"), ++sequence);
}

// ---- of events ----------------------------------------------------------------------------------

TEST_F(SlowReaders, OfEventsStallNoContainerAndMissNothing) {
    for (const Words& mode : {Words{"--count", "5"}, Words{"--count", "5", "--jobs", "1"}}) {
        PipedRun run;
        run.events.fill();
        Running running(run.start(mode, {"/bin/bare", "0"}));
        EXPECT_TRUE(run.await_ends(5));
        expect_whole(events_in(run.events.drain()), 5);
        EXPECT_EQ(running.wait().code(), 0);
    }
}

TEST_F(SlowReaders, OfEventsOfOneContainerStallNothing) {
    PipedRun run;
    run.events.fill();
    Running running(run.start({}, {"/bin/sh", "-c", "exit 3"}));
    EXPECT_TRUE(run.await_ends(1));
    const EventLog events = events_in(run.events.drain());
    EXPECT_EQ(events.of("web"), (Words{"created", "started", "ready", "exited"}));
    EXPECT_EQ(running.wait().code(), 3);
}

// More than is kept in memory: starts wait, and go on.
TEST_F(SlowReaders, OfEventsHoldUpStartsBeyondAMegabyte) {
    const unsigned count = scaled(3000, 1500);
    PipedRun run;
    run.events.fill();
    Running running(
        run.start({"--count", std::to_string(count), "--jobs", "8", "--network", "host"},
                  {"/bin/bare", "0"}));
    EXPECT_TRUE(run.await_ends(600));
    EXPECT_TRUE(eventually([&] { return children_of(running.pid()).empty(); }));
    EXPECT_LT(count_lines(run.outputs.reports), 1400U);
    expect_whole(events_in(run.events.drain()), count);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(SlowReaders, OfEventsThatLeaveAreAnErrorAndTheContainersRunOn) {
    PipedRun run;
    run.events.fill();
    Running running(run.start({"--count", "3"}, {"/bin/bare", "0"}));
    EXPECT_TRUE(run.await_ends(3));
    run.events.leave();
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.err, "sigil: --events: Broken pipe\n");
}

TEST_F(SlowReaders, OfReportsStallNothingAndMissNone) {
    SlowReader reports;
    reports.fill();
    const std::string path = make_directory_outside() + "/events";
    Start start =
        sigil_run({"--count", "5", "--jobs", "1", "--quiet", "--report", "fd:9", "--events", path},
                  {"/bin/bare", "0"});
    start.descriptors = {{9, reports.writer()}};
    Running running(start);
    EXPECT_TRUE(eventually([&] { return EventLog(path).count("exited") == 5; }));
    EXPECT_EQ(lines_of(reports.drain()).size(), 5U);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(SlowReaders, OfAReportThatLeaveAreAnError) {
    SlowReader reports;
    reports.fill();
    Start start = sigil_run({"--report", "fd:9"}, {"echo", "ran"});
    start.descriptors = {{9, reports.writer()}};
    Running running(start);
    EXPECT_EQ(running.next_line(), "ran");
    reports.leave();
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.err, "sigil: --report: Broken pipe\n");
}

TEST_F(SlowReaders, OfEventsGetLinesBeforeTheEndOfWhoWroteThem) {
    for (const Words& mode :
         {Words{"--count", "20"}, Words{"--count", "2", "--restart", "on-failure:2"}}) {
        const std::string path = make_directory_outside() + "/events";
        Words options = {"--name", "web", "--quiet", "--output", "events", "--events", path};
        options.insert(options.end(), mode.begin(), mode.end());
        (void)run_script(options,
                         "i=0; while [ $i -lt 600 ]; do echo a line of output $i; i=$((i+1)); "
                         "done; echo last >&2; exit 1");
        const EventLog events(path);
        for (const std::string& id : events.ids()) {
            bool has_ended = true;
            for (const std::string& event : events.of(id)) {
                EXPECT_FALSE(has_ended && event == "output") << id;
                has_ended = event == "exited" || (has_ended && event != "started");
            }
            EXPECT_TRUE(has_ended);
        }
        EXPECT_EQ(events.count("output"), events.count("exited") * 601);
    }
}

TEST_F(SlowReaders, OfEventsBlockWhoWritesOnly) {
    PipedRun run;
    Start start = run.start({"--output", "events", "--from", "-"}, {});
    start.input =
        R"({"id":"a","args":["sh","-c","while :; do echo 0123456789012345678901234567890123456789; done"]})"
        "\n"
        R"({"id":"b","args":["sh","-c","sleep 0.1; exit 4"]})"
        "\n";
    Running running(start);
    EXPECT_TRUE(run.await_ends(1));
    EXPECT_NE(read_file(run.outputs.reports).find("\"id\":\"b\""), std::string::npos);
    running.send(SIGTERM);
    const EventLog events = events_in(run.events.drain());
    EXPECT_EQ(running.wait().code(), 4);
    EXPECT_EQ(events.of("a").back(), "exited");
    EXPECT_GT(events.count("output"), 500U);
    EXPECT_EQ(events.summary("stopped"), 1);
}

// ---- of lines -----------------------------------------------------------------------------------

TEST_F(SlowReaders, OfLinesBlockWhoWritesOnly) {
    const Outputs outputs;
    Start start = sigil_run({"--quiet", "--from", "-", "--events", outputs.events}, {});
    start.input =
        R"({"id":"a","args":["sh","-c","while :; do echo 0123456789012345678901234567890123456789; done"]})"
        "\n"
        R"({"id":"b","args":["sh","-c","echo hello; exit 4"]})"
        "\n";
    Running running(start);
    EXPECT_TRUE(outputs.await("exited", 1));
    EXPECT_EQ(EventLog(outputs.events).ids_of("exited"), Words{"b"});
    EXPECT_TRUE(running.await_line("b | hello"));
    running.send(SIGTERM);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 4);
    for (const std::string& line : lines_of(finished.out))
        EXPECT_TRUE(line == "a | 0123456789012345678901234567890123456789" || line == "b | hello")
            << line;
}

// What has ended and is not read yet takes its place in the machine's own limit.
TEST_F(SlowReaders, OfLinesHoldUpStartsBeyondTheMachinesLimit) {
    constexpr size_t kAtOnce = (400 - 64) / 4;  // of so many descriptors, but for sigil's own
    const Outputs outputs;
    SlowReader lines;
    lines.fill();
    Start start =
        sigil_run({"--name", "web", "--count", "150", "--quiet", "--events", outputs.events},
                  {"echo", "ran"});
    start.descriptors = {{1, lines.writer()}};
    start.before_exec = [] {
        const rlimit few = {400, 400};
        ::setrlimit(RLIMIT_NOFILE, &few);
    };
    Running running(start);
    EXPECT_TRUE(outputs.await("exited", kAtOnce));
    EXPECT_TRUE(eventually([&] { return children_of(running.pid()).empty(); }));
    EXPECT_EQ(EventLog(outputs.events).count("created"), kAtOnce);
    EXPECT_EQ(lines_of(lines.drain()).size(), 150U);
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_EQ(EventLog(outputs.events).summary("succeeded"), 150);
}

TEST_F(SlowReaders, OfLinesLoseThemWhereAskedAndAreTold) {
    constexpr size_t kLines = 50'000;
    constexpr size_t kLine = 8;  // with its end
    const Outputs outputs;
    Running running(sigil_run(
        {"--quiet", "--count", "1", "--name", "web", "--log-policy", "drop", "--events",
         outputs.events},
        {"/bin/sh", "-c", "i=0; while [ $i -lt 50000 ]; do echo 1234567; i=$((i+1)); done"}));
    EXPECT_TRUE(outputs.await("exited", 1)) << "it does not wait";
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 0);
    size_t whole = 0;
    size_t gaps = 0;
    for (const std::string& line : lines_of(finished.out)) {
        whole += line == "web-1 | 1234567";
        gaps += line.find("bytes dropped]") != std::string::npos;
    }
    EXPECT_LT(whole, kLines);
    EXPECT_GT(whole, 1000U);
    const size_t lost = kLines - whole;
    EXPECT_NE(finished.err.find("bytes of output dropped ("), std::string::npos) << finished.err;
    std::string digits;
    std::ranges::copy_if(finished.err.substr(finished.err.rfind("web-1: ") + 7),
                         std::back_inserter(digits),
                         [](char letter) { return letter >= '0' && letter <= '9'; });
    EXPECT_EQ(digits, std::to_string(lost * kLine) + std::to_string(lost)) << finished.err;
    EXPECT_GE(gaps + lines_of(finished.err).size(), 1U);
}

// ---- and a stop ---------------------------------------------------------------------------------

TEST_F(SlowReaders, OfLinesAreWaitedForAfterOneStop) {
    const Outputs outputs;
    Running running(sigil_run(
        {"--quiet", "--count", "1", "--name", "web", "--report", outputs.reports}, kFlood));
    ASSERT_EQ(running.next_line(), "web-1 | 0123456789012345678901234567890123456789");
    running.send(SIGTERM);
    ASSERT_TRUE(eventually([&] { return count_lines(outputs.reports) == 1; }));
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 128 + SIGTERM);
    EXPECT_EQ(finished.err, "");
}

// Until so many shells that flood have filled their pipes: more than a reader has room for.
bool await_blocked(pid_t sigil, size_t count) {
    const auto is_blocked = [](pid_t pid) {
        return read_file("/proc/" + std::to_string(pid) + "/stat").find("(sh) S ") !=
               std::string::npos;
    };
    return eventually([&] {
        size_t blocked = 0;
        for (const pid_t init : children_of(sigil))
            blocked += static_cast<size_t>(std::ranges::count_if(children_of(init), is_blocked));
        return blocked == count;
    });
}

TEST_F(SlowReaders, OfLinesAreNotWaitedForAfterTwoStops) {
    for (int signal : {SIGTERM, SIGINT}) {
        SlowReader lines;
        const Outputs outputs;
        Start start = sigil_run(
            {"--quiet", "--count", "2", "--name", "web", "--report", outputs.reports}, kFlood);
        start.descriptors = {{1, lines.writer()}};
        Running running(start);
        ASSERT_TRUE(await_blocked(running.pid(), 2));
        running.send(signal);
        ASSERT_TRUE(eventually([&] { return count_lines(outputs.reports) == 2; }));
        running.send(signal);
        const Finished finished = running.wait();
        EXPECT_EQ(finished.code(), 128 + signal);
        EXPECT_TRUE(finished.err.starts_with("sigil: stopped: ")) << finished.err;
        EXPECT_TRUE(finished.err.ends_with(" bytes of output were not read, and are dropped\n"))
            << finished.err;
    }
}

TEST_F(SlowReaders, OfStderrTooAreNotWaitedForAfterTwoStops) {
    SlowReader lines;
    const Outputs outputs;
    Start start = sigil_run(
        {"--quiet", "--count", "2", "--name", "web", "--report", outputs.reports},
        {"/bin/sh", "-c", "while :; do echo 0123456789012345678901234567890123456789 >&2; done"});
    start.descriptors = {{2, lines.writer()}};
    Running running(start);
    ASSERT_TRUE(await_blocked(running.pid(), 2));
    running.send(SIGTERM);
    ASSERT_TRUE(eventually([&] { return count_lines(outputs.reports) == 2; }));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(SlowReaders, OfEventsAreNotWaitedForAfterTwoStops) {
    for (const Words& mode : {Words{"--output", "events"}, Words{"--output", "discard"}}) {
        PipedRun run;
        run.events.fill();
        Words options = {"--count", "2"};
        options.insert(options.end(), mode.begin(), mode.end());
        Running running(run.start(options, kFlood));
        ASSERT_TRUE(eventually([&] { return children_of(running.pid()).size() == 2; }));
        running.send(SIGTERM);
        // With its lines untold, the end of a container is so too; it is gone but for the run's own
        // cgroup.
        ASSERT_TRUE(eventually(
            [&] { return children_of(running.pid()).empty() && container_cgroups().size() <= 1; }));
        running.send(SIGTERM);
        const Finished finished = running.wait();
        EXPECT_EQ(finished.code(), 128 + SIGTERM);
        EXPECT_NE(finished.err.find("bytes of output were not read"), std::string::npos)
            << finished.err;
    }
}

}  // namespace
}  // namespace sigil::e2e
