// Inputs and containers that ask for more than there is: sigil says so in bounded time and memory,
// and nothing is left.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "full_disk.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using AttackByLoad = E2e;

Finished run_of(const std::string& directory) {
    Start start = sigil({"run", "--bundle", directory, "attack-" + std::to_string(::getpid())});
    start.before_exec = [] {
        const rlimit memory = {512 << 20, 512 << 20};
        if (!is_sanitized())
            ::setrlimit(RLIMIT_AS, &memory);
    };
    return run_program(start);
}

TEST_F(AttackByLoad, AConfigOfAGigabyteIsNotRead) {
    Bundle bundle({"/bin/true"});
    const std::string directory = bundle.path();
    ASSERT_EQ(::truncate((directory + "/config.json").c_str(), 1 << 30), 0);
    expect_failure(run_of(directory), "config.json: larger than 67108864 bytes");
}

TEST_F(AttackByLoad, AConfigOfAHundredThousandLevelsIsAnError) {
    Bundle bundle({"/bin/true"});
    const std::string directory = bundle.path();
    for (const char* open : {"[", "{\"a\":"}) {
        std::string text = "{\"a\":";
        for (int level = 0; level < 100'000; ++level)
            text += open;
        write_file(directory + "/config.json", text);
        expect_failure(run_of(directory), "nested deeper than 10000 levels");
    }
}

TEST_F(AttackByLoad, AMillionMountsAreAnError) {
    Bundle bundle({"/bin/true"});
    const std::string directory = bundle.path();
    std::string text = bundle.config();
    const std::string one = R"({"destination":"/tmp","type":"tmpfs"},)";
    std::string many;
    for (int count = 0; count < 1'000'000; ++count)
        many += one;
    const std::string key = "\"mounts\":[";
    text.insert(text.find(key) + key.size(), many);
    write_file(directory + "/config.json", text);
    expect_failure(run_of(directory), "mounts[10000]: more than 10000 mounts");
}

TEST_F(AttackByLoad, FewDescriptorsAreAClearError) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitized program is linked dynamically: it cannot open its libraries";
    Bundle bundle({"/bin/true"});
    const std::string directory = bundle.path();
    for (const rlim_t limit : {4, 6, 8, 10, 12, 14, 16}) {
        Start start = sigil({"run", "--bundle", directory, "attack-" + std::to_string(::getpid())});
        start.before_exec = [limit] {
            const rlimit few = {limit, limit};
            ::setrlimit(RLIMIT_NOFILE, &few);
        };
        const Finished finished = run_program(start);
        EXPECT_TRUE(finished.code() == 0 || finished.code() == 125) << limit;
        if (finished.code() == 125) {
            EXPECT_NE(finished.err.find("Too many open files"), std::string::npos) << finished.err;
        }
    }
}

TEST_F(AttackByLoad, ADiskThatIsFullIsAClearError) {
    for (const char* options : {"nr_inodes=1", "nr_inodes=2", "nr_inodes=4", "size=4096"}) {
        const FullDisk disk(options);
        if (std::string_view(options).starts_with("size"))
            write_file(disk.path() + "/filler", std::string(4096, 'x'));
        const size_t before = names_in(disk.path()).size();
        Bundle bundle({"/bin/true"});
        const Finished finished = run_program(
            sigil({"--root", disk.path(), "create", "--bundle", bundle.path(), "full"}));
        EXPECT_EQ(finished.code(), 125) << options << testing::PrintToString(finished);
        EXPECT_NE(finished.err.find("No space left on device"), std::string::npos) << finished.err;
        EXPECT_EQ(run_program(sigil({"--root", disk.path(), "list", "-q"})).out, "") << options;
        EXPECT_LE(names_in(disk.path()).size(), before + 1) << options;
    }
}

TEST_F(AttackByLoad, AStoppedCommandIsKilledAfterItsGrace) {
    for (const Words& mode : {Words{}, Words{"--no-init"}}) {
        Words options = mode;
        options.insert(options.end(), {"--stop-timeout", "50ms"});
        Running running(sigil_run(options, {"/bin/probe", "signals", "TERM"}));
        ASSERT_EQ(running.next_line(), "ready");
        const pid_t first = init_of(running.pid());
        ASSERT_GT(first, 1);  // kill(2): -1 is everybody
        ASSERT_EQ(::kill(first, SIGSTOP), 0);
        running.send(SIGTERM);
        EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
    }
}

TEST_F(AttackByLoad, AFrozenContainerIsDeletedByForce) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("frozen");
    ASSERT_EQ(container.create(bundle).code(), 0);
    ASSERT_EQ(container.start().code(), 0);
    ASSERT_EQ(container.verb({"pause"}).code(), 0);
    EXPECT_EQ(container.remove({"--force"}).code(), 0);
    EXPECT_EQ(container.status(), "(none)");
    OciContainer stopped("stopped");
    ASSERT_EQ(stopped.create(bundle).code(), 0);
    ASSERT_EQ(stopped.start().code(), 0);
    const pid_t first = stopped.pid();
    ASSERT_GT(first, 1);  // kill(2): 0 is our own group
    ASSERT_EQ(::kill(first, SIGSTOP), 0);
    EXPECT_EQ(stopped.remove({"--force"}).code(), 0);
    EXPECT_EQ(stopped.status(), "(none)");
}

// Needs the pids controller: the machine of tests/vm.
TEST_F(AttackByLoad, AForkBombStaysInItsLimitAndIsKilled) {
    if (!in_virtual_machine())
        GTEST_SKIP() << "without the pids controller nothing would stop it";
    // The shell itself does not fork once it burns: one that cannot ends.
    Running running(sigil_run({"--pids-limit", "64", "--stop-timeout", "100ms"},
                              {"/bin/sh", "-c",
                               "b() { while :; do b & done; }; trap '' TERM; b 2>/dev/null & "
                               "echo up; while :; do :; done"}));
    ASSERT_EQ(running.next_line(), "up");
    ASSERT_EQ(container_cgroups().size(), 1U);
    const std::string cgroup = container_cgroups().front();
    EXPECT_TRUE(eventually([&] { return !cgroup_file(cgroup, "pids.events").ends_with("max 0"); }));
    EXPECT_LE(std::stoi(cgroup_file(cgroup, "pids.current")), 64);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
}

}  // namespace
}  // namespace sigil::e2e
