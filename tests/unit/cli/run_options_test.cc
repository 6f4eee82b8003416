// The options for many containers and their output; what they refuse together.
#include "cli/run_options.h"

#include <stdlib.h>

#include <string>
#include <vector>

#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::message_of;
using Words = std::vector<const char*>;

Result<RunRequest> parse(const Words& words) {
    return parse_run(words);
}

// With a root and a command.
Result<RunRequest> parse_whole(Words words) {
    words.insert(words.end(), {"--rootfs", "/r", "--", "true"});
    return parse_run(words);
}

TEST(RunOptions, OfOneContainerAreAsEver) {
    const auto request = parse({"--rootfs", "/r", "--name", "web", "echo", "--count"});
    ASSERT_TRUE(request);
    EXPECT_FALSE(request->is_many());
    EXPECT_EQ(request->job.spec.name, "web");
    EXPECT_EQ(request->job.spec.hostname, "web");
    EXPECT_EQ(request->job.spec.args, (std::vector<std::string>{"echo", "--count"}));
    EXPECT_EQ(request->output, Output::automatic);
    EXPECT_EQ(request->log_policy, LogPolicy::block);
    EXPECT_EQ(request->job.restart.when, RestartPolicy::no);
    EXPECT_EQ(request->job.stop_signal, 0);
    EXPECT_FALSE(request->quiet || request->fail_fast);
}

TEST(RunOptions, OfManyContainers) {
    const auto request =
        parse_whole({"--count", "12", "--jobs", "3", "--warm", "4", "--launchers", "2",
                     "--fail-fast", "--quiet", "--restart", "on-failure:5", "--name", "web"});
    ASSERT_TRUE(request) << message_of(request);
    EXPECT_TRUE(request->is_many());
    EXPECT_EQ(request->count, 12U);
    EXPECT_EQ(request->jobs, 3U);
    EXPECT_EQ(request->warm, 4U);
    EXPECT_EQ(request->launchers, 2U);
    EXPECT_TRUE(request->fail_fast);
    EXPECT_TRUE(request->quiet);
    EXPECT_EQ(request->job.restart.when, RestartPolicy::on_failure);
    EXPECT_EQ(request->job.restart.most, 5U);
    EXPECT_EQ(request->job.spec.name, "web");
    EXPECT_EQ(request->job.spec.hostname, "");
}

TEST(RunOptions, OfOutput) {
    const auto request =
        parse_whole({"--stdin", "in", "--stdout", "out", "--stderr", "err", "--log-dir", "logs",
                     "--log-policy", "drop", "--output", "events", "--events", "fd:5", "--report",
                     "-", "--stop-signal", "SIGINT"});
    ASSERT_TRUE(request) << message_of(request);
    EXPECT_EQ(request->job.stdin_path, "in");
    EXPECT_EQ(request->job.stdout_path, "out");
    EXPECT_EQ(request->job.stderr_path, "err");
    EXPECT_EQ(request->log_dir, "logs");
    EXPECT_EQ(request->log_policy, LogPolicy::drop);
    EXPECT_EQ(request->output, Output::events);
    EXPECT_EQ(request->events, "fd:5");
    EXPECT_EQ(request->report, "-");
    EXPECT_EQ(request->job.stop_signal, 2);
}

TEST(RunOptions, KnowTheWordsOfEachChoice) {
    EXPECT_EQ(parse_whole({"--output", "inherit"})->output, Output::inherit);
    EXPECT_EQ(parse_whole({"--output", "prefix"})->output, Output::prefix);
    EXPECT_EQ(parse_whole({"--output", "discard"})->output, Output::discard);
    EXPECT_EQ(parse_whole({"--log-policy", "block"})->log_policy, LogPolicy::block);
    EXPECT_EQ(parse_whole({"--restart", "no"})->job.restart.when, RestartPolicy::no);
    EXPECT_EQ(parse_whole({"--restart", "always"})->job.restart.when, RestartPolicy::always);
    const auto on_failure = parse_whole({"--restart", "on-failure"});
    EXPECT_EQ(on_failure->job.restart.when, RestartPolicy::on_failure);
    EXPECT_EQ(on_failure->job.restart.most, 0U);
}

TEST(RunOptions, WithLinesNeedNeitherRootNorCommand) {
    const auto request = parse({"--from", "-", "--after", "setup", "--after", "db"});
    ASSERT_TRUE(request) << message_of(request);
    EXPECT_EQ(request->from, "-");
    EXPECT_EQ(request->job.after, (std::vector<std::string>{"setup", "db"}));
    EXPECT_EQ(request->job.spec.rootfs, "");
    EXPECT_TRUE(request->job.spec.args.empty());
    // A line may complete what is not whole yet.
    EXPECT_TRUE(parse({"--from", "-", "--memory-swap", "64M", "true"}));
}

TEST(RunOptions, TakeTheLastValueOfAVariable) {
    const auto request = parse_whole({"-e", "A=1", "-e", "B=2", "-e", "A=3", "-e", "AB=4"});
    EXPECT_EQ(request->job.spec.env, (std::vector<std::string>{"B=2", "A=3", "AB=4"}));
}

TEST(RunOptions, NameWhatIsWrong) {
    const std::vector<std::pair<Words, const char*>> rows = {
        {{"--count", "0"}, "--count: 0 is less than 1"},
        {{"--count", ""}, "--count: '' is not a number"},
        {{"--count", "-1"}, "--count: '-1' is not a number"},
        {{"--count", "1000001"}, "--count: 1000001 is more than 1000000"},
        {{"--count", "99999999999999999999"}, "--count: 99999999999999999999 is more than"},
        {{"--count", "2", "--from", "-"}, "--count: the lines of --from say how many"},
        {{"--from", ""}, "--from: the path is empty"},
        {{"--count", "2", "--jobs", "0"}, "--jobs: 0 is less than 1"},
        {{"--jobs", "2"}, "--jobs: it is for many containers: give --count or --from"},
        {{"--fail-fast"}, "--fail-fast: it is for many"},
        {{"--warm", "1"}, "--warm: it is for many"},
        {{"--count", "2", "--warm", "x"}, "--warm: 'x' is not a number"},
        {{"--launchers", "1"}, "--launchers: it is for many"},
        {{"--count", "2", "--launchers", "0"}, "--launchers: 0 is less than 1"},
        {{"--count", "2", "--launchers", "65"}, "--launchers: 65 is more than 64"},
        {{"--after", "x"}, "--after: it names a container of --from"},
        {{"--count", "2", "--after", "x"}, "--after: it names a container of --from"},
        {{"--from", "-", "--after", "a/b"}, "--after: 'a/b' is not a name"},
        {{"--restart", "never"}, "--restart: 'never' is none of no, on-failure[:N], always"},
        {{"--restart", "on-failures"}, "--restart: 'on-failures' is none"},
        {{"--restart", "on-failure:"}, "--restart: '' is not a number"},
        {{"--restart", "on-failure:0"}, "--restart: 0 is less than 1"},
        {{"--restart", "always:3"}, "--restart: 'always:3' is none"},
        {{"--stop-signal", "NOPE"}, "--stop-signal: 'NOPE' is not a signal"},
        {{"--stdin", ""}, "--stdin: the path is empty"},
        {{"--stdout", ""}, "--stdout: the path is empty"},
        {{"--stderr", ""}, "--stderr: the path is empty"},
        {{"--log-dir", ""}, "--log-dir: the path is empty"},
        {{"--events", ""}, "--events: the path is empty"},
        {{"--report", ""}, "--report: the path is empty"},
        {{"--output", "raw"}, "--output: 'raw' is none of inherit, prefix, events, discard"},
        {{"--output", "automatic"}, "--output: 'automatic' is none"},
        {{"--output", "events"}, "--output events: it needs --events"},
        {{"--output", "inherit", "--log-dir", "d"}, "--log-dir: with --output inherit"},
        {{"--log-policy", "wait"}, "--log-policy: 'wait' is neither block nor drop"},
        {{"--log-policy", "drop"}, "--log-policy drop: it needs output that goes through sigil"},
        {{"--log-policy", "drop", "--output", "discard"}, "--log-policy drop: it needs"},
        {{"--events", "-", "--report", "-"}, "--report: --events goes to stdout already"},
        {{"--ring", "poll"}, "--ring: 'poll' is none of auto, uring, epoll"},
        {{"--ring", ""}, "--ring: '' is none"},
        {{"--quiet=yes"}, "--quiet takes no value"},
    };
    for (const auto& [words, message] : rows) {
        SCOPED_TRACE(::testing::PrintToString(words));
        EXPECT_HOLDS(message_of(parse_whole(words)), message);
    }
}

TEST(RunOptions, ChooseTheRingBeforeTheEnvironmentDoes) {
    using loop::RingChoice;
    const char* value = ::getenv("SIGIL_RING");
    const std::string before = value ? value : "";
    ::unsetenv("SIGIL_RING");
    EXPECT_EQ(parse_whole({})->ring, RingChoice::automatic);
    EXPECT_EQ(parse_whole({"--ring", "uring"})->ring, RingChoice::uring);
    ::setenv("SIGIL_RING", "epoll", 1);
    EXPECT_EQ(parse_whole({})->ring, RingChoice::epoll);
    EXPECT_EQ(parse_whole({"--ring", "auto"})->ring, RingChoice::automatic);
    ::setenv("SIGIL_RING", "", 1);
    EXPECT_EQ(parse_whole({})->ring, RingChoice::automatic);
    ::setenv("SIGIL_RING", "kqueue", 1);
    EXPECT_HOLDS(message_of(parse_whole({})), "SIGIL_RING: 'kqueue' is none of auto, uring, epoll");
    ::setenv("SIGIL_RING", before.c_str(), 1);
}

TEST(RunOptions, StillNeedARootAndACommand) {
    EXPECT_HOLDS(message_of(parse({"--count", "2", "true"})), "--rootfs: the root filesystem");
    EXPECT_HOLDS(message_of(parse({"--count", "2", "--rootfs", "/r"})), "the command is missing");
    EXPECT_HOLDS(message_of(parse({"--from", "-", ""})), "the command is empty");
}

TEST(RunOptions, LeaveRoomForTheNumberInTheName) {
    const std::string longest(62, 'x');
    EXPECT_TRUE(parse_whole({"--name", longest.c_str(), "--count", "9"}));
    EXPECT_HOLDS(message_of(parse_whole({"--name", longest.c_str(), "--count", "10"})),
                 "--name: with --count the last one's name is 'x");
    EXPECT_TRUE(parse_whole({"--count", "1000000"}));
}

TEST(RunOptions, NumberAJob) {
    Job job;
    ASSERT_TRUE(number_job(job, "web", 12));
    EXPECT_EQ(job.spec.name, "web-12");
    EXPECT_EQ(job.spec.hostname, "web-12");
    job.spec.hostname = "same";
    ASSERT_TRUE(number_job(job, "web", 13));
    EXPECT_EQ(job.spec.name, "web-13");
    EXPECT_EQ(job.spec.hostname, "same");
    EXPECT_HOLDS(message_of(number_job(job, std::string(63, 'x'), 1)), "is not a name");
    EXPECT_EQ(job.spec.name, "web-13");
}

}  // namespace
}  // namespace sigil::cli
