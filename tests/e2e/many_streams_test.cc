// Many containers: what each has open, and how they share a root.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "machine.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Many = E2e;

TEST_F(Many, StdinIsEmpty) {
    const Outputs outputs;
    Start start = sigil_run(outputs.with({"--count", "2"}), {"/bin/sh", "-c", "cat; echo end"});
    start.input = "for nobody\n";
    EXPECT_EQ(run_program(start).code(), 0);
    EXPECT_EQ(outputs.log("web-1"), "end\n");
    EXPECT_EQ(outputs.log("web-2"), "end\n");
}

TEST_F(Many, StdinFileIsReadByEach) {
    const std::string path = make_directory_outside() + "/input";
    write_file(path, "for everybody\n");
    const ManyRun run = run_many({"--count", "2", "--stdin", path}, {"cat"});
    EXPECT_EQ(run.outputs.log("web-1"), "for everybody\n");
    EXPECT_EQ(run.outputs.log("web-2"), "for everybody\n");
}

TEST_F(Many, StdoutAndStderrGoToFiles) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/out", std::string(1000, 'x'));
    const Finished finished = run(
        {"--count", "1", "--stdout", directory + "/out", "--stderr", directory + "/err", "--quiet"},
        {"/bin/sh", "-c", "echo one; echo two >&2"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out + finished.err, "");
    EXPECT_EQ(read_file(directory + "/out"), "one\n") << "what was there before is replaced";
    EXPECT_EQ(read_file(directory + "/err"), "two\n");
}

TEST_F(Many, StdoutAndStderrMayBeOneFile) {
    const std::string path = make_directory_outside() + "/both";
    (void)run({"--count", "1", "--stdout", path, "--stderr", path, "--quiet"},
              {"/bin/sh", "-c", "echo one; echo two >&2; echo three"});
    EXPECT_EQ(read_file(path), "one\ntwo\nthree\n");
}

TEST_F(Many, AFileForAllThatCannotBeOpenedIsAnErrorBeforeAnyStarts) {
    const ManyRun run = run_many({"--count", "2", "--stdout", "/nowhere/out"}, {"true"});
    expect_failure(run.finished, "--stdout: open /nowhere/out");
    EXPECT_TRUE(run.events.all().empty());
}

TEST_F(Many, LogDirHasOneFileForEachWithBothStreams) {
    const ManyRun run = run_many_script({"--count", "3"}, "echo $(hostname); echo err >&2");
    EXPECT_EQ(names_in(run.outputs.logs), (Words{"web-1.log", "web-2.log", "web-3.log"}));
    EXPECT_EQ(run.outputs.log("web-2"), "web-2\nerr\n");
}

TEST_F(Many, DiscardedOutputGoesNowhere) {
    const Finished finished = run({"--count", "3", "--output", "discard", "--quiet"},
                                  {"/bin/sh", "-c", "echo out; echo err >&2"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_EQ(finished.out + finished.err, "");
}

Facts facts_in_log(const Outputs& outputs, const std::string& id) {
    return Facts(outputs.log(id));
}

TEST_F(Many, OnlyTheStreamsAreInherited) {
    const Words modes[] = {{},
                           {"--no-init"},
                           {"--network", "host"},
                           {"--launchers", "4"},
                           {"--restart", "on-failure:2"},
                           {"--bind", "/etc/hostname:/etc/hostname", "--tmpfs", "/tmp"}};
    for (const Words& mode : modes) {
        const Outputs outputs;
        Words options = {"--count", "6"};
        options.insert(options.end(), mode.begin(), mode.end());
        Start start = sigil_run(outputs.with(options), {"/bin/probe"});
        start.before_exec = [] {  // without close-on-exec, as a careless caller leaves them
            for (int number : {3, 4, 5, 6, 7, 8, 9, 10, 63, 64, 255, 900})
                ::dup2(0, number);
        };
        EXPECT_EQ(run_program(start).code(), 0);
        for (unsigned number = 1; number <= 6; ++number) {
            const Facts facts = facts_in_log(outputs, numbered("web", number));
            Words numbers;
            for (const auto& [fd, target] : facts.descriptors())
                numbers.push_back(fd);
            EXPECT_EQ(numbers, (Words{"0", "1", "2"})) << testing::PrintToString(mode);
            EXPECT_EQ(facts["fd.0"], "/dev/null");
        }
    }
}

TEST_F(Many, TheLimitOfOpenFilesIsTheCallers) {
    for (const char* mode : {"--network=none", "--no-init"}) {
        const Outputs outputs;
        Start start = sigil_run(outputs.with({"--count", "3", mode}), {"/bin/probe"});
        start.before_exec = [] {
            const rlimit limit = {100, 200};
            ::setrlimit(RLIMIT_NOFILE, &limit);
        };
        EXPECT_EQ(run_program(start).code(), 0);
        for (unsigned number = 1; number <= 3; ++number)
            EXPECT_EQ(facts_in_log(outputs, numbered("web", number))["rlimit.nofile"], "100 200");
    }
}

TEST_F(Many, TheLimitOfOpenFilesMayBeGiven) {
    const ManyRun run = run_many({"--count", "2", "--ulimit", "nofile=50:60"}, {"/bin/probe"});
    EXPECT_EQ(facts_in_log(run.outputs, "web-2")["rlimit.nofile"], "50 60");
}

TEST_F(Many, SomeFailWhereFilesRunOutAndTheRestRun) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer needs descriptors of its own";
    const unsigned count = scaled(200, 100);
    const Outputs outputs;
    Start start =
        sigil_run(outputs.with({"--count", std::to_string(count), "--jobs", std::to_string(count)}),
                  {"/bin/sleep", is_slow() ? "10" : "1"});
    start.before_exec = [] {
        const rlimit low = {64, 64};
        ::setrlimit(RLIMIT_NOFILE, &low);
    };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 125) << testing::PrintToString(finished);
    const EventLog events(outputs.events);
    EXPECT_EQ(events.count("exited"), count);
    EXPECT_GE(events.summary("succeeded"), 5);
    EXPECT_GE(events.summary("failed"), 1);
    EXPECT_EQ(events.summary("succeeded") + events.summary("failed"), count);
    EXPECT_EQ(static_cast<int64_t>(events.count("error")), events.summary("failed"));
}

// ---- shared roots -------------------------------------------------------------------------------

// Each launcher clones its containers out of one root: none may change what the next one sees.
TEST_F(Many, WhatOneDoesToItsMountsIsNotSeenByAnother) {
    const std::string outside = make_directory_outside();
    write_file(outside + "/file", "bound\n");
    const std::string script =
        "set -e\n"
        "[ $(cat /mnt/file) = bound ]\n"
        "grep -q ' /tmp tmpfs rw' /proc/mounts\n"
        "[ ! -e /tmp/mark ]; touch /tmp/mark\n"
        "[ -e /etc/passwd ]\n"
        // The first writes down how many mounts there are: whole, as others may look at once.
        "[ -e /mnt/mounts ] || grep -c . /proc/mounts >/mnt/$HOSTNAME\n"
        "[ -e /mnt/mounts ] || mv /mnt/$HOSTNAME /mnt/mounts\n"
        "[ $(grep -c . /proc/mounts) = $(cat /mnt/mounts) ]\n"
        "mount -t tmpfs none /etc\n"
        "mount -o remount,ro,bind /\n"
        "! touch /home/mark 2>/dev/null\n"
        "umount /tmp\n"
        "mount -o remount,ro,bind /mnt\n"
        "! touch /mnt/mark 2>/dev/null\n"
        "umount /mnt\n"
        "[ ! -e /mnt/file ]\n";
    const Words modes[] = {{"--jobs", "1", "--launchers", "1"},
                           {"--jobs", "4", "--launchers", "2"},
                           {"--jobs", "1", "--no-init"}};
    for (const Words& mode : modes) {
        Words options = {"--count",         "20",      "--cap-add", "SYS_ADMIN", "--bind",
                         outside + ":/mnt", "--tmpfs", "/tmp"};
        options.insert(options.end(), mode.begin(), mode.end());
        const ManyRun run = run_many_script(options, script);
        EXPECT_EQ(run.finished.code(), 0) << testing::PrintToString(mode);
        EXPECT_EQ(run.events.summary("succeeded"), 20);
        if (HasFailure())
            for (const std::string& id : run.events.ids())
                ADD_FAILURE() << id << ": " << run.outputs.log(id);
        std::filesystem::remove(outside + "/mounts");
    }
}

TEST_F(Many, ARootThatIsReadOnlyIsSoInEach) {
    const ManyRun run = run_many_script({"--count", "8", "--jobs", "2", "--read-only"},
                                        "! touch /mark 2>/dev/null");
    EXPECT_EQ(run.finished.code(), 0);
    EXPECT_EQ(run.events.summary("succeeded"), 8);
}

TEST_F(Many, ATmpfsIsEachContainersOwn) {
    const ManyRun run = run_many_script({"--count", "8", "--tmpfs", "/tmp"},
                                        "[ ! -e /tmp/mark ] && touch /tmp/mark && sleep 0.1");
    EXPECT_EQ(run.events.summary("succeeded"), 8);
}

TEST_F(Many, NothingOfTheHostsMountsIsSeen) {
    const ManyRun run = run_many({"--count", "6", "--jobs", "1"}, {"cat", "/proc/self/mountinfo"});
    for (unsigned number = 1; number <= 6; ++number) {
        const std::string mounts = run.outputs.log(numbered("web", number));
        EXPECT_EQ(mounts.find("/sys/fs/cgroup rw"), std::string::npos) << mounts;
        EXPECT_EQ(lines_of(mounts).size(), lines_of(run.outputs.log("web-1")).size()) << mounts;
    }
}

TEST_F(Many, ANewDirectoryUnderTheRootfssPathIsNoticed) {
    const std::string root = make_rootfs();
    const std::string next = make_rootfs();
    write_file(root + "/which", "first");
    write_file(next + "/which", "second");
    const Outputs outputs;
    const std::string shared = make_directory_outside();
    const std::string script =
        "cat /which; [ $(hostname) != web-4 ] || while [ ! -e /mnt/go ]; do sleep 0.01; done";
    Running running(sigil_run(outputs.with({"--rootfs", root, "--count", "8", "--jobs", "1",
                                            "--launchers", "1", "--bind", shared + ":/mnt"}),
                              {"/bin/sh", "-c", script}));
    ASSERT_TRUE(eventually([&] { return outputs.log("web-4") == "first"; }));
    std::filesystem::rename(root, root + "-old");
    std::filesystem::rename(next, root);
    write_file(shared + "/go", "");
    EXPECT_EQ(running.wait().code(), 0);
    for (unsigned number = 1; number <= 8; ++number)
        EXPECT_EQ(outputs.log(numbered("web", number)), number <= 4 ? "first" : "second") << number;
}

// From the third on, the host's network comes with a /sys that all share, but for its cgroups.
TEST_F(Many, SysIsTheSameInEach) {
    const std::string script =
        "[ -e /sys/class/net ] && ! touch /sys/mark 2>/dev/null && [ ! -s /proc/timer_list ] &&"
        " [ -z \"$(ls /sys/firmware /proc/acpi | grep -v :)\" ] &&"
        " grep -q ' / /sys/fs/cgroup ro' /proc/self/mountinfo &&"
        " grep -c . /proc/self/mountinfo";
    for (const char* network : {"host", "none"}) {
        const ManyRun run =
            run_many_script({"--count", "6", "--jobs", "1", "--network", network}, script);
        EXPECT_EQ(run.events.summary("succeeded"), 6) << network;
        for (unsigned number = 1; number <= 6; ++number)
            EXPECT_EQ(run.outputs.log(numbered("web", number)), run.outputs.log("web-1")) << number;
    }
}

TEST_F(Many, CapabilitiesAreThoseOfOneAlone) {
    const std::string script = "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status";
    for (const Words& mode :
         {Words{}, Words{"--no-init"}, Words{"--cap-drop", "KILL"}, Words{"--cap-drop", "ALL"},
          Words{"--cap-add", "SYS_ADMIN"}, Words{"--user", "1000"}}) {
        Words options = {"--count", "2", "--launchers", "1"};
        options.insert(options.end(), mode.begin(), mode.end());
        const ManyRun run = run_many_script(options, script);
        const Finished one = sigil::e2e::run(mode, {"/bin/sh", "-c", script});
        for (const char* id : {"web-1", "web-2"})
            EXPECT_EQ(run.outputs.log(id), one.out) << testing::PrintToString(mode);
    }
}

// Its init needs a capability that the command may not have.
TEST_F(Many, ASignalReachesACommandOfAnotherUserThatMayNotKill) {
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "2", "--user", "1000", "--cap-drop", "ALL",
                                            "--stop-timeout", "100s"}),
                              kSleeper));
    ASSERT_TRUE(outputs.await("ready", 2));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Many, ASysThatIsTakenAwayIsMadeAnew) {
    const std::string root = make_rootfs();
    const Outputs outputs;
    const std::string shared = make_directory_outside();
    const std::string script =
        "! touch /sys/mark 2>/dev/null || exit 1;"
        " grep -E -c ' /sys ro.* sysfs | /sys/firmware ro.* (tmpfs|proc) ' /proc/self/mountinfo;"
        " [ $(hostname) != web-4 ] || while [ ! -e /mnt/go ]; do sleep 0.01; done";
    Running running(
        sigil_run(outputs.with({"--rootfs", root, "--count", "6", "--jobs", "1", "--launchers", "1",
                                "--network", "host", "--bind", shared + ":/mnt"}),
                  {"/bin/sh", "-c", script}));
    ASSERT_TRUE(eventually([&] { return !outputs.log("web-4").empty(); }));
    std::filesystem::rename(root + "/sys", root + "/elsewhere");
    std::filesystem::create_directory(root + "/sys");
    write_file(shared + "/go", "");
    EXPECT_EQ(running.wait().code(), 0);
    for (unsigned number = 1; number <= 6; ++number)
        EXPECT_EQ(outputs.log(numbered("web", number)), "2\n") << number;
}

TEST_F(Many, ARelativeRootfsIsFoundFromTheCallersDirectory) {
    const Outputs outputs;
    Words words = {"run", "--rootfs", "."};
    for (const std::string& word : outputs.with({"--count", "6", "--", "/bin/bare", "0"}))
        words.push_back(word);
    Start start = sigil(words);
    const std::string root = shared_rootfs();
    start.before_exec = [root] { (void)!::chdir(root.c_str()); };
    EXPECT_EQ(run_program(start).code(), 0);
    EXPECT_EQ(EventLog(outputs.events).summary("succeeded"), 6);
}

// Those that wait for their launch hold more of them than those that live.
TEST_F(Many, RunAsManyAtATimeAsThereAreDescriptorsFor) {
    const Outputs outputs;
    Start start =
        sigil_run({"--name", "web", "--count", "300", "--quiet", "--events", outputs.events},
                  {"/bin/bare", "0"});
    start.before_exec = [] {
        const rlimit few = {400, 400};
        ::setrlimit(RLIMIT_NOFILE, &few);
    };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    EXPECT_EQ(EventLog(outputs.events).summary("succeeded"), 300);
}

}  // namespace
}  // namespace sigil::e2e
