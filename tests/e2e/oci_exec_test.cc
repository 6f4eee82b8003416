// `sigil exec`: what the process beside the container's own has, and what it must not have.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

class OciExec : public E2e {
  protected:
    void TearDown() override {
        (void)container_.remove({"--force"});
        E2e::TearDown();
    }

    Bundle bundle_{{"/bin/probe", "signals", "TERM"}};
    OciContainer container_{"exec"};

    void start() {
        ASSERT_EQ(container_.create(bundle_).code(), 0);
        const Finished started = container_.start();
        ASSERT_EQ(started.code(), 0) << started.err;
        ASSERT_TRUE(eventually([&] { return !container_.output().empty(); }));
    }
    [[nodiscard]] Start exec(Words options, const Words& command) const {
        options.insert(options.begin(), "exec");
        options.push_back(container_.id());
        options.insert(options.end(), command.begin(), command.end());
        return sigil(options);
    }
    Finished run(Words options, const Words& command) {
        return run_program(exec(std::move(options), command));
    }
    // The dead process of an exec that did not wait for it is ours: until it is reaped, the kernel
    // does not let the container's first one go (pid_namespaces(7)).
    static void expect_orphan() {
        EXPECT_TRUE(eventually([] { return ::waitpid(-1, nullptr, WNOHANG) > 0; }));
    }
    Facts facts(Words options = {}) { return facts_from(exec(std::move(options), {"/bin/probe"})); }
};

TEST_F(OciExec, ExitsAsItsCommandDid) {
    start();
    EXPECT_EQ(run({}, {"/bin/probe", "exit", "7"}).code(), 7);
    EXPECT_EQ(run({}, {"/bin/probe", "die", "USR1"}).code(), 128 + SIGUSR1);
    expect_failure(run({}, {"/nope"}), "/nope: no such file or directory", 127);
    expect_failure(run({}, {"/etc/passwd"}), "/etc/passwd: permission denied", 126);
    EXPECT_EQ(container_.status(), "running");
}

TEST_F(OciExec, PassesSignalsOn) {
    start();
    Running running(exec({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    EXPECT_TRUE(running.next_line().starts_with("signal 10 "));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_EQ(container_.status(), "running");
}

TEST_F(OciExec, HasItsStreams) {
    start();
    Start start = exec({}, {"/bin/cat"});
    start.input = "one\ntwo\n";
    EXPECT_EQ(run_program(start).out, "one\ntwo\n");
}

TEST_F(OciExec, OptionsSetWhatTheySay) {
    start();
    const Facts facts = this->facts({"--cwd", "/tmp", "--env", "A=b", "--user", "1000:1001",
                                     "--additional-gids", "5", "--cap", "CAP_SYS_TIME"});
    EXPECT_EQ(facts["cwd"], "/tmp");
    EXPECT_EQ(facts["uid"], "1000 1000 1000");
    EXPECT_EQ(facts["gid"], "1001 1001 1001");
    EXPECT_EQ(facts["groups"], "5");
    EXPECT_EQ(facts["status.CapBnd"], "0000000022000420");  // and CAP_SYS_TIME, 25
    EXPECT_EQ(facts["status.NoNewPrivs"], "1");
}

TEST_F(OciExec, ProcessFileSaysAllOfIt) {
    start();
    const std::string file = make_directory_outside() + "/process.json";
    write_file(file, R"({"args": ["/bin/probe"], "cwd": "/tmp", "env": ["ONLY=this"],
                         "user": {"uid": 7, "gid": 8}, "noNewPrivileges": false})");
    const Facts facts = facts_from(sigil({"exec", "--process", file, container_.id()}));
    EXPECT_EQ(facts["uid"], "7 7 7");
    EXPECT_EQ(facts["cwd"], "/tmp");
    EXPECT_EQ(facts["status.CapBnd"], "0000000000000000");
    EXPECT_EQ(facts["status.NoNewPrivs"], "0");
    write_file(file, R"({"args": ["/bin/true"], "cwd": 1})");
    expect_failure(run_program(sigil({"exec", "--process", file, container_.id()})), "cwd");
    expect_failure(run({"--process", file}, {"/bin/true"}), "a command or --process, not both");
}

TEST_F(OciExec, IsInTheContainersNamespacesAndCgroup) {
    bundle_.append("/linux/namespaces", R"({"type": "time"})");
    start();
    const Facts facts = this->facts();
    const std::string pid = std::to_string(container_.pid());
    for (const auto& [name, value] : facts.below("ns.")) {
        char target[64] = {};
        (void)!::readlink(("/proc/" + pid + "/ns/" + name).c_str(), target, sizeof target - 1);
        EXPECT_EQ(value, target) << name;
    }
    if (cgroup_mount().empty())
        return;
    Running running(exec({}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    const auto members = lines_of(cgroup_file(cgroup_of(pid), "cgroup.procs"));
    EXPECT_EQ(members.size(), 2U);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(OciExec, GoesToTheCgroupThatItIsTold) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    start();
    const std::string own = cgroup_of(std::to_string(container_.pid()));
    ASSERT_TRUE(make_cgroup(own + "/below"));
    Running running(exec({"--cgroup", "/below"}, {"/bin/probe", "signals", "TERM"}));
    ASSERT_EQ(running.next_line(), "ready");
    EXPECT_EQ(lines_of(cgroup_file(own + "/below", "cgroup.procs")).size(), 1U);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    expect_failure(run({"--cgroup", "/nope"}, {"/bin/true"}), "--cgroup /nope");
    expect_failure(run({"--cgroup", "/../.."}, {"/bin/true"}), "--cgroup /../..");
}

TEST_F(OciExec, IsFilteredAsTheContainerIs) {
    bundle_.set("/linux/seccomp", R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]})");
    start();
    EXPECT_EQ(run({}, {"/bin/probe", "mkdir", "/tmp/x"}).out, "error EOPNOTSUPP\n");
    const std::string file = make_directory_outside() + "/process.json";
    write_file(file, R"({"args": ["/bin/probe", "mkdir", "/tmp/x"], "cwd": "/"})");
    EXPECT_EQ(run_program(sigil({"exec", "--process", file, container_.id()})).out,
              "error EOPNOTSUPP\n");
}

TEST_F(OciExec, LeaksNoDescriptor) {
    start();
    Start start = exec({}, {"/bin/probe"});
    const int ours = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    start.descriptors = {{3, ours}, {7, ours}};
    const auto open = facts_from(start).descriptors();
    EXPECT_EQ(open.size(), 3U) << testing::PrintToString(open);
    ::close(ours);
}

TEST_F(OciExec, PassesPreservedDescriptorsAndNoneOfItsOwn) {
    start();
    const int ours = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    Start start = exec({"--preserve-fds", "1"}, {"/bin/probe"});
    start.descriptors = {{3, ours}};
    const auto open = facts_from(start).descriptors();
    EXPECT_EQ(open.size(), 4U) << testing::PrintToString(open);
    EXPECT_TRUE(open.contains("3"));
    start = exec({"--preserve-fds", "2"}, {"/bin/probe"});
    start.descriptors = {{3, ours}};
    expect_failure(run_program(start), "--preserve-fds 2: descriptor 4 is not open");
    ::close(ours);
}

TEST_F(OciExec, DetachedLivesOnAndIsWrittenDown) {
    start();
    const std::string file = make_directory_outside() + "/pid";
    Start start = exec({"--detach", "--pid-file", file}, {"/bin/sleep", "1000"});
    start.before_exec = [] {
        for (int fd = 0; fd < 3; ++fd)  // the command would hold our pipes
            ::dup2(::open("/dev/null", O_RDWR | O_CLOEXEC), fd);
    };
    ASSERT_EQ(run_program(start).code(), 0);
    const pid_t pid = std::atoi(read_file(file).c_str());
    EXPECT_EQ(read_file("/proc/" + std::to_string(pid) + "/comm"), "sleep\n");
    EXPECT_EQ(lines_of(container_.verb({"ps"}).out).size(), 3U);
    EXPECT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_TRUE(eventually([&] { return lines_of(container_.verb({"ps"}).out).size() == 2; }));
    expect_orphan();
}

TEST_F(OciExec, WorksInACreatedOne) {
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    EXPECT_EQ(run({}, {"/bin/probe", "exit", "3"}).code(), 3);
    EXPECT_EQ(container_.status(), "created");
}

// What waits for its start is a sealed file in memory, and nobody in the container may look into it
// (CVE-2019-5736).
TEST_F(OciExec, TheWaitingProcessCannotBeOverwrittenOrLookedInto) {
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    const std::string process = "/proc/" + std::to_string(container_.pid());
    char target[256] = {};
    ASSERT_GT(::readlink((process + "/exe").c_str(), target, sizeof target - 1), 0);
    EXPECT_TRUE(std::string_view(target).starts_with("/memfd:")) << target;
    const int file = ::open((process + "/exe").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    EXPECT_EQ(::fcntl(file, F_GET_SEALS) & kSeals, kSeals);
    ::close(file);
    EXPECT_EQ(run({}, {"/bin/probe", "open", "/proc/1/exe", "w"}).out, "error EACCES\n");
    EXPECT_EQ(run({}, {"/bin/probe", "readlink", "/proc/1/fd/0"}).out, "error EACCES\n");
}

TEST_F(OciExec, WaitsWithAPausedOneIfToldTo) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    start();
    ASSERT_EQ(container_.verb({"pause"}).code(), 0);
    Start start = exec({"--ignore-paused", "--detach"}, {"/bin/true"});
    Running running(start);
    EXPECT_TRUE(eventually([&] {
        return lines_of(cgroup_file(cgroup_of(std::to_string(container_.pid())), "cgroup.procs"))
                   .size() == 2;
    }));
    ASSERT_EQ(container_.verb({"resume"}).code(), 0);
    EXPECT_EQ(running.wait().code(), 0);
    expect_orphan();
}

TEST_F(OciExec, SetsTheProcessorsOfTheProcess) {
    start();
    const std::string file = make_directory_outside() + "/process.json";
    // The kernel gives a process that is cloned into a cgroup of another cpuset that one's
    // processors (cpuset_fork() in kernel/cgroup/cpuset.c): then only the final ones are the
    // command's.
    const bool keeps_initial = !has_controller("cpuset");
    for (const char* key : {"initial", "final"}) {
        if (std::string_view(key) == "initial" && !keeps_initial)
            continue;
        write_file(file,
                   std::string(R"({"args": ["/bin/probe"], "cwd": "/", "execCPUAffinity": {")") +
                       key + R"(": "0"}})");
        const Facts facts = facts_from(sigil({"exec", "--process", file, container_.id()}));
        EXPECT_EQ(facts["status.Cpus_allowed_list"], "0") << key;
    }
    write_file(file,
               R"({"args": ["/bin/true"], "cwd": "/", "execCPUAffinity": {"final": "1000"}})");
    expect_failure(run_program(sigil({"exec", "--process", file, container_.id()})),
                   "process.execCPUAffinity.final");
}

TEST_F(OciExec, WorksInAContainerOfRun) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    Running running(waiting({"--name", "ran"}));
    ASSERT_EQ(running.next_line(), "ready");
    const Facts facts = facts_from(sigil({"exec", "ran", "/bin/probe"}));
    EXPECT_EQ(facts["hostname"], "ran");
    EXPECT_EQ(facts["status.Seccomp"], "2");
    EXPECT_EQ(facts["status.NoNewPrivs"], "1");
    EXPECT_EQ(run_program(sigil({"exec", "ran", "/bin/probe", "exit", "9"})).code(), 9);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

}  // namespace
}  // namespace sigil::e2e
