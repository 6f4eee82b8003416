// `--report`: one JSON object that tells how it went.
#include "report.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Report = E2e;

constexpr const char* kPhases[] = {"request",   "cloned", "isolated", "executed",
                                   "exit_seen", "reaped", "cleaned"};

std::vector<std::string> keys_of(const rapidjson::Value& object) {
    std::vector<std::string> keys;
    for (const auto& member : object.GetObject())
        keys.push_back(member.name.GetString());
    return keys;
}

TEST_F(Report, HasEveryField) {
    const Reported run = run_reported({"--name", "web"}, {"/bin/probe", "exit", "3"});
    ASSERT_EQ(keys_of(run.report), (Words{"id", "pid", "cause", "exit_code", "signal", "error",
                                          "rusage", "memory", "phases_us"}));
    EXPECT_EQ(run.text("id"), "web");
    EXPECT_GT(run.number("pid"), 1);
    EXPECT_EQ(run.cause(), "exited");
    EXPECT_EQ(run.number("exit_code"), 3);
    EXPECT_TRUE(run.is_null("signal"));
    EXPECT_TRUE(run.is_null("error"));
    for (const char* key :
         {"user_us", "system_us", "max_rss_kb", "minor_faults", "major_faults", "blocks_in",
          "blocks_out", "voluntary_switches", "involuntary_switches"})
        EXPECT_TRUE(run.report["rusage"].HasMember(key)) << key;
    EXPECT_EQ(keys_of(run.report["memory"]),
              (Words{"peak_bytes", "oom", "oom_kill", "oom_group_kill"}));
    EXPECT_EQ(run.finished.code(), 3);
}

TEST_F(Report, TellsTheTimeOfEachPhaseInOrder) {
    for (const Words& mode : {Words{}, Words{"--no-init"}, Words{"--network", "host"}}) {
        const Reported run = run_reported(mode, {"/bin/probe", "exit", "0"});
        const auto& phases = run.report["phases_us"];
        EXPECT_EQ(keys_of(phases), Words(std::begin(kPhases), std::end(kPhases)));
        double before = 0;
        for (const char* phase : kPhases) {
            ASSERT_TRUE(phases[phase].IsNumber()) << phase;
            EXPECT_GE(phases[phase].GetDouble(), before) << phase;
            before = phases[phase].GetDouble();
        }
        EXPECT_EQ(phases["request"].GetDouble(), 0);
    }
}

TEST_F(Report, TellsTheSignalThatKilledTheCommand) {
    for (const auto& [number, name] : {std::pair{SIGTERM, "SIGTERM"},
                                       {SIGSEGV, "SIGSEGV"},
                                       {34, "SIGRTMIN"},
                                       {40, "SIGRTMIN+6"}}) {
        const Reported run = run_reported({}, {"/bin/probe", "die", std::to_string(number)});
        EXPECT_EQ(run.cause(), "signaled");
        EXPECT_EQ(run.text("signal"), name);
        EXPECT_EQ(run.number("exit_code"), 128 + number);
    }
}

TEST_F(Report, TellsAnExitCodeFromASignal) {
    const Reported run = run_reported({}, {"/bin/probe", "exit", "143"});
    EXPECT_EQ(run.cause(), "exited");
    EXPECT_TRUE(run.is_null("signal"));
    EXPECT_EQ(run.number("exit_code"), 143);
}

TEST_F(Report, TellsAStopThatTheCommandAnswered) {
    const std::string path = new_report_path();
    Running running(sigil_run({"--report", path}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    const Reported run = read_report(running.wait(), path);
    EXPECT_EQ(run.cause(), "stopped");
    EXPECT_EQ(run.number("exit_code"), 0);
}

TEST_F(Report, TellsWhyALaunchFailed) {
    const Reported run = run_reported({}, {"/bin/nope"});
    EXPECT_EQ(run.cause(), "failed");
    EXPECT_EQ(run.number("exit_code"), 127);
    EXPECT_NE(run.text("error").find("/bin/nope"), std::string::npos) << run.text("error");
    EXPECT_TRUE(run.is_null("signal"));
    EXPECT_EQ(run.finished.code(), 127);
    const auto& phases = run.report["phases_us"];
    EXPECT_TRUE(phases["executed"].IsNull() ||
                phases["executed"].GetDouble() <= phases["cleaned"].GetDouble());
}

TEST_F(Report, TellsAFailureBeforeThereWasAProcess) {
    const Reported run = run_reported({"--user", "nobody-here"}, {"true"});
    EXPECT_EQ(run.cause(), "failed");
    EXPECT_EQ(run.number("exit_code"), 125);
    EXPECT_TRUE(run.report["phases_us"]["cloned"].IsNull());
    EXPECT_TRUE(run.report["phases_us"]["exit_seen"].IsNull());
}

TEST_F(Report, IsValidWhateverBytesAPathHolds) {
    const Reported run = run_reported({}, {"/bin/\xff\xfe\"\\\n\t\x1b[31m\xc3\xa9"});
    EXPECT_EQ(run.cause(), "failed");
    EXPECT_NE(run.text("error").find("\xc3\xa9"), std::string::npos) << run.text("error");
    EXPECT_EQ(run.finished.err.find('\x1b'), std::string::npos) << "a terminal would act on it";
}

TEST_F(Report, CountsTheWorkOfTheWholeContainer) {
    const Reported run =
        run_reported({}, {"/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"});
    const auto& usage = run.report["rusage"];
    EXPECT_GT(usage["user_us"].GetInt64() + usage["system_us"].GetInt64(), 0);
    EXPECT_GT(usage["max_rss_kb"].GetInt64(), 0);
}

TEST_F(Report, GoesToADescriptor) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Start start = sigil_run({"--report", "fd:5"}, {"/bin/probe", "exit", "4"});
    start.descriptors = {{5, ends[1]}};
    EXPECT_EQ(run_program(start).code(), 4);
    ::close(ends[1]);
    char text[4096] = "";
    ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
    EXPECT_EQ(parse_report(text)["exit_code"].GetInt(), 4);
    ::close(ends[0]);
}

TEST_F(Report, GoesToStdoutAfterTheCommandsOutput) {
    const Finished finished = run({"--report", "-"}, {"echo", "output"});
    ASSERT_TRUE(finished.out.starts_with("output\n")) << finished.out;
    EXPECT_EQ(parse_report(finished.out.substr(7))["exit_code"].GetInt(), 0);
}

TEST_F(Report, ReplacesAnOlderOne) {
    const std::string path = new_report_path();
    write_file(path, std::string(100'000, 'x'));
    const Reported run = read_report(e2e::run({"--report", path}, {"true"}), path);
    EXPECT_EQ(run.cause(), "exited");
}

TEST_F(Report, ThatCannotBeOpenedStopsTheRunBeforeItStarts) {
    const std::string directory = make_directory_outside();
    for (const std::string& target : {directory, directory + "/none/report", std::string("fd:99"),
                                      std::string("fd:x"), std::string("fd:-1"), std::string("")}) {
        const Finished finished = e2e::run({"--report", target}, {"echo", "ran"});
        expect_failure(finished, "--report");
        EXPECT_EQ(finished.out, "") << target;
    }
    const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    Start start = sigil_run({"--report", "fd:5"}, {"echo", "ran"});
    start.descriptors = {{5, file}};
    expect_failure(run_program(start), "--report");
    ::close(file);
}

TEST_F(Report, ThatCannotBeWrittenIsAnError) {
    const std::string directory = make_directory_outside();
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=4k"), 0);
    write_file(directory + "/filler", std::string(4096, 'x'));
    expect_failure(e2e::run({"--report", directory + "/report"}, {"true"}), "--report");
    ASSERT_EQ(::umount(directory.c_str()), 0);
    expect_failure(e2e::run({"--report", "/dev/full"}, {"true"}), "--report");
}

TEST_F(Report, IntoAClosedPipeIsAnErrorAndNotADeath) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    Start start = sigil_run({"--report", "fd:5"}, {"true"});
    start.descriptors = {{5, ends[1]}};
    expect_failure(run_program(start), "--report");
    ::close(ends[1]);
}

TEST_F(Report, BeyondTheLimitOfFileSizesIsAnError) {
    Start start = sigil_run({"--report", new_report_path()}, {"true"});
    start.before_exec = [] {
        const rlimit low = {100, 100};
        ::setrlimit(RLIMIT_FSIZE, &low);
    };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 125) << testing::PrintToString(finished);
    EXPECT_TRUE(finished.err.starts_with("sigil: "));
}

}  // namespace
}  // namespace sigil::e2e
