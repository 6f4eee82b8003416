// sigil killed by SIGKILL, at any moment: its containers die, `sigil sweep` or the next `sigil run`
// removes what stays, and nothing of a living one is touched.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <list>

#include "cgroups.h"
#include "fixture.h"
#include "machine.h"
#include "tracer.h"

namespace sigil::e2e {
namespace {

using Sweep = CgroupE2e;

std::string runs_directory() {
    return std::string(records_root()) + "/runs";
}

Words records() {
    return names_in(runs_directory());
}

Finished sweep(Words options = {}) {
    options.insert(options.begin(), "sweep");
    return run_program(sigil(std::move(options)));
}

void kill_now(Running& running) {
    running.send(SIGKILL);
    EXPECT_EQ(running.wait().signal(), SIGKILL);
}

// A supervisor of a waiting container, killed.
void leave(Words options) {
    Running running(waiting(std::move(options)));
    ASSERT_EQ(running.next_line(), "ready");
    const pid_t pid = init_of(running.pid());
    kill_now(running);
    EXPECT_TRUE(eventually([pid] {
        return ::kill(pid, 0) != 0 || ::waitpid(pid, nullptr, WNOHANG) == pid;
    })) << "the container outlives its supervisor";
}

// It forwards once its loop turns: after its own look at what others have left.
void expect_forwards(Running& running) {
    running.send(SIGUSR1);
    EXPECT_EQ(running.next_line(), "signal 10 sent 0");
}

void expect_works(Running& running) {
    expect_forwards(running);
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

std::string cgroup_line(const std::string& name) {
    return "removed cgroup " + cgroup_mount() + test_cgroup() + "/" + name + "\n";
}

std::string record_line(const std::string& name) {
    return "removed record " + runs_directory() + "/" + name + "\n";
}

TEST_F(Sweep, NothingIsSaidWhereNothingIsLeft) {
    for (int round = 0; round < 2; ++round) {
        const Finished finished = sweep();
        EXPECT_EQ(finished.code(), 0);
        EXPECT_EQ(finished.out + finished.err, "");
        EXPECT_EQ(run({}, {"/bin/true"}).code(), 0);
    }
}

TEST_F(Sweep, RemovesWhatAKilledSupervisorLeft) {
    for (const Words& mode : {Words{}, Words{"--no-init"}}) {
        Words options = {"--name", "web"};
        options.insert(options.end(), mode.begin(), mode.end());
        leave(options);
        EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/sigil-web"});
        EXPECT_EQ(records(), Words{"web"});
        const Finished finished = sweep();
        EXPECT_EQ(finished.code(), 0);
        EXPECT_EQ(finished.out, cgroup_line("sigil-web") + record_line("web"));
        EXPECT_EQ(finished.err, "");
        EXPECT_EQ(container_cgroups(), Words{});
        EXPECT_EQ(records(), Words{});
        EXPECT_EQ(sweep().out, "");
    }
}

TEST_F(Sweep, RemovesTheParentsThatWereMade) {
    leave({"--name", "web", "--cgroup-parent", "new/deep"});
    EXPECT_EQ(sweep().out, cgroup_line("new/deep/sigil-web") + cgroup_line("new/deep") +
                               cgroup_line("new") + record_line("web"));
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

TEST_F(Sweep, DryRunRemovesNothing) {
    leave({"--name", "web"});
    const Finished said = sweep({"--dry-run"});
    EXPECT_EQ(said.code(), 0);
    EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/sigil-web"});
    EXPECT_EQ(records(), Words{"web"});
    std::string expected = sweep().out;
    for (size_t at = 0; (at = expected.find("removed ", at)) != std::string::npos; at += 12)
        expected.replace(at, 8, "would remove ");
    EXPECT_EQ(said.out, expected);
}

// What has joined the cgroup from outside isn't in the container's pid namespace.
TEST_F(Sweep, KillsWhatIsStillInTheCgroup) {
    Running running(waiting({"--name", "web"}));
    ASSERT_EQ(running.next_line(), "ready");
    Running foreign({.command = {probe_path(), "sleep", "100000"}});
    ASSERT_EQ(foreign.next_line(), "ready");
    const std::string path = test_cgroup() + "/sigil-web";
    ASSERT_TRUE(make_cgroup(path + "/a") && make_cgroup(path + "/a/b"));
    ASSERT_TRUE(write_cgroup_file(path + "/a/b", "cgroup.procs", std::to_string(foreign.pid())));
    kill_now(running);
    EXPECT_EQ(sweep().out, cgroup_line("sigil-web") + record_line("web"));
    EXPECT_EQ(foreign.wait().signal(), SIGKILL);
    EXPECT_EQ(container_cgroups(), Words{});
}

TEST_F(Sweep, TouchesNothingOfALivingSupervisor) {
    Running alive(waiting({"--name", "alive", "--cgroup-parent", "new"}));
    ASSERT_EQ(alive.next_line(), "ready");
    expect_forwards(alive);
    leave({"--name", "dead", "--cgroup-parent", "new"});
    EXPECT_EQ(sweep().out, cgroup_line("new/sigil-dead") + record_line("dead"));
    EXPECT_EQ(records(), Words{"alive"});
    expect_works(alive);
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

// A parent that the dead one made, and that the living one is in.
TEST_F(Sweep, LeavesAParentThatALivingOneUses) {
    Running dead(waiting({"--name", "dead", "--cgroup-parent", "new"}));
    ASSERT_EQ(dead.next_line(), "ready");
    Running alive(waiting({"--name", "alive", "--cgroup-parent", "new"}));
    ASSERT_EQ(alive.next_line(), "ready");
    expect_forwards(alive);
    kill_now(dead);
    EXPECT_EQ(sweep().out, cgroup_line("new/sigil-dead"));
    expect_works(alive);
    EXPECT_EQ(sweep().out, cgroup_line("new") + record_line("dead"));
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

TEST_F(Sweep, TouchesNoContainerThatHasTakenADeadOnesName) {
    leave({"--name", "web"});
    Running alive(waiting({"--name", "web"}));
    ASSERT_EQ(alive.next_line(), "ready");
    EXPECT_EQ(sweep().err, "");
    EXPECT_EQ(container_cgroups(), Words{test_cgroup() + "/sigil-web"});
    expect_works(alive);
}

// The same name again and again, killed every other time, while a sweep follows the other.
TEST_F(Sweep, NeverHitsAStart) {
    const std::string loop =
        "trap 'exit 0' TERM; while :; do " + sigil_path() + " sweep || exit 9; done";
    Running sweeper({.command = {busybox_path(), "sh", "-c", loop}});
    const int rounds = is_slow() ? 20 : 300;
    const std::string events = test_cgroup() + "/sigil-web";
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
        {
            Running killed(sigil_run({"--name", "web"}, {"/bin/sleep", "100000"}));
            const timespec delay = {0, round * (is_slow() ? 3'000'000L : 20'000L)};
            ::nanosleep(&delay, nullptr);
            kill_now(killed);
        }
        ASSERT_TRUE(eventually([&] {
            return cgroup_file(events, "cgroup.events").find("populated 1") == std::string::npos;
        }));
        const Finished finished = run({"--name", "web"}, {"/bin/bare", "7"});
        EXPECT_EQ(finished.code(), 7) << testing::PrintToString(finished);
        EXPECT_EQ(finished.err, "");
    }
    sweeper.send(SIGTERM);
    const Finished swept = sweeper.wait();
    EXPECT_EQ(swept.code(), 0) << testing::PrintToString(swept);
    EXPECT_EQ(sweep().code(), 0);
}

TEST_F(Sweep, ManyKilledAtOnce) {
    const int count = is_slow() ? 12 : 100;
    std::list<Running> all;
    for (int index = 0; index < count; ++index) {
        Words options = {"--cgroup-parent", "new/deep"};
        if (index % 2)
            options.insert(options.end(), {"--no-init", "--name", "n" + std::to_string(index)});
        all.emplace_back(waiting(options));
    }
    for (Running& one : all)
        ASSERT_EQ(one.next_line(), "ready");
    EXPECT_EQ(container_cgroups().size(), static_cast<size_t>(count));
    for (const Running& one : all)
        one.send(SIGKILL);
    // Three at once: each thing is removed by one of them.
    Running first(sigil({"sweep"}));
    Running second(sigil({"sweep"}));
    Running third(sigil({"sweep"}));
    for (Running* sweeper : {&first, &second, &third}) {
        const Finished finished = sweeper->wait();
        EXPECT_EQ(finished.code(), 0);
        EXPECT_EQ(finished.err, "");
    }
    for (Running& one : all)
        EXPECT_EQ(one.wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
    EXPECT_EQ(sweep().code(), 0);
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    EXPECT_EQ(records(), Words{});
}

// ---- the next run -----------------------------------------------------------------------------

TEST_F(Sweep, TheNextRunDoesItByTheWay) {
    leave({"--name", "web"});
    leave({"--name", "db", "--no-init"});
    const Finished finished = run({}, {"/bin/bare", "7"});
    EXPECT_EQ(finished.code(), 7);
    EXPECT_EQ(finished.out + finished.err, "");
    EXPECT_EQ(container_cgroups(), Words{});
    EXPECT_EQ(records(), Words{});
}

TEST_F(Sweep, AFewRunsDoItForMany) {
    const int count = is_slow() ? 20 : 60;
    std::list<Running> all;
    for (int index = 0; index < count; ++index)
        all.emplace_back(waiting({}));
    for (Running& one : all)
        ASSERT_EQ(one.next_line(), "ready");
    for (Running& one : all)
        kill_now(one);
    EXPECT_TRUE(await_no_processes());
    int runs = 0;
    for (; !records().empty() && runs < count; ++runs)
        EXPECT_EQ(run({}, {"/bin/true"}).code(), 0);
    EXPECT_LE(runs, count / 10);
    EXPECT_EQ(container_cgroups(), Words{});
}

// ---- the root ---------------------------------------------------------------------------------

TEST_F(Sweep, ARootOfTheUsersChoice) {
    const std::string root = make_directory_outside() + "/new";
    leave({"--name", "web", "--root", root});
    EXPECT_EQ(names_in(root + "/runs"), Words{"web"});
    EXPECT_EQ(sweep().out, "");
    EXPECT_EQ(sweep({"--root", root}).out,
              cgroup_line("sigil-web") + "removed record " + root + "/runs/web\n");
    EXPECT_EQ(sweep({"--root", root + "/nope"}).code(), 0);
}

TEST_F(Sweep, ABadRootIsAnErrorBeforeAnythingIsMade) {
    const std::string read_only = make_directory_outside();
    ASSERT_EQ(::mount("tmpfs", read_only.c_str(), "tmpfs", MS_RDONLY, nullptr), 0);
    for (const std::string& root : {read_only, read_only + "/new", std::string("/nope/nope"),
                                    std::string("/etc/passwd"), std::string("/proc/nope")}) {
        expect_failure(run({"--root", root}, {"/bin/true"}), "--root " + root);
        expect_failure(run({"--root", root, "--cgroup-parent", "new"}, {"/bin/true"}), "--root");
    }
    expect_failure(run({"--root", ""}, {"/bin/true"}), "--root");
    expect_failure(sweep({"--root", ""}), "--root");
    expect_failure(sweep({"--root", "/etc/passwd"}), "/etc/passwd");
    expect_failure(sweep({"--nope"}), "--nope");
    expect_failure(sweep({"word"}), "word");
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    ASSERT_EQ(::umount(read_only.c_str()), 0);
}

TEST_F(Sweep, AFullRootIsAnErrorThatLeavesNothing) {
    for (const char* size :
         {"mode=755,nr_inodes=1", "mode=755,nr_inodes=2", "mode=755,nr_inodes=3"}) {
        const std::string root = make_directory_outside();
        ASSERT_EQ(::mount("tmpfs", root.c_str(), "tmpfs", 0, size), 0);
        const Finished finished = run({"--root", root}, {"/bin/true"});
        expect_failure(finished, "--root " + root);
        expect_failure(finished, "No space left on device");
        EXPECT_EQ(names_in(root + "/runs"), Words{});
        EXPECT_EQ(container_cgroups(), Words{});
        ASSERT_EQ(::umount(root.c_str()), 0);
    }
}

TEST_F(Sweep, WithoutACgroupThereIsNoRecord) {
    for (const char* root : {"/nope/nope", records_root()}) {
        Start start = sigil_run({"--root", root}, {"/bin/bare", "7"});
        start.before_exec = [] {
            if (::unshare(CLONE_NEWNS) < 0 ||
                ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
                ::mount(nullptr, cgroup_mount().c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                        nullptr) < 0)
                ::_exit(1);
        };
        const Finished finished = run_program(start);
        EXPECT_EQ(finished.code(), 7) << testing::PrintToString(finished);
        EXPECT_EQ(finished.err, "");
    }
}

TEST_F(Sweep, AHostileRootHarmsNothing) {
    const std::string runs = runs_directory();
    const std::string outside = make_directory_outside() + "/sigil-victim";
    make_directory(outside + "/below");
    const std::string others = test_cgroup() + "/theirs";
    ASSERT_TRUE(make_cgroup(others));
    leave({"--name", "web"});
    write_file(runs + "/file", "text");
    make_link("/etc", runs + "/link");
    ASSERT_EQ(::mkfifo((runs + "/fifo").c_str(), 0600), 0);
    make_directory(runs + "/open");
    make_link(cgroup_mount() + others, runs + "/open/cgroup.0");
    ASSERT_EQ(::chmod((runs + "/open").c_str(), 0777), 0);
    make_directory(runs + "/theirs");
    ASSERT_EQ(::chown((runs + "/theirs").c_str(), 1000, 1000), 0);
    make_directory(runs + "/bad");
    ASSERT_EQ(::chmod((runs + "/bad").c_str(), 0700), 0);
    const std::vector<std::string> targets = {outside,
                                              cgroup_mount(),
                                              cgroup_mount() + others,
                                              "relative",
                                              "/proc/self",
                                              cgroup_mount() + "/../x",
                                              cgroup_mount() + test_cgroup() + "/.",
                                              "/"};
    for (size_t index = 0; index < targets.size(); ++index)
        make_link(targets[index], runs + "/bad/cgroup." + std::to_string(index));
    write_file(runs + "/bad/cgroup.99", cgroup_mount() + others);
    write_file(runs + "/bad/note", "");

    const Finished finished = sweep();
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.out, cgroup_line("sigil-web") + record_line("web"));
    const auto lines = lines_of(finished.err);
    EXPECT_EQ(lines.size(), 5 + targets.size() + 2) << finished.err;
    for (const std::string& line : lines)
        EXPECT_TRUE(line.starts_with("sigil: sweep: " + runs + "/")) << line;
    EXPECT_TRUE(exists(outside + "/below"));
    EXPECT_NE(cgroup_file(others, "cgroup.events"), "");
    // A start is not disturbed, and says nothing of it.
    const Finished started = run({}, {"/bin/bare", "7"});
    EXPECT_EQ(started.code(), 7);
    EXPECT_EQ(started.err, "");
    std::filesystem::remove_all(runs);
    remove_cgroup(others);
}

TEST_F(Sweep, NobodyElsesRootIsSwept) {
    const std::string root = make_directory_outside();
    make_directory(root + "/runs");
    ASSERT_EQ(::chown((root + "/runs").c_str(), 1000, 1000), 0);
    expect_failure(sweep({"--root", root}), "it belongs to user 1000");
}

// ---- killed at each step ----------------------------------------------------------------------

class SweepSteps : public Sweep {
  protected:
    // Kills it at each system call, of its own or of its container's, until it ends by itself.
    static void kill_at_each(const Words& options, Counted counted, const Words& command) {
        const Words words = sigil_run(options, command).command;
        const Traces before = Traces::now();
        const int most = is_sanitized() ? 30'000 : 2000;
        const int stride = kill_stride();
        int count = 1;
        for (; count < most && !HasFailure(); count += stride) {
            const KilledRun killed = kill_at_call(words, counted, count);
            SCOPED_TRACE("killed at call " + std::to_string(count) + ", number " + killed.call);
            ASSERT_TRUE(await_no_processes());
            const Finished swept = sweep();
            EXPECT_EQ(swept.code(), 0);
            EXPECT_EQ(swept.err, "");
            EXPECT_EQ(Traces::now().beyond(before), Words{});
            EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
            if (!killed.was_killed)
                break;
        }
        EXPECT_GT(count, counted == Counted::its_own ? 50 : 20);
        EXPECT_LT(count, most);
    }
};

TEST_F(SweepSteps, OfTheSupervisor) {
    kill_at_each({}, Counted::its_own, {"/bin/bare", "7"});
}

TEST_F(SweepSteps, OfTheSupervisorWithoutInit) {
    kill_at_each({"--no-init", "--network", "host"}, Counted::its_own, {"/bin/bare", "7"});
}

TEST_F(SweepSteps, OfTheSupervisorThatMakesParents) {
    kill_at_each({"--cgroup-parent", "new/deep", "--name", "web"}, Counted::its_own,
                 {"/bin/bare", "7"});
}

// Into a parent at the hierarchy's root, because sigil's own cgroup has processes.
TEST_F(SweepSteps, OfTheSupervisorWithALimit) {
    SIGIL_NEEDS_CONTROLLER("pids");
    const std::string parent = cgroup_mount() + "/sigil";
    const bool was_there = exists(parent);
    kill_at_each({"--pids-limit", "50"}, Counted::its_own, {"/bin/bare", "7"});
    EXPECT_EQ(exists(parent), was_there);
}

TEST_F(SweepSteps, OfTheSupervisorOfContainersMadeAhead) {
    kill_at_each({"--count", "3", "--jobs", "1", "--launchers", "1", "--warm", "1", "--quiet"},
                 Counted::its_own, {"/bin/sleep", "0.03"});
}

TEST_F(SweepSteps, OfTheSupervisorWhoseLaunchFails) {
    kill_at_each({"--cgroup-parent", "new"}, Counted::its_own, {"/bin/nope"});
}

TEST_F(SweepSteps, OfTheContainer) {
    kill_at_each({}, Counted::its_descendants, {"/bin/bare", "7"});
}

TEST_F(SweepSteps, OfTheContainerWithoutInit) {
    kill_at_each({"--no-init"}, Counted::its_descendants, {"/bin/bare", "7"});
}

// The next start of the name finds what the killed one left, and works.
TEST_F(SweepSteps, DoNotStandInTheWayOfTheNextStart) {
    const Words words =
        sigil_run({"--name", "web", "--cgroup-parent", "new"}, {"/bin/bare", "7"}).command;
    const int stride = is_slow() ? 31 : 5;
    for (int count = 1; !HasFailure(); count += stride) {
        const KilledRun killed = kill_at_call(words, Counted::its_own, count);
        SCOPED_TRACE("killed at call " + std::to_string(count) + ", number " + killed.call);
        ASSERT_TRUE(await_no_processes());
        const Finished next = run({"--name", "web", "--cgroup-parent", "new"}, {"/bin/bare", "7"});
        EXPECT_EQ(next.code(), 7) << testing::PrintToString(next);
        if (!killed.was_killed)
            break;
    }
    EXPECT_EQ(sweep().code(), 0);
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
    EXPECT_EQ(records(), Words{});
}

}  // namespace
}  // namespace sigil::e2e
