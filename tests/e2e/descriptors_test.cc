// Streams and descriptors: what the command has, and nothing else.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Streams = E2e;

std::string pattern(size_t size) {
    std::string text(size, '\0');
    for (size_t index = 0; index < size; ++index)
        text[index] = static_cast<char>(index * 2654435761U >> 13);
    return text;
}

TEST_F(Streams, PassLargeDataThroughUnchanged) {
    Start start = sigil_run({}, {"cat"});
    start.input = pattern(8'000'003);
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 0);
    EXPECT_TRUE(finished.out == start.input) << finished.out.size();
}

TEST_F(Streams, StayApart) {
    const Finished finished = run_script({}, "echo out; echo err >&2");
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.err, "err\n");
}

TEST_F(Streams, TheEndOfInputIsSeen) {
    EXPECT_EQ(run({}, {"cat"}).code(), 0);
    Start start = sigil_run({}, {"wc", "-c"});
    start.input = "12345";
    EXPECT_EQ(run_program(start).out, "5\n");
}

TEST_F(Streams, AnswerWhileTheyAreOpen) {
    Start start =
        sigil_run({}, {"/bin/sh", "-c", "while read a; do echo \"<$a>\"; done; echo end"});
    start.keeps_input_open = true;
    Running running(start);
    for (const char* word : {"one", "two", "three"}) {
        running.type(std::string(word) + "\n");
        EXPECT_EQ(running.next_line(), std::string("<") + word + ">");
    }
    running.close_input();
    EXPECT_EQ(running.next_line(), "end");
    EXPECT_EQ(running.wait().code(), 0);
}

// No copy is made on the way: the command has the very file that the caller gave.
TEST_F(Streams, AreTheCallersOwn) {
    const std::string path = make_directory_outside() + "/file";
    write_file(path, "first line\nsecond line\n");
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    Start start = sigil_run({}, {"head", "-c", "11"});
    start.descriptors = {{0, file}};
    EXPECT_EQ(run_program(start).out, "first line\n");
    EXPECT_GE(::lseek(file, 0, SEEK_CUR), 11);
    ::close(file);
}

TEST_F(Streams, ACommandThatEndsEarlyDoesNotHurtItsFeeder) {
    Start start = sigil_run({}, {"head", "-c", "1"});
    start.input = pattern(2'000'000);
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out.size(), 1U);
}

// As programs that log to /dev/stdout rely on.
TEST_F(Streams, AUserMayOpenThoseThatArePipes) {
    const Words script = {
        "/bin/sh", "-c",
        "read line < /dev/stdin; echo $line > /dev/stdout; echo err > /dev/stderr"};
    for (const Words& options :
         {Words{"--user", "1000:1000"}, Words{"--user", "1000:1000", "--no-init"},
          Words{"--user", "1000:1000", "--cap-drop", "all"}}) {
        Start start = sigil_run(options, script);
        start.input = "in\n";
        const Finished finished = run_program(start);
        EXPECT_EQ(finished.out, "in\n") << testing::PrintToString(options);
        EXPECT_EQ(finished.err, "err\n") << testing::PrintToString(options);
    }
    const Finished many =
        run_program(sigil_run({"--user", "1000:1000", "--name", "web", "--count", "2", "--quiet"},
                              {"/bin/sh", "-c", "echo out > /dev/stdout"}));
    Words lines = lines_of(many.out);
    std::ranges::sort(lines);
    EXPECT_EQ(lines.size(), 2U) << testing::PrintToString(many);
    EXPECT_TRUE(!lines.empty() && lines[0].ends_with("out")) << many.out;
}

// The file of a caller's is not given away.
TEST_F(Streams, AFileStaysItsOwners) {
    const std::string path = make_directory_outside() + "/log";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    Start start = sigil_run({"--user", "1000:1000"}, {"/bin/sh", "-c", "echo out"});
    start.descriptors = {{1, file}};
    EXPECT_EQ(run_program(start).code(), 0);
    struct stat facts = {};
    ASSERT_EQ(::fstat(file, &facts), 0);
    EXPECT_EQ(facts.st_uid, 0U);
    EXPECT_EQ(read_file(path), "out\n");
    ::close(file);
}

TEST_F(Streams, ACommandThatWritesToAClosedPipeGetsItsOwnSignal) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    Start start = sigil_run({}, {"yes"});
    start.descriptors = {{1, ends[1]}};
    EXPECT_EQ(run_program(start).code(), 128 + SIGPIPE);
    ::close(ends[1]);
}

using Descriptors = E2e;

// Without close-on-exec, as a careless caller leaves them.
void open_more(const std::vector<int>& numbers) {
    const int file = ::open("/etc/hostname", O_RDONLY);
    for (int number : numbers)
        if (::dup2(file, number) < 0)
            ::_exit(1);
    ::close(file);
}

std::vector<std::string> numbers_of(const Facts& facts) {
    std::vector<std::string> numbers;
    for (const auto& [number, target] : facts.descriptors())
        numbers.push_back(number);
    return numbers;
}

TEST_F(Descriptors, OnlyTheStreamsAreInherited) {
    const Words modes[] = {{},
                           {"--no-init"},
                           {"--network", "host"},
                           {"--user", "alice"},
                           {"--report", "/dev/null"},
                           {"--bind", "/etc/hostname:/etc/hostname", "--tmpfs", "/tmp"},
                           {"--cgroup-set", "cgroup.max.depth=1"}};
    for (const Words& options : modes) {
        Start start = probe_run(options);
        start.before_exec = [] { open_more({3, 4, 5, 6, 7, 8, 9, 10, 63, 64, 255, 900}); };
        EXPECT_EQ(numbers_of(facts_from(start)), (Words{"0", "1", "2"}))
            << testing::PrintToString(options);
    }
}

TEST_F(Descriptors, PassedOnesKeepTheirNumberAndFile) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    for (int number : {3, 7, 900}) {
        Start start = probe_run({"--pass-fd", std::to_string(number)});
        start.descriptors = {{number, ends[1]}, {11, ends[0]}};
        const Facts facts = facts_from(start);
        EXPECT_EQ(facts.descriptors().size(), 4U);
        EXPECT_EQ(facts["fd." + std::to_string(number)],
                  std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(ends[1])));
    }
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(Descriptors, PassedOnesWork) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Start start =
        sigil_run({"--pass-fd", "5", "--pass-fd", "6"}, {"/bin/probe", "write-fd", "6", "hello"});
    start.descriptors = {{5, ends[0]}, {6, ends[1]}};
    EXPECT_EQ(run_program(start).out, "ok\n");
    char text[16] = "";
    EXPECT_EQ(::read(ends[0], text, sizeof text), 5);
    EXPECT_STREQ(text, "hello");
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_F(Descriptors, PassedOnesArePassedWithoutInitToo) {
    Start start = probe_run({"--no-init", "--pass-fd", "4", "--pass-fd", "4"});
    start.before_exec = [] { open_more({3, 4, 5}); };
    EXPECT_EQ(numbers_of(facts_from(start)), (Words{"0", "1", "2", "4"}));
}

TEST_F(Descriptors, TheReportsIsNotInherited) {
    const std::string path = make_directory_outside() + "/report";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    Start start = probe_run({"--report", "fd:9"});
    start.descriptors = {{9, file}};
    EXPECT_EQ(numbers_of(facts_from(start)), (Words{"0", "1", "2"}));
    EXPECT_NE(read_file(path), "");
    ::close(file);
}

TEST_F(Descriptors, WorkUpToTheLimitOfOpenFiles) {
    Start start = probe_run({"--pass-fd", "63"});
    start.before_exec = [] {
        open_more({63});
        const rlimit low = {64, 64};
        ::setrlimit(RLIMIT_NOFILE, &low);
    };
    EXPECT_EQ(numbers_of(facts_from(start)), (Words{"0", "1", "2", "63"}));
}

// Whichever of the streams the caller has closed: sigil's own files don't take their place.
TEST_F(Descriptors, ClosedStreamsAreNotReplacedBySigilsOwn) {
    for (const Words& mode : {Words{}, Words{"--no-init"}})
        for (unsigned closed = 0; closed < 8; ++closed) {
            const std::string path = make_directory_outside() + "/facts";
            Words options = mode;
            options.insert(options.end(), {"--report", "/dev/null", "--pass-fd", "9"});
            Start start = sigil_run(options, {"/bin/sh", "-c", "/bin/probe >&9"});
            const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            start.descriptors = {{9, file}};
            start.before_exec = [closed] {
                for (int number = 0; number < 3; ++number)
                    if (closed & 1U << number)
                        ::close(number);
            };
            EXPECT_EQ(run_program(start).code(), 0) << closed;
            const Facts facts(read_file(path));
            EXPECT_EQ(facts["hostname"].size(), 12U) << closed;
            for (const auto& [number, target] : facts.descriptors()) {
                EXPECT_TRUE(target == "/dev/null" || target.starts_with("pipe:") ||
                            target.ends_with("/facts"))
                    << closed << ": " << number << " " << target;
            }
            ::close(file);
        }
}

TEST_F(Descriptors, MessagesGoNowhereElseWhenStderrIsClosed) {
    const std::string path = make_directory_outside() + "/report";
    Start start = sigil_run({"--report", path}, {"/bin/nope"});
    start.before_exec = [] { ::close(2); };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 127);
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(lines_of(read_file(path)).size(), 1U);
}

}  // namespace
}  // namespace sigil::e2e
