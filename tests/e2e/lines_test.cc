// Jobs from lines of JSON, and what their containers write.
#include <signal.h>

#include <algorithm>

#include "bundle.h"
#include "cgroups.h"
#include "events.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Lines = E2e;
using ManyOutputs = E2e;

// `sigil run --from -` with these lines.
Start from_lines(Words options, const std::vector<std::string>& lines) {
    options.insert(options.end(), {"--from", "-", "--name", "web", "--quiet"});
    Start start = sigil_run(std::move(options), {});
    for (const std::string& line : lines)
        start.input += line + "\n";
    return start;
}

// The part of the text's lines that starts with this, in order.
std::vector<std::string> lines_with(const std::string& text, const std::string& prefix) {
    std::vector<std::string> found;
    for (const std::string& line : lines_of(text))
        if (line.starts_with(prefix))
            found.push_back(line.substr(prefix.size()));
    return found;
}

TEST_F(Lines, EachIsAContainerWithItsOwnWords) {
    const Finished finished = run_program(from_lines(
        {},
        {R"({"id":"a","args":["sh","-c","echo $HOSTNAME $X; pwd"],"env":{"X":"1"},"cwd":"/tmp"})",
         R"({"args":["hostname"],"hostname":"box","init":false})", "",
         R"({"id":"c","args":["id","-u"],"user":"1000"})"}));
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    EXPECT_EQ(lines_with(finished.out, "a     | "), (Words{"a 1", "/tmp"}));
    EXPECT_EQ(lines_with(finished.out, "web-2 | "), (Words{"box"}));
    EXPECT_EQ(lines_with(finished.out, "c     | "), (Words{"1000"}));
}

TEST_F(Lines, MayNameBundlesBesideOthers) {
    Bundle box({"sh", "-c", "echo $(hostname) $X $(id -u)"});
    box.set("/hostname", "\"box\"").append("/process/env", "\"X=config\"");
    Bundle rich({"true"});
    rich.set("/hooks", R"({"prestart":[{"path":"/bin/true"}]})");
    const Finished finished = run_program(from_lines(
        {},
        {R"({"id":"a","bundle":")" + box.path() + R"("})",
         R"({"id":"b","bundle":")" + box.path() + R"(","env":{"X":"line"}})",
         R"({"id":"c","bundle":")" + box.path() + R"(","args":["echo","mine"]})",
         R"({"id":"d","args":["hostname"]})", R"({"id":"e","bundle":")" + rich.path() + R"("})"}));
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(lines_with(finished.out, "a | "), (Words{"box config 0"})) << finished.err;
    EXPECT_EQ(lines_with(finished.out, "b | "), (Words{"box line 0"}));
    EXPECT_EQ(lines_with(finished.out, "c | "), (Words{"mine"}));
    EXPECT_EQ(lines_with(finished.out, "d | "), (Words{"d"}));
    EXPECT_NE(finished.err.find("sigil: e: hooks, a terminal"), std::string::npos) << finished.err;
}

TEST_F(Lines, OneThatIsNoJobIsToldWithItsNumberAndTheRestRun) {
    const std::string path = make_directory_outside() + "/events";
    const Finished finished = run_program(from_lines(
        {"--events", path}, {R"({"id":"a","args":["true"]})", "nonsense",
                             R"({"id":"b","args":["true"],"memory":"much"})",
                             R"({"id":"a/b","args":["true"]})", R"({"id":"c","args":["true"]})"}));
    EXPECT_EQ(finished.code(), 125);
    for (const char* part : {"line 2: ", "line 3: memory: ", "line 4: id: "})
        EXPECT_NE(finished.err.find(part), std::string::npos) << part;
    const EventLog events(path);
    EXPECT_EQ(events.ids(), (std::set<std::string>{"a", "c"}));
    EXPECT_EQ(events.summary("succeeded"), 2);
    EXPECT_EQ(events.summary("rejected"), 3);
}

TEST_F(Lines, AFileThatIsNotThereIsAnErrorThatLeavesNothing) {
    expect_failure(run({"--from", "/nowhere", "--quiet"}, {"true"}), "--from: open /nowhere");
}

TEST_F(Lines, AFirstBadOneStopsTheRestWhereAsked) {
    const Finished finished = run_program(
        from_lines({"--fail-fast"}, {"nonsense", R"({"id":"a","args":["echo","ran"]})"}));
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.out, "");
}

TEST_F(Lines, StartAfterThoseTheyName) {
    const std::string path = make_directory_outside() + "/events";
    const Finished finished = run_program(from_lines(
        {"--events", path},
        {R"({"id":"c","args":["true"],"after":["b"]})", R"({"id":"b","args":["true"],"after":"a"})",
         R"({"id":"a","args":["true"]})", R"({"id":"x","args":["true"],"after":["y"]})",
         R"({"id":"y","args":["true"],"after":["x"]})"}));
    EXPECT_EQ(finished.code(), 125);
    EXPECT_NE(finished.err.find("a cycle: "), std::string::npos) << finished.err;
    const EventLog events(path);
    EXPECT_EQ(events.ids_of("started"), (Words{"a", "b", "c"}));
    EXPECT_EQ(events.summary("rejected"), 2);
}

// One after the other, and the first does not start.
TEST_F(Lines, AChainOfAHundredThousandIsRejectedWithItsFirst) {
    const unsigned count = is_slow() ? 2000 : 100'000;
    std::vector<std::string> lines = {R"({"id":"j0","args":["/bin/nope"]})"};
    for (unsigned number = 1; number < count; ++number)
        lines.push_back(R"({"id":"j)" + std::to_string(number) +
                        R"(","args":["true"],"after":["j)" + std::to_string(number - 1) + "\"]}");
    const std::string path = make_directory_outside() + "/events";
    const Finished finished = run_program(from_lines({"--events", path}, lines));
    EXPECT_EQ(finished.code(), 127);
    EXPECT_TRUE(finished.err.ends_with(" did not start\n"));
    const EventLog events(path);
    EXPECT_EQ(events.summary("rejected"), count - 1);
    EXPECT_EQ(events.summary("failed"), 1);
}

TEST_F(Lines, AreTakenAsPlacesBecomeFree) {
    Start start = from_lines({"--jobs", "1"}, {R"({"id":"a","args":["echo","first"]})"});
    start.keeps_input_open = true;
    Running running(start);
    EXPECT_EQ(running.next_line(), "a | first");
    running.type("{\"id\":\"b\",\"args\":[\"echo\",\"second\"]}\n");
    EXPECT_EQ(running.next_line(), "b | second");
    running.close_input();
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Lines, AFileThatCannotBeOpenedIsAnErrorOfItsContainer) {
    const std::string path = make_directory_outside() + "/events";
    const Finished finished = run_program(
        from_lines({"--events", path}, {R"({"id":"a","args":["true"],"stdout":"/nowhere/out"})",
                                        R"({"id":"b","args":["true"]})"}));
    EXPECT_EQ(finished.code(), 125);
    const EventLog events(path);
    EXPECT_EQ(events.of("a"), (Words{"created", "error", "exited"}));
    EXPECT_EQ(events.summary("succeeded"), 1);
}

TEST_F(Lines, ManyOfThemAreAllRun) {
    const unsigned count = is_slow() ? 60 : 1000;
    std::vector<std::string> lines;
    for (unsigned number = 0; number < count; ++number)
        lines.push_back(R"({"args":["/bin/bare","0"],"network":"host"})");
    const std::string path = make_directory_outside() + "/events";
    const Finished finished = run_program(from_lines({"--events", path, "--jobs", "16"}, lines));
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    EXPECT_EQ(EventLog(path).summary("succeeded"), count);
}

// Out of memory under one limit, and SIGKILL from the command itself, side by side: each is told
// for what it is.
TEST_F(Lines, OomsAndKillsAreToldApart) {
    SIGIL_NEEDS_CONTROLLER("memory");
    constexpr unsigned kEach = 500;
    std::vector<std::string> lines;
    for (unsigned number = 0; number < kEach; ++number) {
        const std::string tail =
            std::to_string(number) + R"(","memory":"4M","args":["/bin/probe",)";
        lines.push_back(R"({"id":"web-oom-)" + tail + R"("alloc","100000000"]})");
        lines.push_back(R"({"id":"web-kill-)" + tail + R"("die","9"]})");
    }
    const std::string path = make_directory_outside() + "/events";
    const Finished finished =
        run_program(from_lines({"--events", path, "--jobs", "8", "--network", "host"}, lines));
    EXPECT_EQ(finished.code(), 128 + SIGKILL);
    const EventLog events(path);
    EXPECT_EQ(events.summary("oom"), kEach);
    EXPECT_EQ(events.summary("signaled"), kEach);
    for (const std::string& id : events.ids_of("oom"))
        EXPECT_TRUE(id.starts_with("web-oom-")) << id;
}

TEST_F(ManyOutputs, ALineIsLedByItsContainersName) {
    const Finished finished =
        run({"--count", "3", "--name", "web", "--quiet"},
            {"sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf rest"});
    for (unsigned number = 1; number <= 3; ++number) {
        const std::string prefix = "web-" + std::to_string(number) + " | ";
        EXPECT_EQ(lines_with(finished.out, prefix), (Words{"out 1", "out 2", "out 3", "rest"}));
        EXPECT_EQ(lines_with(finished.err, prefix), (Words{"err 1", "err 2", "err 3"}));
    }
    EXPECT_EQ(lines_of(finished.out).size(), 12U);
}

TEST_F(ManyOutputs, NothingOfMuchIsLost) {
    const Finished finished =
        run({"--count", "4", "--name", "web", "--quiet"},
            {"sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"});
    for (unsigned number = 1; number <= 4; ++number) {
        const auto lines = lines_with(finished.out, "web-" + std::to_string(number) + " | ");
        ASSERT_EQ(lines.size(), 2000U);
        EXPECT_EQ(lines.back(), "1999");
    }
}

TEST_F(ManyOutputs, MayBeEvents) {
    const std::string path = make_directory_outside() + "/events";
    const Finished finished =
        run({"--count", "2", "--name", "web", "--quiet", "--output", "events", "--events", path},
            {"sh", "-c", "echo hello; echo oops >&2"});
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.code(), 0);
    const EventLog events(path);
    EXPECT_EQ(events.ids_of("output").size(), 4U);
}

TEST_F(ManyOutputs, OfOneMayHaveItsName) {
    const Finished finished =
        run({"--output", "prefix", "--name", "one"}, {"sh", "-c", "echo a; echo b"});
    EXPECT_EQ(finished.out, "one | a\none | b\n");
}

TEST_F(ManyOutputs, AFileForAllIsEmptiedOnce) {
    const std::string path = make_directory_outside() + "/out";
    write_file(path, "old\n");
    const Finished finished =
        run({"--count", "3", "--jobs", "1", "--name", "web", "--quiet", "--stdout", path},
            {"hostname"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(read_file(path), "web-1\nweb-2\nweb-3\n");
}

// What holds the pipe from outside the container does not hold up its end.
TEST_F(ManyOutputs, AnEndIsNotHeldUpByWhoeverHasThePipe) {
    Running running(sigil_run({"--count", "1", "--name", "web", "--quiet"},
                              {"sh", "-c", "echo begun; sleep 1000 & echo done"}));
    EXPECT_EQ(running.next_line(), "web-1 | begun");
    EXPECT_EQ(running.next_line(), "web-1 | done");
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
