// The command's process: environment, directory, user, limits, and all that it does not inherit.
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Environment = E2e;

Words sorted(Words words) {
    std::ranges::sort(words);
    return words;
}

Words environment_of(Words options) {
    return sorted(facts_of(std::move(options)).all("env"));
}

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

TEST_F(Environment, HasFourVariablesByDefault) {
    EXPECT_EQ(environment_of({"--name", "web"}),
              (Words{"HOME=/root", "HOSTNAME=web", kPath, "container=sigil"}));
}

TEST_F(Environment, TakesNothingOfTheCallers) {
    Start start = probe_run({"--name", "web"});
    start.before_exec = [] { ::setenv("SECRET", "1", 1); };
    EXPECT_EQ(facts_from(start).all("env").size(), 4U);
}

TEST_F(Environment, TakesVariablesByOption) {
    const Words env = environment_of({"--env", "A=1", "-e", "B=two words", "-eC=", "--env=D=a=b"});
    for (const char* expected : {"A=1", "B=two words", "C=", "D=a=b"})
        EXPECT_EQ(std::ranges::count(env, expected), 1) << expected;
}

TEST_F(Environment, TheLastSettingOfANameWins) {
    const Words env = environment_of({"--env", "A=1", "--env", "AB=0", "--env", "A=2"});
    EXPECT_EQ(std::ranges::count(env, "A=2"), 1);
    EXPECT_EQ(std::ranges::count(env, "A=1"), 0);
    EXPECT_EQ(std::ranges::count(env, "AB=0"), 1);
}

TEST_F(Environment, DefaultsGiveWayToOptions) {
    EXPECT_EQ(environment_of({"--env", "PATH=/bin", "--env", "HOME=/x", "--env", "HOSTNAME=h",
                              "--env", "container=other"}),
              (Words{"HOME=/x", "HOSTNAME=h", "PATH=/bin", "container=other"}));
}

TEST_F(Environment, ANameAloneTakesTheCallersValue) {
    Start start = probe_run({"--name", "web", "--env", "GIVEN", "--env", "NOT_THERE"});
    start.before_exec = [] { ::setenv("GIVEN", "from the caller", 1); };
    const Words env = facts_from(start).all("env");
    EXPECT_EQ(std::ranges::count(env, "GIVEN=from the caller"), 1);
    EXPECT_EQ(env.size(), 5U);
}

TEST_F(Environment, IsReadFromAFile) {
    const std::string file = make_directory_outside() + "/env";
    write_file(file, "# a comment\n\nA=1\n  B=two words \nC=#no comment\nGIVEN\nLAST=no newline");
    Start start = probe_run({"--env", "A=0", "--env-file", file, "--env", "LAST=later"});
    start.before_exec = [] { ::setenv("GIVEN", "x", 1); };
    const Words env = facts_from(start).all("env");
    for (const char* expected : {"A=1", "B=two words ", "C=#no comment", "GIVEN=x", "LAST=later"})
        EXPECT_EQ(std::ranges::count(env, expected), 1) << expected;
    EXPECT_EQ(env.size(), 9U);
}

TEST_F(Environment, HomeIsTheUsersOwn) {
    for (const auto& [user, home] : {std::pair{"alice", "/home/alice"},
                                     {"1000", "/home/alice"},
                                     {"homeless", "/"},
                                     {"4321", "/"},
                                     {"0", "/root"}}) {
        const Words env = environment_of({"--user", user});
        EXPECT_EQ(std::ranges::count(env, std::string("HOME=") + home), 1) << user;
    }
}

using WorkingDirectory = E2e;

TEST_F(WorkingDirectory, IsTheRootUnlessSaid) {
    EXPECT_EQ(facts_of({})["cwd"], "/");
    EXPECT_EQ(facts_of({"--workdir", "/home/alice"})["cwd"], "/home/alice");
    EXPECT_EQ(facts_of({"-w", "/home//./alice/"})["cwd"], "/home/alice");
}

TEST_F(WorkingDirectory, IsMadeWhenMissing) {
    const std::string root = make_rootfs();
    EXPECT_EQ(facts_of({"--rootfs", root, "--workdir", "/a/b/c"})["cwd"], "/a/b/c");
    EXPECT_TRUE(exists(root + "/a/b/c"));
}

TEST_F(WorkingDirectory, MayBeInAMountOfTheContainers) {
    const std::string directory = make_directory_outside();
    EXPECT_EQ(facts_of({"--tmpfs", "/tmp", "--workdir", "/tmp/new"})["cwd"], "/tmp/new");
    EXPECT_EQ(facts_of({"--bind", directory + ":/tmp", "--workdir", "/tmp"})["cwd"], "/tmp");
    EXPECT_EQ(facts_of({"--workdir", "/dev/shm"})["cwd"], "/dev/shm");
}

TEST_F(WorkingDirectory, ThatIsAFileIsAnError) {
    expect_failure(run({"--workdir", "/etc/passwd"}, {"true"}), "/etc/passwd");
    expect_failure(run({"--workdir", "/etc/passwd/x"}, {"true"}), "/etc/passwd");
}

using User = E2e;

void expect_ids(const std::string& user, const std::string& uid, const std::string& gid,
                const std::string& groups) {
    const Facts facts = facts_of({"--user", user});
    EXPECT_EQ(facts["uid"], uid + " " + uid + " " + uid) << user;
    EXPECT_EQ(facts["gid"], gid + " " + gid + " " + gid) << user;
    EXPECT_EQ(facts["groups"], groups) << user;
}

TEST_F(User, IsRootUnlessSaid) {
    const Facts facts = facts_of({});
    EXPECT_EQ(facts["uid"], "0 0 0");
    EXPECT_EQ(facts["gid"], "0 0 0");
    EXPECT_EQ(facts["groups"], "");
}

TEST_F(User, MayBeANumber) {
    expect_ids("4321", "4321", "0", "");
    expect_ids("4321:99", "4321", "99", "");
    expect_ids("4294967294:4294967294", "4294967294", "4294967294", "");
}

TEST_F(User, MayBeANameWithItsGroups) {
    expect_ids("alice", "1000", "1000", "10 44 100");
    expect_ids("bob", "1001", "100", "10");
    expect_ids("1000", "1000", "1000", "10 44 100");
}

TEST_F(User, MayHaveAGroupByName) {
    expect_ids("alice:video", "1000", "44", "");
    expect_ids("alice:7", "1000", "7", "");
    expect_ids("4321:wheel", "4321", "10", "");
}

TEST_F(User, ThatIsUnknownIsAnError) {
    expect_failure(run({"--user", "carol"}, {"true"}), "--user");
    expect_failure(run({"--user", "alice:nogroup"}, {"true"}), "nogroup");
    expect_failure(run({"--user", "4294967295"}, {"true"}), "--user");
}

TEST_F(User, NumbersNeedNoDatabase) {
    const std::string root = make_rootfs();
    ::unlink((root + "/etc/passwd").c_str());
    ::unlink((root + "/etc/group").c_str());
    EXPECT_EQ(facts_of({"--rootfs", root, "--user", "5:6"})["uid"], "5 5 5");
}

using Privileges = E2e;

TEST_F(Privileges, RootHasAShortListOfCapabilities) {
    for (const Words& options : {Words{}, Words{"--no-init"}}) {
        const Facts facts = facts_of(options);
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE,
        // NET_RAW, SYS_CHROOT, AUDIT_WRITE, SETFCAP.
        const std::string expected = "00000000a00425fb";
        for (const char* set : {"status.CapEff", "status.CapPrm", "status.CapBnd"})
            EXPECT_EQ(facts[set], expected) << set;
        for (const char* set : {"status.CapInh", "status.CapAmb"})
            EXPECT_EQ(facts[set], "0000000000000000") << set;
        EXPECT_EQ(facts["status.NoNewPrivs"], "1");
    }
}

TEST_F(Privileges, AnotherUserHasNone) {
    const Facts facts = facts_of({"--user", "1000"});
    for (const char* set : {"status.CapEff", "status.CapPrm", "status.CapInh", "status.CapAmb"})
        EXPECT_EQ(facts[set], "0000000000000000") << set;
    EXPECT_EQ(facts["status.NoNewPrivs"], "1");
}

TEST_F(Privileges, CapabilitiesAreAddedAndDropped) {
    EXPECT_EQ(facts_of({"--cap-drop", "ALL"})["status.CapEff"], "0000000000000000");
    EXPECT_EQ(facts_of({"--cap-drop", "ALL", "--cap-add", "cap_kill"})["status.CapEff"],
              "0000000000000020");
    EXPECT_EQ(facts_of({"--cap-drop", "ALL", "--cap-add", "SYS_ADMIN"})["status.CapBnd"],
              "0000000000200000");
}

// What sigil lacks it can't give.
TEST_F(Privileges, ACapabilityThatSigilLacksIsAnErrorThatNamesIt) {
    Start start = sigil_run({"--cap-add", "SYS_TIME"}, {"true"});
    start.before_exec = [] {
        constexpr int kSysTime = 25;
        ::prctl(PR_CAPBSET_DROP, kSysTime);
    };
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 125);
    EXPECT_TRUE(finished.err.find("SYS_TIME") != std::string::npos ||
                finished.err.find("--cap-add") != std::string::npos)
        << finished.err;
}

TEST_F(Privileges, SetIdProgramsGainNothing) {
    const std::string root = make_rootfs();
    ::chmod((root + "/bin/probe").c_str(), 04755);
    const Facts facts = facts_of({"--rootfs", root, "--user", "1000"});
    EXPECT_EQ(facts["uid"], "1000 1000 1000");
    ::chmod((root + "/bin/probe").c_str(), 0755);
}

using Ulimit = E2e;

TEST_F(Ulimit, AreSetByUlimit) {
    const Facts facts = facts_of({"--ulimit", "nofile=64:128", "--ulimit", "core=0", "--ulimit",
                                  "fsize=1M", "--ulimit", "stack=4M:unlimited"});
    EXPECT_EQ(facts["rlimit.nofile"], "64 128");
    EXPECT_EQ(facts["rlimit.core"], "0 0");
    EXPECT_EQ(facts["rlimit.fsize"], "1048576 1048576");
    EXPECT_EQ(facts["rlimit.stack"], "4194304 unlimited");
}

TEST_F(Ulimit, OfAnotherUserAreSetToo) {
    EXPECT_EQ(facts_of({"--user", "1000", "--ulimit", "nofile=10:20"})["rlimit.nofile"], "10 20");
}

TEST_F(Ulimit, ThatCannotBeRaisedNameTheOption) {
    Start start = sigil_run({"--ulimit", "msgqueue=2000:2000"}, {"true"});
    start.before_exec = [] {
        constexpr int kSysResource = 24;
        const rlimit low = {1000, 1000};
        ::setrlimit(RLIMIT_MSGQUEUE, &low);
        ::prctl(PR_CAPBSET_DROP, kSysResource);
    };
    expect_failure(run_program(start), "--ulimit msgqueue=2000:2000");
}

TEST_F(Ulimit, AFileLimitIsEnforced) {
    EXPECT_EQ(run({"--ulimit", "nofile=3"}, {"/bin/probe", "open", "/etc/passwd", "r"}).out,
              "error EMFILE\n");
}

using Inheritance = E2e;

TEST_F(Inheritance, SignalsAreAllAtTheirDefaults) {
    for (const Words& options : {Words{}, Words{"--no-init"}, Words{"--user", "1000"}}) {
        Start start = probe_run(options);
        start.before_exec = [] {
            sigset_t all;
            sigfillset(&all);
            sigprocmask(SIG_BLOCK, &all, nullptr);
            for (int signal : {SIGHUP, SIGINT, SIGPIPE, SIGCHLD, SIGTTOU, 40, 64})
                ::signal(signal, SIG_IGN);
        };
        const Facts facts = facts_from(start);
        for (const char* set :
             {"status.SigBlk", "status.SigIgn", "status.SigCgt", "status.SigPnd", "status.ShdPnd"})
            EXPECT_EQ(facts[set], "0000000000000000") << set;
    }
}

TEST_F(Inheritance, UmaskIsTheStandardOne) {
    for (mode_t mask : {0, 077, 0777}) {
        Start start = probe_run({});
        start.before_exec = [mask] { ::umask(mask); };
        EXPECT_EQ(facts_from(start)["umask"], "0022") << mask;
    }
}

TEST_F(Inheritance, WhatIsMadeIgnoresTheCallersUmask) {
    const std::string root = make_rootfs();
    const std::string directory = make_directory_outside();
    Start start =
        sigil_run({"--rootfs", root, "--bind", directory + ":/made/dir", "--workdir", "/w/d"},
                  {"stat", "-c", "%a", "/made", "/w/d", "/dev", "/dev/shm", "/dev/null"});
    start.before_exec = [] { ::umask(0777); };
    EXPECT_EQ(run_program(start).out, "755\n755\n755\n1777\n666\n");
}

// Keys of the caller's session are the caller's (session-keyring(7)).
TEST_F(Inheritance, TheSessionKeyringIsNotTheCallers) {
    constexpr int kGetKeyringId = 0;
    constexpr int kSessionKeyring = -3;
    const long ours = ::syscall(SYS_keyctl, kGetKeyringId, kSessionKeyring, 0);
    if (ours < 0)
        GTEST_SKIP() << "no session keyring: " << strerror(errno);
    for (const Words& options : {Words{}, Words{"--no-init"}})
        EXPECT_NE(facts_of(options)["keyring"], std::to_string(ours));
}

TEST_F(Inheritance, WithoutATerminalTheContainerHasASessionAndTheCommandAGroup) {
    const Facts facts = facts_of({});
    EXPECT_EQ(facts["sid"], "1");
    EXPECT_EQ(facts["pgid"], "2");
    EXPECT_EQ(facts["tty.controlling"], "no");
    const Facts alone = facts_of({"--no-init"});
    EXPECT_EQ(alone["sid"], "1");
    EXPECT_EQ(alone["pgid"], "1");
}

}  // namespace
}  // namespace sigil::e2e
