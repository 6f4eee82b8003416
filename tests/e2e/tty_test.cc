// A container with a terminal of its own, before a person at another.
#include <signal.h>
#include <termios.h>

#include "files.h"
#include "fixture.h"
#include "machine.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

class Tty : public E2e {
  protected:
    static Words run_words(Words options, Words command) {
        options.insert(options.begin(), "--tty");
        return sigil_run(std::move(options), std::move(command)).command;
    }

    // A shell of the host in which sigil is a job, whose modes can be compared before and after.
    static Words outer_shell() { return {shared_rootfs() + "/bin/busybox", "sh", "-i"}; }

    static std::string line_of(const Words& words) {
        std::string line;
        for (const std::string& word : words)
            line += "'" + word + "' ";
        line.back() = '\n';
        return line;
    }

    // Has a script run sigil between two looks at the terminal's modes, and `meddle` while it runs.
    // Returns what was shown after the second.
    template <typename Meddle>
    static std::string between_looks(const Words& words, Meddle meddle) {
        const std::string busybox = shared_rootfs() + "/bin/busybox";
        std::string run = line_of(words);
        run.pop_back();
        TerminalSession session({busybox, "sh", "-c",
                                 "stty -F /dev/tty -g; echo first; " + run +
                                     "; echo code=$?; stty -F /dev/tty -g; echo second"});
        const std::string first = session.shown_before("first\r\n");
        meddle(session);
        session.expect("code=");
        const std::string code = session.shown_before("\r\n");
        EXPECT_EQ(session.shown_before("second\r\n"), first);
        session.wait();
        return code;
    }

    // Waits until the container's shell has a job of that name in the foreground of its terminal.
    static bool await_job(pid_t sigil, const std::string& comm) {
        return eventually([&] {
            // The shell is PID 1 or the init's child.
            auto jobs = children_of(init_of(sigil));
            for (const pid_t job : children_of(command_of(sigil)))
                jobs.push_back(job);
            for (const pid_t job : jobs) {
                const std::string stat = read_file("/proc/" + std::to_string(job) + "/stat");
                const auto words = words_of(std::string_view(stat).substr(stat.rfind(')') + 1));
                if (stat.find("(" + comm + ")") != std::string::npos && words.at(0) == "S" &&
                    words.at(2) == words.at(5))  // its group is the foreground's
                    return true;
            }
            return false;
        });
    }

    static pid_t sigil_of(const TerminalSession& session) {
        pid_t sigil = -1;
        EXPECT_TRUE(eventually([&] {
            const auto jobs = children_of(session.leader());
            sigil = jobs.empty() ? -1 : jobs[0];
            return sigil > 0;
        }));
        return sigil;
    }
};

const std::string kInterrupt(1, ctrl('C'));
const std::string kSuspend(1, ctrl('Z'));
const std::string kDetach = {ctrl('P'), ctrl('Q')};

TEST_F(Tty, IsTheContainersOwnAndItsConsole) {
    TerminalSession session(run_words({}, {"/bin/sh"}));
    session.expect("/ # ");
    session.type("tty; stty size; echo term=$TERM\n");
    session.expect("/dev/pts/0\r\n24 80\r\nterm=dumb\r\n");
    session.type("echo by-na''me >/dev/console; echo by-t''ty >/dev/tty\n");
    session.expect("by-name\r\n");
    session.expect("by-tty\r\n");
    session.type("exit 7\n");
    EXPECT_EQ(session.wait().code(), 7);
}

TEST_F(Tty, TheShellHasJobControl) {
    for (const Words& options : {Words{}, Words{"--no-init"}}) {
        TerminalSession session(run_words(options, {"/bin/sh"}));
        session.expect("/ # ");
        session.type("sleep 100000\n");
        ASSERT_TRUE(await_job(session.leader(), "sleep"));
        session.type(kInterrupt);
        session.type("echo c''ode=$?\n");
        session.expect("code=130\r\n");
        session.type("sleep 100000\n");
        ASSERT_TRUE(await_job(session.leader(), "sleep"));
        session.type(kSuspend);
        session.expect("Stopped");
        session.type("exit 3\n");
        session.expect("stopped jobs");
        session.type("exit 3\n");
        EXPECT_EQ(session.wait().code(), 3);
    }
}

TEST_F(Tty, AChangedWindowReachesIt) {
    TerminalSession session(run_words({}, {"/bin/probe", "signals", "USR2"}));
    session.expect("ready");
    session.resize(50, 132);
    session.expect("signal 28");
    ::kill(session.leader(), SIGUSR2);
    EXPECT_EQ(session.wait().code(), 0);
}

TEST_F(Tty, TheNewSizeOfTheWindowIsTold) {
    TerminalSession session(run_words({}, {"/bin/sh", "-c",
                                           "trap 'stty size; exit' WINCH; echo re''ady; "
                                           "while :; do sleep 0.01; done"}));
    session.expect("ready\r\n");
    session.resize(50, 132);
    session.expect("50 132\r\n");
    session.wait();
}

TEST_F(Tty, CtrlCEndsACommandWithoutJobControl) {
    TerminalSession session(run_words({}, {"/bin/probe", "sleep", "100000"}));
    session.expect("ready");
    session.type(kInterrupt);
    EXPECT_EQ(session.wait().code(), 130);
}

TEST_F(Tty, LeavesTheTerminalAsItWas) {
    const auto nothing = [](TerminalSession&) {};
    EXPECT_EQ(between_looks(run_words({}, {"/bin/sh", "-c", "exit 4"}), nothing), "4");
    EXPECT_EQ(between_looks(run_words({}, {"/nowhere"}), nothing), "127");
    EXPECT_EQ(between_looks(run_words({}, {"/bin/sh", "-c", "kill -SEGV $$"}), nothing), "139");
    EXPECT_EQ(between_looks(run_words({"--timeout", "500ms"}, {"sleep", "100000"}), nothing),
              "137");
    EXPECT_EQ(between_looks(run_words({}, {"/bin/probe", "sleep", "100000"}),
                            [](TerminalSession& session) {
                                session.expect("ready");
                                ::kill(sigil_of(session), SIGTERM);
                            }),
              "143");
}

TEST_F(Tty, AMessageBeginsAtTheMargin) {
    TerminalSession session(run_words({"--timeout", "500ms"}, {"sleep", "100000"}));
    session.expect("timeout: killed\r\n");
    EXPECT_EQ(session.wait().code(), 137);
}

TEST_F(Tty, OutputIsCompleteAtTheEnd) {
    constexpr size_t kBytes = 10'000'000;
    TerminalSession session(run_words({}, {"/bin/sh", "-c", "yes 123456789 | head -c 10000000"}));
    const Finished finished = session.wait();
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out.size(), kBytes + kBytes / 10);  // each line's end is two bytes
    EXPECT_TRUE(finished.out.ends_with("123456789\r\n"));
}

TEST_F(Tty, OutputToAPipeIsCompleteToo) {
    const Finished finished = run({"--tty"}, {"/bin/sh", "-c", "yes 123456789 | head -c 1000000"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out.size(), 1'100'000U);
}

TEST_F(Tty, TheEndOfInputIsPassedOn) {
    for (const char* input : {"one\ntwo\n", "one\ntwo", ""}) {
        Start start = sigil_run({"--tty"}, {"cat"});
        start.input = input;
        const Finished finished = run_program(start);
        EXPECT_EQ(finished.code(), 0) << input;
    }
}

TEST_F(Tty, TheEndOfInputEndsAShellThatEditsLines) {
    Start start = sigil_run({"--tty"}, {"/bin/sh"});
    start.input = "echo $((6*7))\n";
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 0);
    EXPECT_NE(finished.out.find("\r\n42\r\n"), std::string::npos) << finished.out;
}

TEST_F(Tty, CtrlZSuspendsACommandWithoutJobControl) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({}, {"/bin/probe", "ticks"})));
    session.expect("tick 3\r\n");
    session.type(kSuspend);
    session.expect("Stopped");
    session.expect("outer> ");
    session.type("echo be''tween; fg\n");
    session.expect("between\r\n");
    session.expect("tick ");
    session.type(kInterrupt);
    session.expect("outer> ");
    session.type("echo code=$?\n");
    session.expect("code=130\r\n");
    session.type("exit\n");
    session.wait();
}

TEST_F(Tty, SigtstpRestoresTheTerminalAndFgMakesItRawAgain) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({}, {"/bin/sh"})));
    session.expect("/ # ");
    ::kill(sigil_of(session), SIGTSTP);
    session.expect("Stopped");
    session.expect("outer> ");
    session.resize(33, 99);
    session.type("stty -a | tr ';' '\\n' | grep -o ' icanon'; fg\n");
    session.expect(" icanon\r\n");
    session.expect("\n");
    session.type("stty size\n");
    session.expect("33 99\r\n");
    session.type("exit 6\n");
    session.expect("outer> ");
    session.type("echo code=$?\n");
    session.expect("code=6\r\n");
    session.type("exit\n");
    session.wait();
}

TEST_F(Tty, DetachedItGoesOnWithoutATerminal) {
    TerminalSession session(outer_shell());
    session.expect("outer> ");
    session.type(line_of(run_words({}, {"/bin/sh"})));
    session.expect("/ # ");
    session.type(kDetach);
    session.expect("detached");
    session.type(kSuspend);
    session.expect("Stopped");
    session.expect("outer> ");
    session.type("bg; echo in-the-back''ground\n");
    session.expect("in-the-background\r\n");
    const pid_t sigil = sigil_of(session);
    EXPECT_TRUE(eventually([&] {
        const auto words = words_of(read_file("/proc/" + std::to_string(sigil) + "/stat"));
        return words.size() > 2 && words[2] == "S";
    }));
    session.type("fg\n");
    session.expect("fg\r\n");
    session.expect("\n");
    session.type("echo a''gain\n");
    session.expect("again\r\n");
    session.type("exit 2\n");
    session.expect("outer> ");
    session.type("echo code=$?\n");
    session.expect("code=2\r\n");
    session.type("exit\n");
    session.wait();
}

TEST_F(Tty, OtherDetachKeysOrNone) {
    TerminalSession session(
        run_words({"--detach-keys", ""}, {"/bin/sh", "-c", "echo ready; exec cat -v"}));
    session.expect("ready\r\n");
    session.type(std::string{ctrl('V'), ctrl('P'), ctrl('V'), ctrl('Q')} + "\n");
    session.expect("^P^Q\r\n");
    session.type(kInterrupt);
    EXPECT_EQ(session.wait().code(), 130);
    for (const char* keys : {"ctrl-", "ctrl-p,", "ctrl-1", "pq"}) {
        const Finished finished = run({"--tty", "--detach-keys", keys}, {"true"});
        EXPECT_EQ(finished.code(), 125);
        EXPECT_NE(finished.err.find("--detach-keys: "), std::string::npos) << finished.err;
    }
}

TEST_F(Tty, AHangUpEndsTheContainer) {
    TerminalSession session(run_words({}, {"/bin/probe", "sleep", "100000"}));
    session.expect("ready");
    session.hang_up();
    EXPECT_EQ(session.wait().code(), 128 + SIGHUP);
}

TEST_F(Tty, OptionsThatTakeItsStreamsAreErrors) {
    for (const Words& other :
         {Words{"--count", "2"}, Words{"--from", "-"}, Words{"--stdin", "/x"},
          Words{"--stdout", "/x"}, Words{"--stderr", "/x"}, Words{"--log-dir", "/x"},
          Words{"--output", "discard"}, Words{"--restart", "always"}}) {
        Words options = other;
        options.emplace_back("--tty");
        const Finished finished = run(options, {"true"});
        EXPECT_EQ(finished.code(), 125);
        EXPECT_NE(finished.err.find("--tty: not with " + other[0]), std::string::npos)
            << finished.err;
    }
}

}  // namespace
}  // namespace sigil::e2e
