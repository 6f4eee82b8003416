// What happens when the machine says no: every failure is told, code 125, and leaves nothing.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cgroups.h"
#include "events.h"
#include "fixture.h"
#include "machine.h"
#include "seccomp.h"

namespace sigil::e2e {
namespace {

constexpr int kCommandsCode = 7;

class Faults : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        if (is_sanitized())
            GTEST_SKIP() << "the sanitizer fails before sigil does";
    }
};

Start seven(Words options) {
    return sigil_run(std::move(options), {"/bin/bare", std::to_string(kCommandsCode)});
}

// It either worked or said why not.
testing::AssertionResult is_honest(const Finished& finished) {
    if (finished.code() == kCommandsCode)
        return testing::AssertionSuccess();
    if (finished.code() >= 125 && finished.code() <= 127 && finished.err.starts_with("sigil: "))
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << testing::PrintToString(finished);
}

// ---- system calls that fail -------------------------------------------------------------------

// Where execve itself fails, execveat brings sigil to life.
void execute_by_other_means(const Start& start) {
    std::vector<char*> words;
    for (const std::string& word : start.command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::syscall(SYS_execveat, AT_FDCWD, words[0], words.data(), environ, 0);
    ::_exit(1);
}

Finished run_without(int number, int error, Start start) {
    start.before_exec = [number, error, start] {
        make_fail(number, error);
        if (number == SYS_execve)
            execute_by_other_means(start);
    };
    return run_program(start);
}

// Without the first, libc ends a program before its main(); without the others, no program can
// speak, wait or end. They don't fail in a kernel that runs at all.
bool can_fail(int number) {
    constexpr std::array kNever = {SYS_mprotect, SYS_arch_prctl, SYS_write,          SYS_wait4,
                                   SYS_exit,     SYS_exit_group, SYS_rt_sigtimedwait};
    return std::ranges::find(kNever, number) == kNever.end();
}

// One run for each of the kernel's system calls; in the virtual machine, for those of a launch.
std::vector<int> system_calls() {
    constexpr int kLast = 470;
    std::vector<int> numbers;
    if (in_virtual_machine())
        return {SYS_clone3,      SYS_mount,     SYS_move_mount,     SYS_pivot_root,
                SYS_umount2,     SYS_mkdirat,   SYS_openat2,        SYS_execveat,
                SYS_execve,      SYS_fsopen,    SYS_fsmount,        SYS_open_tree,
                SYS_unshare,     SYS_setns,     SYS_io_uring_setup, SYS_io_uring_enter,
                SYS_eventfd2,    SYS_signalfd4, SYS_waitid,         SYS_pidfd_open,
                SYS_capset,      SYS_setresuid, SYS_prctl,          SYS_close_range,
                SYS_sethostname, SYS_mknodat,   SYS_openat,         SYS_mount_setattr};
    for (int number = 0; number <= kLast; ++number)
        if (can_fail(number))
            numbers.push_back(number);
    return numbers;
}

void expect_honest_without_each(const Words& options, int error) {
    for (int number : system_calls()) {
        SCOPED_TRACE("system call " + std::to_string(number) + " failing with " +
                     strerrorname_np(error));
        EXPECT_TRUE(is_honest(run_without(number, error, seven(options))));
        if (number != SYS_unlinkat) {  // which removes the cgroup
            EXPECT_EQ(container_cgroups(), Words{});
        }
        remove_abandoned_cgroups();
    }
}

TEST_F(Faults, AnySystemCallMayBeForbidden) {
    expect_honest_without_each({}, EPERM);
}

TEST_F(Faults, AnySystemCallMayBeUnknownToTheKernel) {
    expect_honest_without_each({"--no-init"}, ENOSYS);
}

TEST_F(Faults, AnySystemCallOfALongLaunchMayFail) {
    const std::string directory = make_directory_outside();
    expect_honest_without_each(
        {"--bind", directory + ":/tmp:ro", "--tmpfs", "/mnt/new", "--user", "alice", "--read-only",
         "--timeout", "1h", "--report", directory + "/report", "--ulimit", "nofile=100",
         "--cgroup-set", "cgroup.max.depth=1", "--network", "host", "--signal-group"},
        ENOMEM);
}

// What a launch can't do without: the message says what was tried.
TEST_F(Faults, AFailedStepIsNamed) {
    const std::pair<int, const char*> rows[] = {
        {SYS_clone3, "create the container"},
        {SYS_pivot_root, "pivot_root"},
        {SYS_move_mount, "root"},
        {SYS_fsopen, "mount proc"},
        {SYS_mknodat, "/dev/"},
        {SYS_sethostname, "hostname"},
        {SYS_setresuid, "become user"},
        {SYS_capset, "capabilities"},
        {SYS_open_tree, "--rootfs"},
        {SYS_signalfd4, "signalfd"},
    };
    for (const auto& [number, part] : rows) {
        const Finished finished = run_without(number, EPERM, seven({}));
        if (finished.code() != kCommandsCode) {  // it may have found another way
            expect_failure(finished, part);
        }
    }
}

// Many containers need threads and the ring before the first of them starts.
TEST_F(Faults, ARunOfManyThatCannotBeginLeavesNothing) {
    for (int number : {SYS_unshare, SYS_eventfd2, SYS_signalfd4})
        expect_failure(run_without(number, EPERM, seven({"--count", "2", "--quiet"})), "");
    expect_failure(
        run_without(SYS_io_uring_setup, ENOMEM, seven({"--count", "2", "--quiet", "--ring=auto"})),
        "io_uring");
}

// Parents of its cgroup that the launch has made go as well.
TEST_F(Faults, ARunWithoutARingLeavesNoParentOfItsCgroup) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    const std::string parent = test_cgroup() + "/made";
    expect_failure(run_without(SYS_io_uring_setup, ENOMEM,
                               seven({"--ring", "auto", "--cgroup-parent", parent + "/deeper"})),
                   "io_uring");
    EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
}

// As under Docker's seccomp profile, with kernel.io_uring_disabled, or in an old kernel.
TEST_F(Faults, WithoutIoUringItRunsOnEpoll) {
    const std::string events = make_directory_outside() + "/events";
    for (int error : {ENOSYS, EPERM, EACCES}) {
        SCOPED_TRACE(strerrorname_np(error));
        auto without = [error](Words options) {
            options.insert(options.end(), {"--ring", "auto"});
            return run_without(SYS_io_uring_setup, error, seven(std::move(options)));
        };
        const Finished one = without({});
        EXPECT_EQ(one.code(), kCommandsCode);
        EXPECT_EQ(one.err, "");
        EXPECT_EQ(without({"--count", "3", "--quiet", "--events", events}).code(), kCommandsCode);
        const EventLog log(events);
        ASSERT_EQ(log.summary("exited"), 3);
        EXPECT_EQ(EventLog::text(log.all().back(), "ring"), "epoll");
    }
}

TEST_F(Faults, ARingThatWasAskedForIsTakenOrTheRunFails) {
    expect_failure(run_without(SYS_io_uring_setup, EPERM, seven({"--ring", "uring"})), "io_uring");
    expect_failure(run_without(SYS_epoll_create1, EPERM, seven({"--ring", "epoll"})), "epoll");
    EXPECT_EQ(run_without(SYS_io_uring_setup, EIO, seven({"--ring", "epoll"})).code(),
              kCommandsCode);
    EXPECT_EQ(run_without(SYS_epoll_create1, EIO, seven({"--ring", "uring"})).code(),
              kCommandsCode);
}

// Writes that may not block need one of these, or make do without.
TEST_F(Faults, OutputFindsItsWayOnEpoll) {
    for (int number : {SYS_pwritev2, SYS_statx})
        for (int error : {ENOSYS, EPERM}) {
            const Finished finished = run_without(
                number, error,
                sigil_run({"--ring", "epoll", "--output", "prefix", "--name", "a"}, {"echo", "x"}));
            EXPECT_TRUE(finished.out == "a | x\n" || finished.code() == 125)
                << testing::PrintToString(finished);
        }
}

TEST_F(Faults, AForbiddenExecveIsTheCommandsFailure) {
    for (const Words& options : {Words{}, Words{"--no-init"}})
        expect_failure(run_without(SYS_execve, EPERM, seven(options)), "/bin/bare", 126);
}

// ---- resources that run out -------------------------------------------------------------------

void limit(__rlimit_resource resource, rlim_t most) {
    const rlimit low = {most, most};
    if (::setrlimit(resource, &low) < 0)
        ::_exit(1);
}

TEST_F(Faults, DescriptorsMayRunOutAnywhere) {
    const std::string directory = make_directory_outside();
    const Words modes[] = {{},
                           {"--no-init"},
                           {"--bind", directory + ":/tmp", "--tmpfs", "/mnt", "--report",
                            directory + "/report", "--timeout", "1h", "--user", "alice"}};
    for (const Words& options : modes)
        for (rlim_t most = 3; most <= 48; ++most) {
            Start start = seven(options);
            start.before_exec = [most] { limit(RLIMIT_NOFILE, most); };
            EXPECT_TRUE(is_honest(run_program(start))) << most << " descriptors";
        }
}

TEST_F(Faults, AFewDozenDescriptorsAreEnough) {
    Start start = seven({});
    start.before_exec = [] { limit(RLIMIT_NOFILE, 40); };
    EXPECT_EQ(run_program(start).code(), kCommandsCode);
}

TEST_F(Faults, FilesMayBeLimitedToAnySize) {
    for (rlim_t most : {0, 1, 100, 512, 1024, 4096, 100'000}) {
        Start start = seven({});
        start.before_exec = [most] { limit(RLIMIT_FSIZE, most); };
        EXPECT_TRUE(is_honest(run_program(start))) << most << " bytes";
    }
}

TEST_F(Faults, QueuedSignalsMayRunOut) {
    Start start = sigil_run({}, {"/bin/probe", "signals", "USR2"});
    start.before_exec = [] { limit(static_cast<__rlimit_resource>(RLIMIT_SIGPENDING), 0); };
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    running.send(SIGUSR1);
    EXPECT_EQ(running.next_line(), "signal 10 sent 0");
    running.send(SIGUSR2);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Faults, ASmallStackIsEnough) {
    Start start = seven({});
    start.before_exec = [] { limit(RLIMIT_STACK, 128 * 1024); };
    EXPECT_EQ(run_program(start).code(), kCommandsCode);
}

TEST_F(Faults, AFullDiskInTheRootIsAnErrorThatNamesTheMount) {
    const std::string given = make_directory_outside();
    const std::string full = make_directory_outside();
    ASSERT_EQ(::mount("tmpfs", full.c_str(), "tmpfs", 0, "nr_inodes=8"), 0);
    for (const char* name : {"/dev", "/proc", "/sys"})
        make_directory(full + name);
    for (int index = 0; ::mkdir((full + "/" + std::to_string(index)).c_str(), 0755) == 0; ++index) {
    }
    expect_failure(run({"--rootfs", full, "--bind", given + ":/new"}, {"/bin/x"}), "--bind");
    ASSERT_EQ(::umount(full.c_str()), 0);
}

}  // namespace
}  // namespace sigil::e2e
