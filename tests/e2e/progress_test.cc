// What many containers show on a terminal, and what --quiet leaves of it.
#include "many.h"
#include "terminal_session.h"

namespace sigil::e2e {
namespace {

using ProgressLine = E2e;
using Quiet = E2e;

Words run_words(const Words& options, const std::string& script) {
    return sigil_run(options, {"/bin/sh", "-c", script}).command;
}

TEST_F(ProgressLine, IsWrittenAnewAndStaysAtTheEnd) {
    const std::string shared = make_directory_outside();
    TerminalSession session(run_words(
        {"--count", "3", "--name", "web", "--output", "discard", "--bind", shared + ":/mnt"},
        "while [ ! -e /mnt/go ]; do sleep 0.01; done; [ $(hostname) != web-2 ]"));
    EXPECT_NE(session.shown_before("containers at a time"), "") << "what there is room for";
    session.expect("\r\x1b[K");
    session.expect(" running, 0 of 3 done, 0 failed, 0 out of memory, 0/s");
    write_file(shared + "/go", "");
    session.expect("\r\x1b[K0 running, 3 of 3 done, 1 failed, 0 out of memory, ");
    session.expect("/s\r\n");
    const Finished finished = session.wait();
    EXPECT_EQ(finished.out, "") << "it is the last";
    EXPECT_EQ(finished.code(), 1);
}

TEST_F(ProgressLine, MakesRoomForAMessage) {
    TerminalSession session(
        sigil_run({"--count", "1", "--name", "web", "--output", "discard"}, {"/bin/nope"}).command);
    session.expect("\r\x1b[K");
    session.expect("\r\x1b[Ksigil: web-1: ");
    session.expect("/bin/nope");
    session.expect("1 of 1 done, 1 failed");
    EXPECT_EQ(session.wait().code(), 127);
}

TEST_F(ProgressLine, KnowsNoTotalOfLines) {
    const std::string lines = make_directory_outside() + "/lines";
    write_file(lines, "{\"args\":[\"true\"]}\n");
    TerminalSession session(
        sigil_run({"--from", lines, "--name", "web", "--output", "discard"}, {}).command);
    session.expect("\r\x1b[K0 running, 1 done, 0 failed");
    EXPECT_EQ(session.wait().code(), 0);
}

TEST_F(ProgressLine, IsNotThereWhereOutputIsShownOrNothingIsWanted) {
    for (const Words& mode : {Words{}, Words{"--output", "discard", "--quiet"}}) {
        Words options = {"--count", "2", "--name", "web"};
        options.insert(options.end(), mode.begin(), mode.end());
        TerminalSession session(run_words(options, "true"));
        const Finished finished = session.wait();
        EXPECT_EQ(finished.code(), 0);
        EXPECT_EQ(finished.out.find(" done, "), std::string::npos) << finished.out;
    }
}

// ---- Quiet --------------------------------------------------------------------------------------

TEST_F(Quiet, HasNothingOfWhatContainersDo) {
    const Words options = {"--count", "2",         "--name",       "web",       "--jobs",
                           "1",       "--restart", "on-failure:1", "--timeout", "50ms"};
    const Finished loud = run_script(options, "sleep 100");
    for (const char* part : {"sigil: web-1: restart 1 in ", "sigil: web-2: timeout: killed"})
        EXPECT_NE(loud.err.find(part), std::string::npos) << part << " is not in " << loud.err;
    Words quiet_options = options;
    quiet_options.push_back("--quiet");
    const Finished quiet = run_script(quiet_options, "sleep 100");
    EXPECT_EQ(quiet.err, "");
    EXPECT_EQ(quiet.code(), loud.code());
}

TEST_F(Quiet, SaysNotHowManyThereIsRoomFor) {
    const Finished loud = run({"--count", "1"}, {"/bin/bare", "0"});
    EXPECT_TRUE(loud.err.starts_with("sigil: at most ")) << loud.err;
    EXPECT_EQ(run({"--count", "1", "--quiet"}, {"/bin/bare", "0"}).err, "");
}

TEST_F(Quiet, SaysWhatIsWrongWithSigilsOwnWork) {
    expect_failure(run({"--count", "1", "--quiet"}, {"/bin/nope"}), "/bin/nope", 127);
    expect_failure(run({"--quiet", "--events", "/nowhere/events"}, {"true"}), "--events: open");
}

}  // namespace
}  // namespace sigil::e2e
