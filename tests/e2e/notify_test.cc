// What a process manager is told, by sigil and by containers through it (sd_notify(3)).
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "manager_socket.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Notifications = E2e;

// The place of a line among those heard; -1: it is not there.
long place(ManagerSocket& manager, const std::string& line) {
    const Words& lines = manager.heard();
    const auto found = std::ranges::find(lines, line);
    return found == lines.end() ? -1 : found - lines.begin();
}

TEST_F(Notifications, TellOfReadinessAndTheStop) {
    ManagerSocket manager;
    Running running(manager.told_by(waiting({"--name", "web"})));
    ASSERT_TRUE(manager.await("READY=1"));
    EXPECT_TRUE(manager.await("MAINPID=" + std::to_string(running.pid())));
    EXPECT_TRUE(manager.await("STATUS=web is running"));
    EXPECT_LT(place(manager, "STATUS=web is running"), place(manager, "READY=1"));
    EXPECT_EQ(manager.count("STOPPING=1"), 0U);
    EXPECT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    EXPECT_TRUE(manager.await("STOPPING=1"));
    EXPECT_TRUE(manager.await("EXTEND_TIMEOUT_USEC=15000000"));  // --stop-timeout and five seconds
    (void)running.wait();
    EXPECT_EQ(manager.count("READY=1"), 1U);
}

TEST_F(Notifications, ReachAnAbstractAddress) {
    ManagerSocket manager(true);
    Running running(manager.told_by(sigil_run({}, {"true"})));
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_TRUE(manager.await("READY=1"));
    EXPECT_TRUE(manager.await("STOPPING=1"));
}

TEST_F(Notifications, NeverTellThatWhatDidNotStartIsReady) {
    ManagerSocket manager;
    Running running(manager.told_by(sigil_run({}, {"/bin/nope"})));
    EXPECT_EQ(running.wait().code(), 127);
    EXPECT_TRUE(manager.await("STOPPING=1"));
    EXPECT_EQ(manager.count("READY=1"), 0U);
}

TEST_F(Notifications, ComeOnceTheFirstOfManyHaveStarted) {
    ManagerSocket manager;
    const Outputs outputs;
    Running running(
        manager.told_by(sigil_run(outputs.with({"--count", "5", "--jobs", "3"}), kSleeper)));
    ASSERT_TRUE(manager.await("READY=1"));
    EXPECT_EQ(count_events(outputs.events, "started"), 3U);
    EXPECT_LT(place(manager, "STATUS=3 running, 0 ended"), place(manager, "READY=1"));
    EXPECT_GE(place(manager, "STATUS=3 running, 0 ended"), 0);
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Notifications, AreSignsOfLifeWhileTheLoopTurns) {
    ManagerSocket manager;
    Running running(manager.told_by(waiting({}), {"WATCHDOG_USEC=100000"}));
    EXPECT_TRUE(eventually([&] { return manager.count("WATCHDOG=1") >= 3; }));
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Notifications, AreNoSignsOfLifeForAnothersWatchdog) {
    ManagerSocket manager;
    Running running(manager.told_by(waiting({}), {"WATCHDOG_USEC=100000", "WATCHDOG_PID=1"}));
    ASSERT_TRUE(manager.await("READY=1"));
    EXPECT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    (void)running.wait();
    EXPECT_EQ(manager.count("WATCHDOG=1"), 0U);
}

TEST_F(Notifications, AreSigilsAloneUnlessAskedFor) {
    ManagerSocket manager;
    Running running(manager.told_by(sigil_run({}, {"env"}), {"WATCHDOG_USEC=9000000"}));
    const std::string text = running.wait().out;
    EXPECT_EQ(text.find("NOTIFY_SOCKET"), std::string::npos) << text;
    EXPECT_EQ(text.find("WATCHDOG"), std::string::npos) << text;
}

TEST_F(Notifications, CanBeIgnored) {
    ManagerSocket manager;
    Running running(manager.told_by(sigil_run({"--notify", "ignore"}, {"true"})));
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_EQ(manager.heard(), Words{});
}

TEST_F(Notifications, AreNoReasonToFail) {
    Start start = sigil_run({}, {"true"});
    start.before_exec = [] { ::setenv("NOTIFY_SOCKET", "/nope/notify", 1); };
    Running running(start);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 0);
    EXPECT_NE(finished.err.find("warning: NOTIFY_SOCKET"), std::string::npos) << finished.err;
}

// ---- containers that speak for themselves -------------------------------------------------------

TEST_F(Notifications, OfAContainerArePassedOn) {
    ManagerSocket manager;
    const Outputs outputs;
    Start start = manager.told_by(sigil_run(
        outputs.with({"--notify", "container"}),
        {"/bin/sh", "-c",
         "probe notify STATUS=loading && read go && probe notify READY=1 STATUS=serving && "
         "probe barrier && probe notify RELOADING=1 && probe notify READY=1 && "
         "probe notify EXTEND_TIMEOUT_USEC=77 STOPPING=1 && probe barrier"}));
    start.keeps_input_open = true;
    Running running(start);
    ASSERT_TRUE(manager.await("STATUS=loading"));
    EXPECT_EQ(manager.count("READY=1"), 0U);
    EXPECT_EQ(count_events(outputs.events, "started"), 1U);
    EXPECT_EQ(count_events(outputs.events, "ready"), 0U);
    running.type("go\n");
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_TRUE(manager.await("STOPPING=1"));
    EXPECT_EQ(manager.count("READY=1"), 2U);
    EXPECT_EQ(manager.count("RELOADING=1"), 1U);
    EXPECT_EQ(manager.count("EXTEND_TIMEOUT_USEC=77"), 1U);
    EXPECT_LT(place(manager, "READY=1"), place(manager, "RELOADING=1"));
    EXPECT_EQ(count_events(outputs.events, "ready"), 1U);
}

TEST_F(Notifications, OfContainersAreJoined) {
    ManagerSocket manager;
    const Outputs outputs;
    const std::string directory = make_directory_outside();
    Running running(manager.told_by(sigil_run(
        outputs.with({"--count", "2", "--notify", "container", "--bind", directory + ":/gate"}),
        {"/bin/sh", "-c",
         "until [ -e /gate/$HOSTNAME ]; do sleep 0.05; done; probe notify READY=1; "
         "exec sleep 100000"})));
    write_file(directory + "/web-2", "");
    ASSERT_TRUE(outputs.await("ready", 1));
    EXPECT_EQ(manager.count("READY=1"), 0U);
    write_file(directory + "/web-1", "");
    EXPECT_TRUE(manager.await("READY=1"));
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Notifications, OfOneHoldBackThoseAfterIt) {
    ManagerSocket manager;
    const Outputs outputs;
    const std::string file = make_directory_outside() + "/jobs";
    write_file(file,
               R"({"id":"web","args":["sleep","100000"],"after":["db"]})"
               "\n"
               R"({"id":"db","args":["sh","-c","read go; probe notify READY=1; sleep 100000"],)"
               R"("stdin":")" +
                   file +
                   R"("})"
                   "\n");
    Running running(
        manager.told_by(sigil_run(outputs.with({"--from", file, "--notify", "container"}), {})));
    EXPECT_TRUE(outputs.await("started", 2));
    const EventLog log(outputs.events);
    EXPECT_EQ(log.ids_of("started"), (Words{"db", "web"}));
    EXPECT_EQ(log.ids_of("ready"), Words{"db"});
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Notifications, OfAnyUserAreHeardWithoutAHostsFile) {
    ManagerSocket manager;
    Running running(manager.told_by(
        sigil_run({"--notify", "container", "--user", "1000", "--read-only", "--no-init"},
                  {"probe", "notify", "READY=1"})));
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_TRUE(manager.await("READY=1"));
}

// ---- descriptors --------------------------------------------------------------------------------

TEST_F(Notifications, GoToADescriptorAsANewline) {
    std::array<int, 2> ends;
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    Start start = waiting({"--notification-fd", "7"});
    start.descriptors = {{7, ends[1]}};
    Running running(start);
    ::close(ends[1]);
    std::array<char, 8> bytes;
    EXPECT_EQ(::read(ends[0], bytes.data(), bytes.size()), 1);
    EXPECT_EQ(bytes[0], '\n');
    EXPECT_EQ(::read(ends[0], bytes.data(), bytes.size()), 0) << "it is not closed";
    ::close(ends[0]);
    EXPECT_EQ(running.next_line(), "ready");
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Notifications, NeedAnOpenDescriptor) {
    expect_failure(run({"--notification-fd", "77"}, {"true"}), "descriptor 77 is not open");
}

TEST_F(Notifications, SocketsHandedDownAreTheContainers) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (const Words& options : {Words{}, Words{"--no-init"}}) {
        Start start = sigil_run(options, {"/bin/sh", "-c",
                                          "echo $LISTEN_FDS $LISTEN_FDNAMES; "
                                          "test $LISTEN_PID = $$ && readlink /proc/self/fd/3"});
        start.descriptors = {{3, socket}};
        start.before_exec = [] {
            ::setenv("LISTEN_FDS", "1", 1);
            ::setenv("LISTEN_FDNAMES", "http", 1);
            ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        };
        Running running(start);
        const Finished finished = running.wait();
        EXPECT_TRUE(finished.out.starts_with("1 http\nsocket:[")) << finished.out << finished.err;
    }
    ::close(socket);
}

TEST_F(Notifications, SocketsOfAnotherProcessAreNotPassedOn) {
    Start start = sigil_run({}, {"env"});
    start.before_exec = [] {
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LISTEN_PID", "1", 1);
    };
    Running running(start);
    EXPECT_EQ(running.wait().out.find("LISTEN_"), std::string::npos);
}

}  // namespace
}  // namespace sigil::e2e
