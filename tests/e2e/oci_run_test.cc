// `sigil run --bundle` in the foreground: launched as any other container, or, where something has
// to be done while the launch waits, through the stage; nobody sees a difference.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "bundle.h"
#include "cgroups.h"
#include "descriptor_socket.h"
#include "fixture.h"
#include "machine.h"
#include "tracer.h"

namespace sigil::e2e {
namespace {

enum class Way : bool { direct, staged };

class OciRun : public E2e, public testing::WithParamInterface<Way> {
  protected:
    void SetUp() override {
        E2e::SetUp();
        if (GetParam() == Way::staged)  // it may come before the command runs
            bundle_.set("/hooks/poststop",
                        R"([{"path": ")" + busybox_path() + R"(", "args": ["true"]}])");
    }
    void runs(const std::string& args) { bundle_.set("/process/args", args); }
    Start start(Words options = {}) {
        options.insert(options.begin(), "run");
        options.insert(options.end(), {"--bundle", bundle_.path(), id_});
        return sigil(options);
    }
    void expect_nothing_left() const {
        EXPECT_FALSE(exists(std::string(records_root()) + "/containers/" + id_));
        EXPECT_TRUE(await_no_processes());
        EXPECT_FALSE(!cgroup_mount().empty() && exists(cgroup_mount() + "/" + id_));
    }
    std::string state(const char* pointer) const {
        return member_of(run_program(sigil({"state", id_})).out, pointer);
    }

    Bundle bundle_{{"/bin/probe", "exit", "7"}};
    const std::string id_ = "run-" + std::to_string(::getpid());
};

TEST_P(OciRun, GoesThroughTheStageOnlyWhereItMust) {
    Words executed;
    Trace trace;
    trace.on_execution = [&](pid_t, const std::string& name) { executed.push_back(name); };
    EXPECT_EQ(run_traced(start(), trace).code(), 7);
    EXPECT_EQ(std::ranges::count(executed, "probe"), 1) << testing::PrintToString(executed);
    // But for sigil and the command: the stage, and the hook.
    EXPECT_EQ(executed.size(), GetParam() == Way::staged ? 4U : 2U)
        << testing::PrintToString(executed);
}

TEST_P(OciRun, EndsAsItsCommandDoes) {
    EXPECT_EQ(run_program(start()).code(), 7);
    expect_nothing_left();
    runs(R"(["/bin/nope"])");
    expect_failure(run_program(start()), "/bin/nope: no such file or directory", 127);
    expect_nothing_left();
    runs(R"(["/etc/passwd"])");
    expect_failure(run_program(start()), "/etc/passwd: permission denied", 126);
    expect_nothing_left();
}

TEST_P(OciRun, IsACommandsForOtherVerbs) {
    runs(R"(["/bin/probe", "signals", "TERM"])");
    Running running(start());
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_TRUE(eventually([&] { return state("/status") == "running"; }));
    const pid_t pid = std::stoi(state("/pid"));
    EXPECT_EQ(children_of(running.pid()), std::vector<pid_t>{pid});
    EXPECT_EQ(run_program(sigil({"exec", id_, "/bin/probe", "exit", "3"})).code(), 3);
    EXPECT_EQ(run_program(sigil({"kill", id_, "INT"})).code(), 0);
    EXPECT_EQ(running.next_line(), "signal 2 sent 0");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    expect_nothing_left();
}

TEST_P(OciRun, MayBeKilled) {
    runs(R"(["/bin/probe", "signals", "TERM"])");
    Running running(start());
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_TRUE(eventually([&] { return state("/status") == "running"; }));
    EXPECT_EQ(run_program(sigil({"kill", id_, "KILL"})).code(), 0);
    EXPECT_EQ(running.wait().code(), 128 + SIGKILL);
    expect_nothing_left();
}

TEST_P(OciRun, DiesWithSigil) {
    runs(R"(["/bin/probe", "signals", "TERM"])");
    Running running(start());
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_TRUE(eventually([&] { return state("/status") == "running"; }));
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
    EXPECT_EQ(state("/status"), "stopped");
    EXPECT_EQ(run_program(sigil({"delete", id_})).code(), 0);
    expect_nothing_left();
}

TEST_P(OciRun, TellsItsPidAndPassesItsPidfd) {
    DescriptorSocket socket;
    const std::string file = make_directory_outside() + "/pid";
    runs(R"(["/bin/probe", "signals", "TERM"])");
    Running running(start({"--pid-file", file, "--pidfd-socket", socket.path()}));
    ASSERT_EQ(running.next_line(), "ready");
    std::string name;
    const int pidfd = socket.receive(name);
    EXPECT_EQ(name, "pidfd");
    EXPECT_TRUE(eventually([&] { return exists(file); }));
    const std::string info = read_file("/proc/self/fdinfo/" + std::to_string(pidfd));
    EXPECT_NE(info.find("\nPid:\t" + read_file(file) + "\n"), std::string::npos) << info;
    ::close(pidfd);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_P(OciRun, PassesPreservedDescriptorsAndNoneOfItsOwn) {
    const int ours = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    runs(R"(["/bin/probe"])");
    Start preserving = start({"--preserve-fds", "1"});
    preserving.descriptors = {{3, ours}, {9, ours}};
    const auto open = facts_from(preserving).descriptors();
    EXPECT_EQ(open.size(), 4U) << testing::PrintToString(open);
    EXPECT_TRUE(open.contains("3"));
    preserving = start({"--preserve-fds", "2"});
    preserving.descriptors = {{3, ours}};
    expect_failure(run_program(preserving), "--preserve-fds 2: descriptor 4 is not open");
    ::close(ours);
}

TEST_P(OciRun, MayBeKeptForDelete) {
    EXPECT_EQ(run_program(start({"--keep"})).code(), 7);
    EXPECT_EQ(state("/status"), "stopped");
    EXPECT_EQ(run_program(sigil({"delete", id_})).code(), 0);
    expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Ways, OciRun, testing::Values(Way::direct, Way::staged),
                         [](const testing::TestParamInfo<Way>& way) {
                             return way.param == Way::direct ? "direct" : "staged";
                         });

}  // namespace
}  // namespace sigil::e2e
