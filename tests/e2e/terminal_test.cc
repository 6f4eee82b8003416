// A container in a terminal is a job like any other.
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"
#include "machine.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

class Terminal : public E2e {
  protected:
    static Words run_words(Words options, Words command) {
        return sigil_run(std::move(options), std::move(command)).command;
    }

    // An interactive shell of the host, in which sigil is a job.
    static Words outer_shell() { return {shared_rootfs() + "/bin/busybox", "sh", "-i"}; }

    static std::string line_of(const Words& words) {
        std::string line;
        for (const std::string& word : words)
            line += word + " ";
        line.back() = '\n';
        return line;
    }
};

const std::string kInterrupt(1, ctrl('C'));
const std::string kSuspend(1, ctrl('Z'));
const std::string kQuit(1, ctrl('\\'));

TEST_F(Terminal, AShellIsInteractive) {
    TerminalSession session(run_words({}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("echo $((6*7))\n");
    session.expect("42\r\n");
    session.type("tty; stty size; echo $TERM\n");
    session.expect("24 80\r\ndumb\r\n");
    session.type("exit 7\n");
    EXPECT_EQ(session.wait().code(), 7);
}

TEST_F(Terminal, TheShellHasJobControl) {
    TerminalSession session(run_words({}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("set -o | grep monitor\n");
    session.expect("on\r\n");
    session.type("exit\n");
    const std::string shown = session.wait().out;
    EXPECT_EQ(shown.find("job control"), std::string::npos) << shown;
}

TEST_F(Terminal, CtrlCInterruptsTheProgramAndNotTheShell) {
    for (const Words& options : {Words{}, Words{"--no-init"}}) {
        TerminalSession session(run_words(options, {"/bin/sh"}));
        session.expect("/ # ");
        session.type("sleep 100000\n");
        ASSERT_TRUE(session.await_foreground("sleep"));
        session.type(kInterrupt);
        session.type("echo code=$?\n");
        session.expect("code=130\r\n");
        session.type("exit 3\n");
        EXPECT_EQ(session.wait().code(), 3);
    }
}

TEST_F(Terminal, CtrlCAtThePromptEndsNothing) {
    TerminalSession session(run_words({"--stop-timeout", "0"}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("half a line" + kInterrupt);
    session.expect("/ # ");
    session.type("echo still here\n");
    session.expect("still here\r\n");
    session.type("exit 4\n");
    EXPECT_EQ(session.wait().code(), 4);
}

TEST_F(Terminal, CtrlZAndFgWorkInTheShell) {
    TerminalSession session(run_words({}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("sleep 100000\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.type(kSuspend);
    session.expect("Stopped");
    session.expect("/ # ");
    session.type("jobs\n");
    session.expect("Stopped");
    session.type("fg\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.type(kInterrupt);
    session.type("echo code=$?\n");
    session.expect("code=130\r\n");
    session.type("exit 5\n");
    EXPECT_EQ(session.wait().code(), 5);
}

TEST_F(Terminal, IsGivenBackToTheOuterShell) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    const pid_t outer = session.foreground();
    session.type(line_of(run_words({"--name", "inner"}, {"/bin/sh"})));
    session.expect("/ # ");
    session.type("sleep 100000\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.type(kInterrupt);
    session.type("exit 6\n");
    session.expect("outer> ");
    EXPECT_TRUE(eventually([&] { return session.foreground() == outer; }));
    session.type("echo code=$?\n");
    session.expect("code=6\r\n");
    session.type("sleep 100000\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.type(kInterrupt);
    session.type("exit\n");
    session.wait();
}

TEST_F(Terminal, CtrlCReachesTheCommandOnce) {
    TerminalSession session(run_words({"--stop-timeout", "0"}, {"/bin/probe", "signals", "USR2"}));
    session.expect("ready");
    for (int round = 0; round < 3; ++round) {
        session.type(kInterrupt);
        session.expect("signal 2 sent 0\r\n");
    }
    session.type(kQuit);
    EXPECT_EQ(session.shown_before("signal 3 sent 0").find("signal"), std::string::npos);
    ::kill(session.leader(), SIGUSR2);
    const Finished finished = session.wait();
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out.find("signal 2"), std::string::npos) << finished.out;
}

TEST_F(Terminal, CtrlCEndsAPlainCommand) {
    TerminalSession session(run_words({}, {"/bin/probe", "sleep", "100000"}));
    session.expect("ready");
    session.type(kInterrupt);
    EXPECT_EQ(session.wait().code(), 130);
}

TEST_F(Terminal, AChangedWindowReachesTheCommandOnce) {
    TerminalSession session(run_words({}, {"/bin/probe", "signals", "USR2"}));
    session.expect("ready");
    session.resize(50, 132);
    session.expect("signal 28 sent 0\r\n");
    ::kill(session.leader(), SIGUSR2);
    EXPECT_EQ(session.wait().out.find("signal 28"), std::string::npos);
}

TEST_F(Terminal, CtrlZSuspendsThePlainCommandAndSigil) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({}, {"/bin/probe", "ticks"})));
    session.expect("tick 3\r\n");
    session.type(kSuspend);
    session.expect("Stopped");
    session.expect("outer> ");
    session.type("echo between; fg\n");
    session.expect("between\r\n");
    session.expect("tick ");
    session.type(kInterrupt);
    session.expect("outer> ");
    session.type("echo code=$?\n");
    session.expect("code=130\r\n");
    session.type("exit\n");
    session.wait();
}

// What is stopped with it shows nothing and uses nothing.
TEST_F(Terminal, ASuspendedContainerStandsStill) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({"--name", "still"}, {"/bin/probe", "ticks"})));
    session.expect("tick 3\r\n");
    session.type(kSuspend);
    session.expect("outer> ");
    pid_t sigil = -1;
    ASSERT_TRUE(eventually([&] {
        const auto jobs = children_of(session.leader());
        sigil = jobs.empty() ? -1 : jobs[0];
        return sigil > 0;
    }));
    EXPECT_TRUE(eventually([&] {
        const auto words =
            words_of(read_file("/proc/" + std::to_string(command_of(sigil)) + "/stat"));
        return words.size() > 2 && words[2] == "T";
    }));
    session.type("kill %1; fg\n");
    session.expect("outer> ");
    session.type("exit\n");
    session.wait();
}

TEST_F(Terminal, AJobInTheBackgroundHasNoTerminal) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    Words words = run_words({}, {"/bin/probe", "facts"});
    words.insert(words.end(), {"|", "grep", "tty.controlling", "&"});
    session.type(line_of(words));
    session.expect("tty.controlling no\r\n");
    session.type("wait; exit\n");
    session.wait();
}

TEST_F(Terminal, SigttouDoesNotStopAJobInTheBackground) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type("stty tostop\n");
    session.expect("outer> ");
    Words words = run_words({}, {"echo", "from-the-background"});
    words.insert(words.end(), {">/dev/null", "&"});
    session.type(line_of(words));
    session.type("wait; echo done-$?\n");
    session.expect("done-0\r\n");
    session.type("exit\n");
    session.wait();
}

TEST_F(Terminal, WithSignalGroupTheCommandHasTheForeground) {
    TerminalSession session(run_words({"--signal-group"}, {"/bin/probe", "family", "USR2"}));
    session.expect("ready");
    session.type(kInterrupt);
    const std::string shown = session.shown_before("2 sent 0") + session.shown_before("2 sent 0");
    EXPECT_NE(shown.find("child"), std::string::npos) << shown;
    ::kill(session.leader(), SIGUSR2);
    EXPECT_EQ(session.wait().code(), 0);
}

TEST_F(Terminal, AHangUpEndsTheContainer) {
    TerminalSession session(run_words({}, {"/bin/probe", "sleep", "100000"}));
    session.expect("ready");
    session.hang_up();
    EXPECT_EQ(session.wait().code(), 128 + SIGHUP);
}

TEST_F(Terminal, AHangUpEndsAShellToo) {
    TerminalSession session(run_words({}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("sleep 100000\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.hang_up();
    session.wait();
}

TEST_F(Terminal, AHangUpOfTheOuterShellEndsTheContainer) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({}, {"/bin/sh"})));
    session.expect("/ # ");
    session.type("sleep 100000\n");
    ASSERT_TRUE(session.await_foreground("sleep"));
    session.hang_up();
    session.wait();
}

TEST_F(Terminal, TheOuterShellGoesOnAfterAKill) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({"--timeout", "1s"}, {"/bin/sh"})));
    session.expect("/ # ");
    session.expect("timeout");
    session.expect("outer> ");
    session.type("echo code=$?\n");
    session.expect("code=137\r\n");
    session.type("exit\n");
    session.wait();
}

}  // namespace
}  // namespace sigil::e2e
