// SIGTERM and SIGINT to sigil while a container of a bundle is being made: it is given up, nothing
// of it stays, and sigil ends as a shell says it of a signal.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

class OciInterrupt : public E2e {
  protected:
    // A hook of that kind that says it runs and does not return.
    void hang_in(const std::string& kind) {
        const bool is_inside = kind == "startContainer";
        const std::string shell = is_inside ? "/bin/busybox" : busybox_path();
        if (is_inside)
            bundle_.append("/mounts", R"({"destination": "/flags", "type": "bind", "source": ")" +
                                          flags_ + R"(", "options": ["bind"]})");
        const std::string flag = (is_inside ? "/flags" : flags_) + "/hung";
        bundle_.set(("/hooks/" + kind).c_str(), R"([{"path": ")" + shell +
                                                    R"(", "args": ["sh", "-c", "echo > )" + flag +
                                                    R"(; exec sleep 1000"]}])");
    }
    void note_poststop() {
        bundle_.set("/hooks/poststop", R"([{"path": ")" + busybox_path() +
                                           R"(", "args": ["sh", "-c", "echo >> )" + flags_ +
                                           R"(/stopped"]}])");
    }
    [[nodiscard]] bool hangs() const {
        return eventually([&] { return exists(flags_ + "/hung"); });
    }
    void forget() { ::unlink((flags_ + "/hung").c_str()); }
    void expect_nothing_left() {
        EXPECT_EQ(member_of(run_program(sigil({"state", id_})).out, "/status"), "(none)");
        EXPECT_FALSE(exists(std::string(records_root()) + "/containers/" + id_));
        EXPECT_TRUE(await_no_processes());
        EXPECT_FALSE(!cgroup_mount().empty() && exists(cgroup_mount() + "/" + id_));
    }
    void expect_given_up(Words words, int signal) {
        words.insert(words.end(), {"--bundle", bundle_.path(), id_});
        Running running(sigil(words));
        ASSERT_TRUE(hangs());
        running.send(signal);
        const Finished finished = running.wait();
        expect_failure(finished, id_, 128 + signal);
        expect_failure(finished, signal == SIGTERM ? "given up at a SIGTERM" : "at a SIGINT",
                       128 + signal);
        expect_nothing_left();
        forget();
    }

    Bundle bundle_{{"/bin/probe", "exit", "7"}};
    const std::string id_ = "interrupt-" + std::to_string(::getpid());
    const std::string flags_ = make_directory_outside();
};

TEST_F(OciInterrupt, GivesUpARunInEachHookBeforeTheCommand) {
    for (const char* kind : {"prestart", "createRuntime", "createContainer", "startContainer"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/probe", "exit", "7"});
        std::swap(bundle_, fresh);
        hang_in(kind);
        expect_given_up({"run"}, SIGTERM);
        expect_given_up({"run"}, SIGINT);
        expect_given_up({"run", "--detach"}, SIGTERM);
    }
}

TEST_F(OciInterrupt, GivesUpACreate) {
    for (const char* kind : {"createRuntime", "createContainer"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/probe", "exit", "7"});
        std::swap(bundle_, fresh);
        hang_in(kind);
        expect_given_up({"create"}, SIGTERM);
        expect_given_up({"create"}, SIGINT);
    }
}

TEST_F(OciInterrupt, KillsTheCommandWhoseStartIsNotOver) {
    hang_in("poststart");
    bundle_.set("/process/args", R"(["/bin/sleep", "1000"])");
    expect_given_up({"run"}, SIGTERM);
}

TEST_F(OciInterrupt, GivesUpAStart) {
    for (const char* kind : {"startContainer", "poststart"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/sleep", "1000"});
        std::swap(bundle_, fresh);
        OciContainer container("interrupt-start");
        hang_in(kind);
        ASSERT_EQ(container.create(bundle_).code(), 0);
        Running starting(sigil({"start", container.id()}));
        ASSERT_TRUE(hangs());
        starting.send(SIGTERM);
        expect_failure(starting.wait(), "given up at a SIGTERM", 128 + SIGTERM);
        EXPECT_TRUE(container.await("stopped"));
        EXPECT_EQ(container.remove().code(), 0);
        forget();
    }
}

TEST_F(OciInterrupt, RunsTheHooksOfTheEnd) {
    hang_in("createRuntime");
    note_poststop();
    expect_given_up({"run"}, SIGTERM);
    EXPECT_EQ(read_file(flags_ + "/stopped"), "\n");
}

TEST_F(OciInterrupt, HeedsNoSignalThatIsIgnored) {
    hang_in("createRuntime");
    Start start = sigil({"run", "--bundle", bundle_.path(), id_});
    start.before_exec = [] { ::signal(SIGINT, SIG_IGN); };
    Running running(start);
    ASSERT_TRUE(hangs());
    running.send(SIGINT);
    running.send(SIGTERM);
    expect_failure(running.wait(), "given up at a SIGTERM", 128 + SIGTERM);
    expect_nothing_left();
}

// One that came too late to stop the launch is the container's, as ever.
TEST_F(OciInterrupt, ComesToTheCommandOnceItRuns) {
    bundle_.set("/process/args", R"(["/bin/probe", "signals", "TERM"])");
    Running running(sigil({"run", "--bundle", bundle_.path(), id_}));
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGINT);
    EXPECT_EQ(running.next_line(), "signal 2 sent 0");
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
    expect_nothing_left();
}

// What was held back while it was made is not held back from the command, nor ignored in it.
TEST_F(OciInterrupt, LeavesTheCommandsSignalsAlone) {
    bundle_.set("/process/args", R"(["/bin/busybox", "grep", "Sig[BI]", "/proc/self/status"])");
    OciContainer container("interrupt-mask");
    Start start = sigil({"run", "--detach", "--bundle", bundle_.path(), container.id()});
    start.before_exec = [] { ::signal(SIGINT, SIG_IGN); };
    Running running(start);
    const Finished finished = running.wait();
    EXPECT_EQ(finished.code(), 0) << finished.err;
    EXPECT_TRUE(container.await("stopped"));
    EXPECT_EQ(finished.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

}  // namespace
}  // namespace sigil::e2e
