// `sigil create` killed while it is under way: `delete --force` leaves nothing, and nobody who asks
// for a container's state waits for one that is being made.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "tracer.h"

namespace sigil::e2e {
namespace {

class OciCrash : public CgroupE2e {
  protected:
    void SetUp() override {
        CgroupE2e::SetUp();
        if (!IsSkipped())
            bundle_.set("/linux/cgroupsPath", "\"" + cgroup_ + "\"");
    }
    // A hook that does not return, and says so.
    void hang_in_a_hook() {
        bundle_.set("/hooks/createRuntime", R"([{"path": ")" + busybox_path() +
                                                R"(", "args": ["sh", "-c", "echo > )" + hung_ +
                                                R"(; exec sleep 1000"]}])");
    }
    [[nodiscard]] Words create() {
        return sigil({"create", "--bundle", bundle_.path(), id_}).command;
    }
    Finished verb(Words words) {
        words.push_back(id_);
        return run_program(sigil(std::move(words)));
    }

    Bundle bundle_{{"/bin/bare", "7"}};
    const std::string id_ = "crash-" + std::to_string(::getpid());
    const std::string cgroup_ = test_cgroup() + "/crash";
    const std::string hung_ = make_directory_outside() + "/hung";
    const std::string directory_ = std::string(records_root()) + "/containers";
};

// Without "ready" there is nobody who will start it.
TEST_F(OciCrash, TheContainerDiesWithACreatorThatIsNotReady) {
    hang_in_a_hook();
    Running creating({.command = create()});
    ASSERT_TRUE(eventually([&] { return exists(hung_); }));
    const pid_t pid = std::atoi(member_of(verb({"state"}).out, "/pid").c_str());
    ASSERT_GT(pid, 1);
    creating.send(SIGKILL);
    EXPECT_EQ(creating.wait().signal(), SIGKILL);
    EXPECT_TRUE(eventually(
        [pid] { return ::kill(pid, 0) != 0 || ::waitpid(pid, nullptr, WNOHANG) == pid; }));
    const auto hooks = children_of(::getpid());  // the hook is an orphan of ours
    for (const pid_t hook : hooks)
        ::kill(hook, SIGKILL);
    EXPECT_EQ(verb({"delete", "--force"}).code(), 0);
    EXPECT_EQ(names_in(directory_), Words{});
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

TEST_F(OciCrash, NobodyWaitsForACreateUnderWay) {
    hang_in_a_hook();
    Running creating({.command = create()});
    ASSERT_TRUE(eventually([&] { return exists(hung_); }));
    EXPECT_EQ(member_of(verb({"state"}).out, "/status"), "creating");
    const Finished listed = run_program(sigil({"list"}));
    EXPECT_NE(listed.out.find("creating"), std::string::npos) << listed.out;
    EXPECT_EQ(verb({"ps"}).code(), 0);
    expect_failure(run_program(sigil({"exec", id_, "/bin/true"})),
                   "cannot exec in container " + id_ + ": it is creating");
    creating.send(SIGKILL);
    (void)creating.wait();
    for (const pid_t hook : children_of(::getpid()))
        ::kill(hook, SIGKILL);
    EXPECT_EQ(verb({"delete", "--force"}).code(), 0);
}

// A stage that does not live to be ready fails the create.
TEST_F(OciCrash, AProcessKilledBeforeItIsReadyFailsTheCreate) {
    bundle_.set("/hooks/createRuntime",
                R"([{"path": ")" + busybox_path() +
                    R"(", "args": ["sh", "-c", "s=$(cat); s=${s#*\"pid\":}; kill -9 ${s%%,*}"]}])");
    const Finished created = run_program({.command = create()});
    expect_failure(created, "create container " + id_);
    EXPECT_EQ(names_in(directory_), Words{});
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

// A pid that is somebody else's now.
TEST_F(OciCrash, AProcessWithAnotherStartTimeIsNotTheContainers) {
    bundle_.set("/process/args", R"(["/bin/sleep", "1000"])");
    Start start = {.command = create()};
    start.before_exec = [] {
        for (int fd = 0; fd < 3; ++fd)
            ::dup2(::open("/dev/null", O_RDWR | O_CLOEXEC), fd);
    };
    ASSERT_EQ(run_program(start).code(), 0);
    ASSERT_EQ(verb({"start"}).code(), 0);
    const std::string file = directory_ + "/" + id_ + "/state.json";
    const std::string good = read_file(file);
    std::string bad = good;
    const size_t at = bad.find("\"startTime\":") + 12;
    bad.insert(at, "1");
    write_file(file, bad);
    EXPECT_EQ(member_of(verb({"state"}).out, "/status"), "stopped");
    const Finished killed = verb({"kill"});
    EXPECT_EQ(killed.code(), 125) << "a foreign process would have been killed";
    write_file(file, good);
    EXPECT_EQ(member_of(verb({"state"}).out, "/status"), "running");
    EXPECT_EQ(verb({"delete", "--force"}).code(), 0);
}

// Its freezer has the last word: it must be possible to let it go on.
TEST_F(OciCrash, ACreatedOneThatIsPausedCanBeAskedForAndResumed) {
    Start start = {.command = create()};
    start.before_exec = [] {
        for (int fd = 0; fd < 3; ++fd)
            ::dup2(::open("/dev/null", O_RDWR | O_CLOEXEC), fd);
    };
    ASSERT_EQ(run_program(start).code(), 0);
    ASSERT_EQ(verb({"pause"}).code(), 0);
    for (int round = 0; round < 10; ++round)
        EXPECT_EQ(member_of(verb({"state"}).out, "/status"), "paused");
    expect_failure(verb({"start"}), "it is paused");
    ASSERT_EQ(verb({"resume"}).code(), 0);
    EXPECT_EQ(member_of(verb({"state"}).out, "/status"), "created");
    EXPECT_EQ(verb({"start"}).code(), 0);
    EXPECT_EQ(verb({"delete", "--force"}).code(), 0);
}

// ---- killed at each step ----------------------------------------------------------------------

class OciCrashSteps : public OciCrash {
  protected:
    // Kills `create` at its calls until it ends by itself, and deletes what there is.
    void kill_at_each() {
        const Words words = create();
        const Traces before = Traces::now();
        const int most = is_sanitized() ? 30'000 : 3000;
        const int stride = kill_stride();
        int count = 1;
        for (; count < most && !HasFailure(); count += stride) {
            const KilledRun killed = kill_at_call(words, Counted::its_own, count);
            SCOPED_TRACE("killed at call " + std::to_string(count) + ", number " + killed.call);
            expect_deleted(before);
            if (!killed.was_killed)
                break;
        }
        EXPECT_GT(count, 150);
        EXPECT_LT(count, most);
    }
    // Twice: there is nothing to complain of the second time.
    void expect_deleted(const Traces& before) {
        for (int round = 0; round < 2; ++round) {
            const Finished deleted = verb({"delete", "--force"});
            EXPECT_EQ(deleted.code(), 0) << deleted.err;
            EXPECT_EQ(deleted.err, "");
        }
        EXPECT_TRUE(await_no_processes());
        EXPECT_EQ(Traces::now().beyond(before), Words{});
        EXPECT_FALSE(exists(cgroup_mount() + own_cgroup_));
        EXPECT_EQ(names_in(directory_), Words{});
        // Those on the way to it belong to nobody, as with runc and crun.
        for (const std::string& parent : parents_)
            (void)::rmdir((cgroup_mount() + parent).c_str());
        EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    }

    std::string own_cgroup_ = cgroup_;
    Words parents_;  // of it, the innermost first
};

TEST_F(OciCrashSteps, OfACreate) {
    kill_at_each();
}

TEST_F(OciCrashSteps, OfACreateInAUserNamespace) {
    const std::string map = R"([{"containerID": 0, "hostID": 0, "size": 65536}])";
    bundle_.append("/linux/namespaces", R"({"type": "user"})")
        .set("/linux/uidMappings", map)
        .set("/linux/gidMappings", map);
    kill_at_each();
}

TEST_F(OciCrashSteps, OfACreateWithHooksAndAParent) {
    const std::string hook = R"([{"path": ")" + busybox_path() + R"(", "args": ["true"]}])";
    bundle_.set("/hooks/createRuntime", hook).set("/hooks/createContainer", hook);
    parents_ = {cgroup_ + "/deep", cgroup_};
    own_cgroup_ = cgroup_ + "/deep/er";
    bundle_.set("/linux/cgroupsPath", "\"" + own_cgroup_ + "\"");
    kill_at_each();
}

TEST_F(OciCrashSteps, OfACreateThatFails) {
    bundle_.set("/process/args", R"(["/bin/nope"])");
    kill_at_each();
}

}  // namespace
}  // namespace sigil::e2e
