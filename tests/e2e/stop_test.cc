// How a container is made to end: stop requests, timeouts, and the death of its supervisor.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "report.h"

namespace sigil::e2e {
namespace {

using Stop = E2e;

const Words kStubborn = {"/bin/probe", "ignore", "TERM", "INT"};

void expect_ends_by(Words options, int signal, int code) {
    Running running(sigil_run(std::move(options), {"/bin/probe", "sleep", "100000"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(signal);
    EXPECT_EQ(running.wait().code(), code);
}

TEST_F(Stop, ForwardsSigtermAndSigint) {
    expect_ends_by({"--stop-timeout", "1h"}, SIGTERM, 128 + SIGTERM);
    expect_ends_by({"--stop-timeout", "1h"}, SIGINT, 128 + SIGINT);
}

TEST_F(Stop, KillsAfterTheStopTimeout) {
    for (int signal : {SIGTERM, SIGINT})
        for (const char* timeout : {"0", "1ms", "100ms"}) {
            Running running(sigil_run({"--stop-timeout", timeout}, kStubborn));
            ASSERT_EQ(running.next_line(), "ready");
            running.send(signal);
            EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
        }
}

TEST_F(Stop, KillsAPid1ThatIsSparedBySigterm) {
    expect_ends_by({"--no-init", "--stop-timeout", "50ms"}, SIGTERM, 128 + SIGKILL);
}

TEST_F(Stop, KillsEveryProcessOfTheContainer) {
    const std::string script =
        "trap '' TERM; for i in 1 2 3 4 5; do (trap '' TERM; sleep 100000) & done; echo ready; "
        "wait";
    Running running(sigil_run({"--stop-timeout", "50ms"}, {"/bin/sh", "-c", script}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
}

TEST_F(Stop, FurtherRequestsAreForwardedToo) {
    Running running(sigil_run({"--stop-timeout", "1h"}, {"/bin/probe", "signals", "USR2"}));
    ASSERT_EQ(running.next_line(), "ready");
    for (int round = 0; round < 3; ++round) {
        running.send(SIGTERM);
        EXPECT_EQ(running.next_line(), "signal 15 sent 0");
    }
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Stop, TheCommandsOwnAnswerIsTheExitCode) {
    const std::string script = "trap 'exit 23' TERM; echo ready; while :; do sleep 0.01; done";
    Running running(sigil_run({"--stop-timeout", "1h"}, {"/bin/sh", "-c", script}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 23);
}

TEST_F(Stop, IsTheReportedCause) {
    const std::string path = new_report_path();
    Running running(sigil_run({"--stop-timeout", "50ms", "--report", path}, kStubborn));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    const Reported reported = read_report(running.wait(), path);
    EXPECT_EQ(reported.cause(), "stopped");
    EXPECT_EQ(reported.text("signal"), "SIGKILL");
    EXPECT_EQ(reported.number("exit_code"), 137);
}

// Whenever it comes, before the container, in the midst of its launch, or after: it ends by it.
TEST_F(Stop, MayComeAtAnyTime) {
    const int rounds = is_slow() ? 40 : 300;
    for (int round = 0; round < rounds; ++round) {
        Running running(sigil_run({"--stop-timeout", "1h"}, {"/bin/sleep", "100000"}));
        const timespec delay = {0, round * (is_slow() ? 2'000'000L : 25'000L)};
        ::nanosleep(&delay, nullptr);
        running.send(round % 2 ? SIGTERM : SIGINT);
        const int signal = round % 2 ? SIGTERM : SIGINT;
        const Finished finished = running.wait();
        EXPECT_TRUE(finished.signal() == signal || finished.code() == 128 + signal)
            << testing::PrintToString(finished);
    }
}

using Timeout = E2e;

TEST_F(Timeout, KillsTheCommandAndSaysSo) {
    for (const Words& mode : {Words{}, Words{"--no-init"}}) {
        Words options = mode;
        options.insert(options.end(), {"--timeout", "50ms"});
        const Finished finished = run(options, {"/bin/sleep", "100000"});
        EXPECT_EQ(finished.code(), 137);
        EXPECT_NE(finished.err.find("timeout"), std::string::npos) << finished.err;
        EXPECT_TRUE(finished.err.starts_with("sigil: ")) << finished.err;
    }
}

TEST_F(Timeout, KillsACommandThatIgnoresSignals) {
    EXPECT_EQ(run({"--timeout", "0.1"}, kStubborn).code(), 137);
}

TEST_F(Timeout, IsTheReportedCause) {
    const Reported reported = run_reported({"--timeout", "50ms"}, {"/bin/sleep", "100000"});
    EXPECT_EQ(reported.cause(), "timeout");
    EXPECT_EQ(reported.number("exit_code"), 137);
    EXPECT_EQ(reported.text("signal"), "SIGKILL");
}

TEST_F(Timeout, ThatIsNotReachedChangesNothing) {
    const Finished finished = run({"--timeout", "10h"}, {"/bin/probe", "exit", "3"});
    EXPECT_EQ(finished.code(), 3);
    EXPECT_EQ(finished.err, "");
}

TEST_F(Timeout, EndsAContainerThatIsBeingStopped) {
    Running running(sigil_run({"--timeout", "300ms", "--stop-timeout", "1h"}, kStubborn));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 137);
}

TEST_F(Timeout, TakesEveryUnit) {
    for (const char* timeout : {"50ms", "0.05s", "0.05", "0.001m", "0.00001h"})
        EXPECT_EQ(run({"--timeout", timeout}, {"/bin/sleep", "100000"}).code(), 137) << timeout;
}

// ---- the supervisor's death -------------------------------------------------------------------

class Supervisor : public E2e {
  protected:
    void TearDown() override {
        remove_abandoned_cgroups();  // nobody is left to do it
        E2e::TearDown();
    }
};

void expect_dies_with_it(Words options, Words command) {
    Running running(sigil_run(std::move(options), std::move(command)));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
}

TEST_F(Supervisor, TakesTheContainerAlongWhenKilled) {
    expect_dies_with_it({}, kStubborn);
    expect_dies_with_it({"--no-init"}, kStubborn);
    expect_dies_with_it({"--user", "1000"}, kStubborn);
    expect_dies_with_it({"--no-init", "--user", "1000"}, kStubborn);
}

TEST_F(Supervisor, TakesAForkingContainerAlongWhenKilled) {
    const std::string script =
        "trap '' TERM HUP; (while :; do /bin/true; done) & (sleep 100000 &) ; echo ready; wait";
    expect_dies_with_it({}, {"/bin/sh", "-c", script});
}

TEST_F(Supervisor, LeavesNoProcessWheneverItIsKilled) {
    const int rounds = is_slow() ? 40 : 400;
    for (int round = 0; round < rounds; ++round) {
        Words options = round % 2 ? Words{"--no-init"} : Words{};
        if (round % 4 < 2)
            options.insert(options.end(), {"--network", "host"});
        Running running(sigil_run(options, {"/bin/sleep", "100000"}));
        const timespec delay = {0, round * (is_slow() ? 3'000'000L : 20'000L)};
        ::nanosleep(&delay, nullptr);
        running.send(SIGKILL);
        EXPECT_EQ(running.wait().signal(), SIGKILL);
        ASSERT_TRUE(await_no_processes()) << "killed in round " << round;
    }
}

TEST_F(Supervisor, ANewContainerOfTheNameWorksAfterwards) {
    const Words name = {"--name", "phoenix"};
    expect_dies_with_it(name, kStubborn);
    EXPECT_EQ(run(name, {"/bin/probe", "exit", "8"}).code(), 8);
}

}  // namespace
}  // namespace sigil::e2e
