// The verbs of an OCI runtime, in every state of a container (runtime.md, "Lifecycle").
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "bundle.h"
#include "fixture.h"

namespace sigil::e2e {
namespace {

class OciLifecycle : public E2e {
  protected:
    void TearDown() override {
        (void)container_.remove({"--force"});
        E2e::TearDown();
    }

    Bundle waiting_{{"/bin/probe", "signals", "TERM"}};
    OciContainer container_{"life"};

    void create() { ASSERT_EQ(container_.create(waiting_).code(), 0); }
    void start() {
        create();
        const Finished started = container_.start();
        ASSERT_EQ(started.code(), 0) << started.err;
        // It has its handlers once it says so.
        ASSERT_TRUE(eventually([&] { return !container_.output().empty(); }));
    }
    void stop() {
        start();
        ASSERT_EQ(container_.kill("TERM").code(), 0);
        ASSERT_TRUE(container_.await("stopped"));
    }
};

TEST_F(OciLifecycle, CreateStartKillDelete) {
    create();
    EXPECT_EQ(container_.status(), "created");
    EXPECT_EQ(container_.output(), "");
    EXPECT_EQ(container_.start().code(), 0);
    EXPECT_EQ(container_.status(), "running");
    EXPECT_TRUE(eventually([&] { return container_.output().starts_with("ready"); }));
    EXPECT_EQ(container_.kill("TERM").code(), 0);
    EXPECT_TRUE(container_.await("stopped"));
    EXPECT_EQ(container_.remove().code(), 0);
    EXPECT_EQ(container_.status(), "(none)");
}

TEST_F(OciLifecycle, StateIsTheSpecifications) {
    waiting_.set("/annotations", R"({"org.example.a": "b"})");
    create();
    const Finished state = container_.verb({"state"});
    EXPECT_EQ(member_of(state.out, "/id"), container_.id());
    EXPECT_EQ(member_of(state.out, "/status"), "created");
    EXPECT_EQ(member_of(state.out, "/bundle"), waiting_.path());
    EXPECT_EQ(member_of(state.out, "/annotations/org.example.a"), "b");
    EXPECT_EQ(member_of(state.out, "/ociVersion"), "1.3.0");
    EXPECT_GT(container_.pid(), 1);
}

TEST_F(OciLifecycle, NoVerbKnowsAContainerThatIsNotThere) {
    for (const char* verb : {"start", "state", "kill", "delete", "ps", "pause", "resume"})
        expect_failure(container_.verb({verb}), "container " + container_.id() + " does not exist");
    expect_failure(run_program(sigil({"exec", container_.id(), "true"})),
                   "container " + container_.id() + " does not exist");
    EXPECT_EQ(container_.remove({"--force"}).code(), 0);
}

TEST_F(OciLifecycle, ACreatedOneStartsOnceAndCanBeDeleted) {
    create();
    expect_failure(container_.create(waiting_), "" + container_.id() + " already exists");
    expect_failure(container_.verb({"resume"}),
                   "cannot resume container " + container_.id() + ": it is created");
    EXPECT_EQ(container_.remove().code(), 0);
}

TEST_F(OciLifecycle, ARunningOneCannotBeStartedOrDeleted) {
    start();
    expect_failure(container_.start(),
                   "cannot start container " + container_.id() + ": it is running");
    expect_failure(container_.remove(),
                   "cannot delete container " + container_.id() + ": it is running");
    expect_failure(container_.verb({"resume"}),
                   "cannot resume container " + container_.id() + ": it is running");
    EXPECT_EQ(container_.remove({"--force"}).code(), 0);
}

TEST_F(OciLifecycle, AStoppedOneCanOnlyBeDeleted) {
    stop();
    expect_failure(container_.start(),
                   "cannot start container " + container_.id() + ": it is stopped");
    expect_failure(container_.kill("TERM"), "container not running");
    expect_failure(container_.verb({"pause"}),
                   "cannot pause container " + container_.id() + ": it is stopped");
    expect_failure(run_program(sigil({"exec", container_.id(), "true"})),
                   "cannot exec in container " + container_.id() + ": it is stopped");
    EXPECT_EQ(container_.verb({"kill", "--all"}).code(), 0);
    EXPECT_EQ(container_.remove().code(), 0);
}

TEST_F(OciLifecycle, APausedOneGoesOnWhereItWas) {
    start();
    ASSERT_EQ(container_.verb({"pause"}).code(), 0);
    EXPECT_EQ(container_.status(), "paused");
    expect_failure(container_.verb({"pause"}),
                   "cannot pause container " + container_.id() + ": it is paused");
    expect_failure(run_program(sigil({"exec", container_.id(), "true"})),
                   "cannot exec in container " + container_.id() + ": it is paused");
    EXPECT_EQ(container_.kill("TERM").code(), 0);
    EXPECT_EQ(container_.status(), "paused");
    ASSERT_EQ(container_.verb({"resume"}).code(), 0);
    EXPECT_TRUE(container_.await("stopped"));
}

TEST_F(OciLifecycle, APausedOneCanBeKilled) {
    start();
    ASSERT_EQ(container_.verb({"pause"}).code(), 0);
    EXPECT_EQ(container_.kill("KILL").code(), 0);
    EXPECT_TRUE(container_.await("stopped"));
}

TEST_F(OciLifecycle, KillReachesAllProcesses) {
    Bundle bundle({"/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait"});
    ASSERT_EQ(container_.create(bundle).code(), 0);
    ASSERT_EQ(container_.start().code(), 0);
    ASSERT_TRUE(eventually([&] { return container_.output() == "up\n"; }));
    EXPECT_EQ(lines_of(container_.verb({"ps", "--format", "json"}).out).size(), 1U);
    const std::string pids = container_.verb({"ps", "--format", "json"}).out;
    EXPECT_EQ(std::count(pids.begin(), pids.end(), ','), 2) << pids;
    EXPECT_EQ(run_program(sigil({"kill", "--all", container_.id(), "KILL"})).code(), 0);
    EXPECT_TRUE(container_.await("stopped"));
}

TEST_F(OciLifecycle, PsShowsItsProcessesAlone) {
    start();
    const Finished shown = container_.verb({"ps"});
    ASSERT_EQ(shown.code(), 0) << shown.err;
    const auto lines = lines_of(shown.out);
    ASSERT_EQ(lines.size(), 2U) << shown.out;
    EXPECT_NE(lines[0].find("PID"), std::string::npos);
    EXPECT_NE(lines[1].find("/bin/probe signals TERM"), std::string::npos);
}

TEST_F(OciLifecycle, ListShowsAllWithTheirStatus) {
    create();
    OciContainer other("other");
    ASSERT_EQ(other.create(waiting_).code(), 0);
    ASSERT_EQ(other.start().code(), 0);
    const Finished listed = run_program(sigil({"list", "--format", "json"}));
    EXPECT_EQ(member_of(listed.out, "/0/id"), container_.id());
    EXPECT_EQ(member_of(listed.out, "/0/status"), "created");
    EXPECT_EQ(member_of(listed.out, "/1/id"), other.id());
    EXPECT_EQ(member_of(listed.out, "/1/status"), "running");
    EXPECT_EQ(run_program(sigil({"list", "-q"})).out,
              "" + container_.id() + "\n" + other.id() + "\n");
}

TEST_F(OciLifecycle, PidFileHoldsThePid) {
    const std::string file = make_directory_outside() + "/pid";
    ASSERT_EQ(container_.create(waiting_, {"--pid-file", file}).code(), 0);
    EXPECT_EQ(read_file(file), std::to_string(container_.pid()));
}

TEST_F(OciLifecycle, AFailedCreateLeavesNothing) {
    waiting_.append("/mounts",
                    R"({"destination": "/x", "type": "bind", "source": "/nonexistent"})");
    expect_failure(container_.create(waiting_), "mounts[6]");
    EXPECT_EQ(container_.status(), "(none)");
}

TEST_F(OciLifecycle, ACommandThatIsNotThereFailsTheCreate) {
    Bundle bundle({"/nonexistent"});
    expect_failure(container_.create(bundle), "/nonexistent: no such file or directory", 127);
    EXPECT_EQ(container_.status(), "(none)");
}

// Docker takes its exit code from these words, and minds the case.
TEST_F(OciLifecycle, ACommandThatCannotRunFailsTheCreateInTheWordsOfEngines) {
    Bundle missing({"nonexistent"});
    expect_failure(container_.create(missing),
                   "nonexistent: executable file not found in $PATH: ", 127);
    Bundle directory({"/bin"});
    expect_failure(container_.create(directory), "/bin: permission denied", 126);
    EXPECT_EQ(container_.status(), "(none)");
}

TEST_F(OciLifecycle, AnExecutionThatFailsIsToldByStart) {
    Bundle bundle({"/bin/nothing-that-runs"});
    const std::string root = make_rootfs();
    write_file(root + "/bin/nothing-that-runs", "#!/nonexistent\n", 0755);
    bundle.set("/root/path", "\"" + root + "\"");
    ASSERT_EQ(container_.create(bundle).code(), 0);
    expect_failure(container_.start(),
                   "/bin/nothing-that-runs: the interpreter it names is not in the container: no "
                   "such file or directory",
                   127);
    EXPECT_TRUE(container_.await("stopped"));
}

// Rootless podman starts us so: as uid 0, which may write nothing of the machine's.
TEST(OciRoot, OfAUserNamespacesRootIsThatOfItsUser) {
    const std::string no_directory = make_directory_outside() + "/runtime";
    write_file(no_directory, "");
    Bundle bundle({"true"});
    Start start = sigil({"create", "--bundle", bundle.path(), "rootless"});
    start.command.insert(start.command.begin(), {"unshare", "--user", "--map-root-user"});
    start.before_exec = [&no_directory] {
        ::unsetenv("USER");
        ::setenv("XDG_RUNTIME_DIR", no_directory.c_str(), 1);
    };
    expect_failure(run_program(start), "--root " + no_directory + "/sigil: Not a directory", 125);
}

// Who can write there could have sigil kill or remove what they like.
TEST(OciRoot, OfAnotherUserIsRefused) {
    const std::string root = make_directory_outside();
    Bundle bundle({"true"});
    auto expect_refused = [&](const char* why) {
        for (const Words& words :
             {Words{"create", "--bundle", bundle.path(), "any"}, Words{"delete", "--force", "any"},
              Words{"state", "any"}, Words{"list"}}) {
            Start start = sigil(words);
            start.command.insert(start.command.begin() + 1, {"--root", root});
            expect_failure(run_program(start), "--root " + root + ": " + why);
        }
    };
    ASSERT_EQ(::chown(root.c_str(), 1000, 1000), 0);
    expect_refused("it belongs to another user");
    ASSERT_EQ(::chown(root.c_str(), 0, 0), 0);
    ASSERT_EQ(::chmod(root.c_str(), 01777), 0);
    expect_refused("others may write to it");
    EXPECT_EQ(names_in(root), Words{});
}

}  // namespace
}  // namespace sigil::e2e
