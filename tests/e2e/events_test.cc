// `sigil run --events`: what is told, when, and to whom.
#include <signal.h>

#include "machine.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Events = E2e;

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
        {"--count", "6", "--timeout", is_slow() ? "6s" : "2s"},
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

TEST_F(Events, NameTheRingInTheSummary) {
    const char* asked = ::getenv("SIGIL_RING");
    const std::string ring =
        EventLog::text(run_many({"--count", "1"}, {"hostname"}).events.all().back(), "ring");
    if (asked && asked == std::string("epoll"))
        EXPECT_EQ(ring, "epoll");
    else  // as this machine has it
        EXPECT_TRUE(ring == "io_uring" || ring == "epoll") << ring;
    const ManyRun other = run_many({"--count", "1", "--ring", "epoll"}, {"hostname"});
    EXPECT_EQ(EventLog::text(other.events.all().back(), "ring"), "epoll");
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

}  // namespace
}  // namespace sigil::e2e
