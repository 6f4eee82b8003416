// `sigil run --restart`.
#include <signal.h>

#include "many.h"

namespace sigil::e2e {
namespace {

using Restarts = E2e;

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
