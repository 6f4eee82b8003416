// `--warm`: network namespaces that are ready ahead. Whole containers: parked_test.cc.
#include <sys/resource.h>

#include <filesystem>
#include <set>

#include "machine.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Warm = E2e;

constexpr const char* kTellNetwork =
    R"({"args":["/bin/readlink","/proc/self/ns/net"],"network":"none"})"
    "\n";

// What it prints and then uses, so that no other container has it afterwards.
constexpr const char* kUseNetwork =
    R"({"args":["/bin/sh","-c","readlink /proc/self/ns/net; /bin/probe connect 127.0.0.1 9; true"]})"
    "\n";

// Network namespaces that a sigil has open beside its own, in whichever table of descriptors:
// "net:[4026532000]".
std::set<std::string> networks_of(pid_t pid) {
    std::set<std::string> found;
    const std::string own = std::filesystem::read_symlink("/proc/self/ns/net").string();
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const std::string& task : names_in(tasks))
        for (const std::string& fd : names_in(tasks + "/" + task + "/fd")) {
            std::error_code gone;
            const auto target =
                std::filesystem::read_symlink(tasks + "/" + task + "/fd/" + fd, gone).string();
            if (target.starts_with("net:[") && target != own)
                found.insert(target);
        }
    return found;
}

Start from_input(Words options) {
    options.insert(options.end(), {"--from", "-", "--name", "web", "--quiet", "--jobs", "1"});
    Start start = sigil_run(std::move(options), {});
    start.keeps_input_open = true;
    return start;
}

TEST_F(Warm, NetworksAreReadyAheadAndOneIsUsedByEachContainer) {
    Running running(from_input({"--warm", "3"}));
    std::set<std::string> used;
    for (int round = 1; round <= 3; ++round) {
        std::set<std::string> ready;
        // After the first, so many containers too, each with one.
        const size_t count = round == 1 ? 3 : 6;
        ASSERT_TRUE(eventually([&] {
            ready = networks_of(running.pid());
            std::erase_if(ready, [&used](const std::string& one) { return used.contains(one); });
            return ready.size() == count;
        }));
        running.type(kUseNetwork);
        const std::string line = running.next_line();
        const std::string network = line.substr(line.find(" | ") + 3);
        EXPECT_EQ(running.next_line().substr(line.find(" | ") + 3), "error ECONNREFUSED");
        EXPECT_TRUE(ready.contains(network)) << network << " was not ready ahead";
        EXPECT_TRUE(used.insert(network).second) << network << " was used before";
    }
    running.close_input();
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Warm, ANetworkThatWasReadyIsLikeAnyOther) {
    const ManyRun run = run_many({"--count", "8", "--warm", "2"}, {"/bin/probe", "loopback"});
    EXPECT_EQ(run.finished.code(), 0);
    for (unsigned number = 1; number <= 8; ++number)
        EXPECT_EQ(run.outputs.log(numbered("web", number)), "ok\n");
}

TEST_F(Warm, TheHostsNetworkNeedsNone) {
    Running running(from_input({"--warm", "2"}));
    std::set<std::string> ready;
    ASSERT_TRUE(eventually([&] { return (ready = networks_of(running.pid())).size() == 2; }));
    running.type(R"({"args":["/bin/readlink","/proc/self/ns/net"],"network":"host"})"
                 "\n");
    EXPECT_EQ(running.next_line(),
              "web-1 | " + std::filesystem::read_symlink("/proc/self/ns/net").string());
    EXPECT_EQ(networks_of(running.pid()), ready);
    running.close_input();
    EXPECT_EQ(running.wait().code(), 0);
}

// With more wanted than there are descriptors for, the launches have theirs.
TEST_F(Warm, MoreThanThereAreDescriptorsForLeaveSomeToTheLaunches) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer needs descriptors of its own";
    Start start = from_input({"--warm", "1000"});
    start.before_exec = [] {
        const rlimit low = {128, 128};
        ::setrlimit(RLIMIT_NOFILE, &low);
    };
    Running running(start);
    ASSERT_TRUE(eventually([&] { return networks_of(running.pid()).size() >= 64; }));
    for (int round = 1; round <= 10; ++round) {
        running.type(kTellNetwork);
        EXPECT_NE(running.next_line().find("net:["), std::string::npos);
    }
    running.close_input();
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
