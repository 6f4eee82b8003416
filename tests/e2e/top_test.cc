// `sigil top` and `sigil stats`.
#include <sys/ioctl.h>
#include <termios.h>

#include "control_client.h"
#include "many.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

class Top : public CgroupE2e {
  protected:
    static Words options() { return {"--name", "web", "--count", "2", "--quiet"}; }
};

TEST_F(Top, PrintsOneTableWhereThereIsNoTerminal) {
    Running running(sigil_run(options(), kSleeper));
    ASSERT_TRUE(eventually([] {
        RawClient client(control_socket("web"));
        if (!client.is_connected())
            return false;
        client.send("{\"do\":\"status\"}\n");
        const std::string status = client.line();
        return status.find("web-2") != std::string::npos &&
               status.find("\"pid\":-1") == std::string::npos;
    }));
    const Finished finished = run_program(sigil({"top", "--sort", "name"}));
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    const Words lines = lines_of(finished.out);
    ASSERT_EQ(lines.size(), 3U) << finished.out;
    EXPECT_EQ(words_of(lines[0]), (Words{"ID", "STATE", "CPU%", "MEMORY", "LIMIT", "PIDS", "READ",
                                         "WRITTEN", "PSI%", "RESTARTS", "UPTIME"}));
    EXPECT_EQ(words_of(lines[1]).at(0), "web-1");
    EXPECT_EQ(words_of(lines[1]).at(1), "running");
    EXPECT_EQ(words_of(lines[1]).at(9), "0") << "the supervisor is asked for restarts";
    EXPECT_EQ(words_of(lines[2]).at(0), "web-2");
    EXPECT_EQ(lines_of(run_program(sigil({"stats", "web-2"})).out).size(), 2U);
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Top, TellsThatABusyOneIsBusy) {
    Running running(
        sigil_run({"--name", "busy", "--quiet"}, {"/bin/sh", "-c", "while :; do :; done"}));
    EXPECT_TRUE(eventually([] {
        const Words lines = lines_of(run_program(sigil({"top", "--once"})).out);
        return lines.size() == 2 && std::stod(words_of(lines[1]).at(2)) > 5;
    }));
    running.send(SIGKILL);
    (void)running.wait();
    EXPECT_EQ(run_program(sigil({"sweep"})).code(), 0);
}

TEST_F(Top, StatsAreJsonForEach) {
    Running running(sigil_run(options(), kSleeper));
    ASSERT_TRUE(eventually([] {
        return lines_of(run_program(sigil({"list", "--quiet"})).out).size() == 2;
    }));
    const Finished all = run_program(sigil({"stats", "--json"}));
    EXPECT_EQ(lines_of(all.out).size(), 2U);
    const Finished one = run_program(sigil({"stats", "--json", "web-2"}));
    const auto stats = parse_report(one.out);
    EXPECT_STREQ(stats["id"].GetString(), "web-2");
    EXPECT_STREQ(stats["state"].GetString(), "running");
    EXPECT_TRUE(stats["cpu"]["usage_us"].IsUint64());
    for (const char* key : {"memory", "pids", "io", "pressure"})
        EXPECT_TRUE(stats.HasMember(key)) << key;
    expect_failure(run_program(sigil({"stats", "--json", "nope"})), "nope");
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Top, WrongWordsAreErrors) {
    expect_failure(run_program(sigil({"top", "--sort", "size"})), "--sort: 'size' is none of cpu");
    expect_failure(run_program(sigil({"top", "--interval", "1ms"})), "is less than 100ms");
    expect_failure(run_program(sigil({"top", "nope"})), "nope");
}

constexpr const char* kShown = "\x1b[?1049h";
constexpr const char* kGone = "\x1b[?1049l";

// The shell says what the modes are before and after.
TEST_F(Top, GivesTheTerminalBackHoweverItEnds) {
    Running running(sigil_run(options(), kSleeper));
    ASSERT_TRUE(await_control("web"));
    const std::string top = sigil({"top", "--interval", "100ms"}).command[0] + " top -d 100ms";
    for (const bool is_killed : {false, true}) {
        TerminalSession session({"/bin/sh", "-c",
                                 "trap : TERM; a=$(stty -g); " + top +
                                     "; b=$(stty -g); [ \"$a\" = \"$b\" ] && " +
                                     "echo same; echo end"});
        ASSERT_TRUE(session.expect(kShown));
        ASSERT_TRUE(session.expect("web-2"));
        session.type("m");
        ASSERT_TRUE(session.expect("sorted by memory"));
        if (is_killed)
            ASSERT_EQ(::kill(-session.foreground(), SIGTERM), 0);
        else
            session.type("q");
        ASSERT_TRUE(session.expect(kGone));
        EXPECT_NE(session.shown_before("end").find("same"), std::string::npos);
        (void)session.wait();
    }
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Top, SeesThatContainersComeAndGo) {
    Running first(sigil_run({"--name", "first", "--quiet"}, kSleeper));
    ASSERT_TRUE(await_control("first"));
    TerminalSession session({sigil({"top"}).command[0], "top", "--interval", "100ms"});
    ASSERT_TRUE(session.expect("first"));
    Running second(sigil_run({"--name", "second", "--quiet"}, kSleeper));
    ASSERT_TRUE(session.expect("second"));
    second.send(SIGTERM);
    (void)second.wait();
    ASSERT_TRUE(session.expect("1 containers"));
    session.type("q");
    ASSERT_TRUE(session.expect(kGone));
    (void)session.wait();
    first.send(SIGTERM);
    (void)first.wait();
}

}  // namespace
}  // namespace sigil::e2e
