// Every system call of a run fails once, one after the other: whatever fails, sigil ends, says so
// or works all the same, and nothing is left.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "bundle.h"
#include "cgroups.h"
#include "events.h"
#include "fixture.h"
#include "isolation/syscall_table.h"
#include "machine.h"
#include "tracer.h"

namespace sigil::e2e {
namespace {

constexpr int kCommandsCode = 7;

// What a call fails with, as its manual page has it, where it is worth trying. Empty: it can't
// fail, or not in a way that a program could notice (waking a futex), or libc ends the program for
// it before its main().
std::vector<int> errors_of(int number) {
    static const std::map<int, std::vector<int>> kErrors = {
        {SYS_arch_prctl, {}},
        {SYS_brk, {}},
        {SYS_clock_gettime, {}},
        {SYS_clone3, {EAGAIN, ENOMEM}},
        {SYS_close, {EINTR, EIO}},
        {SYS_dup2, {EINTR, EMFILE}},
        {SYS_dup3, {EINTR, EMFILE}},
        {SYS_epoll_ctl, {ENOMEM, ENOSPC}},
        {SYS_epoll_pwait2, {EINTR}},
        {SYS_eventfd2, {EMFILE, ENOMEM}},
        {SYS_execve, {EACCES, ENOMEM}},
        {SYS_execveat, {EACCES, ENOMEM}},
        {SYS_exit, {}},
        {SYS_exit_group, {}},
        {SYS_flock, {EINTR, ENOLCK}},
        {SYS_fsconfig, {ENOMEM, EINVAL}},
        {SYS_fsmount, {EMFILE, EPERM}},
        {SYS_fsopen, {EMFILE, EPERM}},
        {SYS_futex, {}},
        {SYS_getdents64, {ENOMEM, EIO}},
        {SYS_getegid, {}},
        {SYS_geteuid, {}},
        {SYS_getgid, {}},
        {SYS_getpid, {}},
        {SYS_getppid, {}},
        {SYS_gettid, {}},
        {SYS_getuid, {}},
        {SYS_io_uring_enter, {EINTR, EAGAIN, EBUSY}},
        {SYS_io_uring_register, {ENOMEM, EPERM}},
        {SYS_io_uring_setup, {ENOMEM, EPERM}},
        {SYS_memfd_create, {EMFILE, ENOMEM}},
        {SYS_mkdirat, {ENOSPC, EACCES}},
        {SYS_mmap, {ENOMEM}},
        {SYS_mprotect, {}},
        {SYS_munmap, {ENOMEM}},
        {SYS_openat, {EMFILE, EACCES}},
        {SYS_openat2, {EMFILE, EAGAIN}},
        {SYS_open_tree, {EMFILE, EPERM}},
        {SYS_pidfd_getfd, {EMFILE, EPERM}},
        {SYS_pidfd_open, {EMFILE, ENOMEM}},
        {SYS_pipe2, {EMFILE, ENFILE}},
        {SYS_prlimit64, {EPERM}},
        {SYS_pread64, {EINTR, EIO}},
        {SYS_read, {EINTR, EIO}},
        {SYS_restart_syscall, {}},
        {SYS_rseq, {}},
        {SYS_rt_sigprocmask, {}},
        {SYS_rt_sigreturn, {}},
        {SYS_rt_sigtimedwait, {EINTR, EAGAIN}},
        {SYS_sched_getaffinity, {EPERM}},
        {SYS_sendmsg, {EINTR, ENOBUFS}},
        {SYS_set_robust_list, {}},
        {SYS_set_tid_address, {}},
        {SYS_signalfd4, {EMFILE, ENOMEM}},
        {SYS_socket, {EMFILE, ENOBUFS}},
        {SYS_socketpair, {EMFILE, ENOBUFS}},
        {SYS_statx, {EACCES, ENOMEM}},
        {SYS_umask, {}},
        {SYS_unlinkat, {EBUSY, EROFS}},
        {SYS_unshare, {ENOMEM, ENOSPC}},
        {SYS_wait4, {}},  // always WNOHANG
        {SYS_waitid, {EINTR, ECHILD}},
        {SYS_write, {EINTR, ENOSPC}},
    };
    const auto found = kErrors.find(number);
    return found == kErrors.end() ? std::vector<int>{EPERM, ENOMEM} : found->second;
}

std::string name_of(int number) {
    for (const isolation::SyscallNumbers& row : isolation::all_syscalls())
        if (row.x86_64 == number)
            return std::string(row.name);
    return "system call " + std::to_string(number);
}

// Their counter is far from its end, and then nothing else can fail.
bool is_of_eventfd(const TracedCall& call) {
    if (call.number != SYS_write && call.number != SYS_read)
        return false;
    std::error_code none;
    const std::string link =
        "/proc/" + std::to_string(call.pid) + "/fd/" + std::to_string(call.argument);
    return std::filesystem::read_symlink(link, none) == "anon_inode:[eventfd]";
}

// What the commands of these tests do themselves is not sigil's.
bool is_of_sigil(const TracedCall& call) {
    constexpr std::array kCommands = {"bare", "probe", "busybox", "sleep", "sh", "true"};
    return std::ranges::find(kCommands, call.program) == kCommands.end();
}

struct Scenario {
    std::function<Start()> start;
    std::vector<int> codes = {kCommandsCode};  // of a run that works all the same
    size_t most_missed = 1;                    // calls that are not made again, in quarters
    std::function<void(pid_t program, const std::string& name)> on_execution = {};
    bool leaves_survivors = false;
    std::function<void()> prepare = [] {};  // before each
    // After each, with the number of the call that has failed, or -1.
    std::function<void(const Finished&, int failed)> check = {};
};

// The calls of a scenario are shared out to tests, so that each is short.
class Injection : public CgroupE2e, public testing::WithParamInterface<size_t> {
  public:
    static constexpr size_t kParts = 4;

  protected:
    void SetUp() override {
        CgroupE2e::SetUp();
        if (is_sanitized())
            GTEST_SKIP() << "the sanitizer fails before sigil does";
    }

    // On a busy machine the run that is listened to may be unlike those after it.
    static void fail_each(const Scenario& scenario) {
        constexpr int kMostLists = 3;
        for (int list = 0; list < kMostLists; ++list)
            if (fail_each_of(scenario, calls_of(scenario)))
                return;
        ADD_FAILURE() << "too many of the calls are not made again";
    }

  private:
    // The nth of a process's calls of this number: another run makes it too, in whatever order its
    // loop is told of things.
    struct Aim {
        std::string process;
        std::string program;
        int number = 0;
        int nth = 0;
    };

    // False: too few of them were made again.
    static bool fail_each_of(const Scenario& scenario, const std::vector<Aim>& calls) {
        EXPECT_GT(calls.size(), 20U);
        size_t tried = 0;
        size_t missed = 0;
        const size_t stride = kParts * (is_slow() ? 23 : 1);
        for (size_t index = GetParam(); index < calls.size(); index += stride)
            for (size_t way = 0; way < errors_of(calls[index].number).size(); ++way) {
                ++tried;
                missed += !fail_one(scenario, calls[index], way);
            }
        RecordProperty("tried", std::to_string(tried));
        return missed * 4 <= tried * scenario.most_missed;
    }

    static std::vector<Aim> calls_of(const Scenario& scenario) {
        std::vector<Aim> calls;
        std::map<std::pair<std::string, int>, int> counts;
        scenario.prepare();
        auto on_call = [&](const TracedCall& call) -> Verdict {
            const int nth = ++counts[{call.process, call.number}];
            if (is_of_sigil(call) && !is_of_eventfd(call))
                calls.push_back({call.process, call.program, call.number, nth});
            return {};
        };
        const Finished finished = run_traced(scenario.start(), trace_of(scenario, on_call));
        EXPECT_NE(std::ranges::find(scenario.codes, finished.code()), scenario.codes.end())
            << testing::PrintToString(finished);
        if (scenario.check)
            scenario.check(finished, -1);
        return calls;
    }

    static Trace trace_of(const Scenario& scenario,
                          std::function<Verdict(const TracedCall&)> on_call) {
        Trace trace;
        trace.on_call = std::move(on_call);
        trace.on_execution = scenario.on_execution;
        trace.leaves_survivors = scenario.leaves_survivors;
        trace.patience = patience() / 2;
        return trace;
    }

    // False: the call was not made.
    static bool fail_one(const Scenario& scenario, const Aim& aim, size_t way) {
        scenario.prepare();
        const Traces before = Traces::now();
        const int error = errors_of(aim.number)[way];
        int count = 0;
        bool was_made = false;
        auto on_call = [&](const TracedCall& call) -> Verdict {
            if (call.number != aim.number || ++count != aim.nth || !is_of_sigil(call) ||
                is_of_eventfd(call))
                return {};
            was_made = true;
            return {.error = error, .is_made = aim.number == SYS_close};
        };
        Trace trace = trace_of(scenario, on_call);
        trace.process = aim.process;
        const Finished finished = run_traced(scenario.start(), trace);
        SCOPED_TRACE(name_of(aim.number) + " " + std::to_string(aim.nth) + " of " + aim.process +
                     " (" + aim.program + ") " + (was_made ? "failing with " : "not ") +
                     strerrorname_np(error));
        expect_honest(finished, scenario.codes);
        const int failed = was_made ? aim.number : -1;
        if (scenario.check)
            scenario.check(finished, failed);
        expect_nothing_left(before,
                            failed == SYS_unlinkat || finished.err == "sigil: out of memory\n");
        return was_made;
    }

    static void expect_honest(const Finished& finished, const std::vector<int>& codes) {
        const int code = finished.code();
        const bool is_told = code >= 125 && code <= 127 && finished.err.starts_with("sigil: ");
        EXPECT_TRUE(is_told || std::ranges::find(codes, code) != codes.end())
            << testing::PrintToString(finished);
    }

    // Where the removal itself has failed, or there was no memory to do it, the sweep does it.
    static void expect_nothing_left(const Traces& before, bool is_swept) {
        if (is_swept) {
            EXPECT_TRUE(await_no_processes());
            EXPECT_EQ(run_program(sigil({"sweep"})).code(), 0);
        }
        EXPECT_TRUE(await_no_processes());
        const Words left = Traces::now().beyond(before);
        EXPECT_EQ(left, Words{}) << "was left";
        if (!left.empty())
            remove_abandoned_cgroups();
        const Words cgroups = cgroups_below(test_cgroup());
        EXPECT_EQ(cgroups, Words{});
        for (const std::string& cgroup : cgroups)
            remove_cgroup(cgroup);
    }
};

Start seven(Words options) {
    return sigil_run(std::move(options), {"/bin/bare", std::to_string(kCommandsCode)});
}

TEST_P(Injection, OfARun) {
    fail_each({.start = [] { return seven({}); }});
}

TEST_P(Injection, OfARunOnEpoll) {
    fail_each({.start = [] { return seven({"--ring", "epoll"}); }});
}

TEST_P(Injection, OfARunThatMakesParents) {
    fail_each({.start = [] {
        return seven({"--no-init", "--network", "host", "--cgroup-parent", "new/deep"});
    }});
}

TEST_P(Injection, OfALongLaunch) {
    const std::string directory = make_directory_outside();
    fail_each({.start = [directory] {
        return seven({"--bind", directory + ":/tmp:ro", "--tmpfs", "/mnt/new", "--user", "alice",
                      "--read-only", "--timeout", "1h", "--report", directory + "/report",
                      "--events", directory + "/events", "--ulimit", "nofile=100", "--cgroup-set",
                      "cgroup.max.depth=1", "--signal-group"});
    }});
}

TEST_P(Injection, OfALaunchThatFails) {
    fail_each({.start = [] { return sigil_run({}, {"/bin/nope"}); }, .codes = {127}});
}

// SIGTERM as soon as the command runs.
void stop_sleeper(pid_t program, const std::string& name) {
    if (name == "sleep")
        ::kill(program, SIGTERM);
}

TEST_P(Injection, OfAStop) {
    fail_each({.start =
                   [] {
                       return sigil_run({"--stop-timeout", "500ms"}, {"/bin/sleep", "1h"});
                   },
               .codes = {128 + SIGTERM, 128 + SIGKILL},
               .on_execution = stop_sleeper});
}

// PID 1 has no handler for it: the grace period ends in a kill.
TEST_P(Injection, OfAStopThatKills) {
    fail_each(
        {.start =
             [] {
                 return sigil_run({"--no-init", "--stop-timeout", "20ms"}, {"/bin/sleep", "1h"});
             },
         .codes = {128 + SIGKILL},
         .on_execution = stop_sleeper});
}

// What fails for one container, another does not notice.
TEST_P(Injection, OfARunOfThree) {
    const std::string events = make_directory_outside() + "/events";
    fail_each({.start =
                   [events] {
                       return seven({"--count", "3", "--quiet", "--launchers", "1", "--warm", "0",
                                     "--events", events});
                   },
               .prepare = [events] { write_file(events, ""); },
               .check =
                   [events](const Finished& finished, int failed) {
                       const EventLog log(events);
                       if (log.summary("exited") < 0)  // the run itself could not go on
                           return;
                       EXPECT_EQ(log.summary("exited") + log.summary("failed"), 3)
                           << testing::PrintToString(finished);
                       EXPECT_LE(log.summary("failed"), failed < 0 ? 0 : 1)
                           << testing::PrintToString(finished);
                   }});
}

// The second takes one that was made ahead, or not, as something failed.
TEST_P(Injection, OfARunWithContainersMadeAhead) {
    // When they are made depends on how long the first takes.
    fail_each({.start =
                   [] {
                       return sigil_run({"--count", "2", "--jobs", "1", "--quiet", "--launchers",
                                         "1", "--warm", "1"},
                                        {"/bin/sh", "-c", "sleep 0.02; exit 7"});
                   },
               .most_missed = 3});
}

// ---- OCI --------------------------------------------------------------------------------------

class OciInjection : public Injection {
  protected:
    void SetUp() override {
        Injection::SetUp();
        bundle_.set("/linux/cgroupsPath", "\"" + test_cgroup() + "/oci\"");
    }
    [[nodiscard]] Start verb(Words words) const {
        words.push_back(id_);
        return sigil(std::move(words));
    }
    [[nodiscard]] Start create() { return verb({"create", "--bundle", bundle_.path()}); }
    void make() {
        const Finished created = run_traced(create(), {.follows = false, .on_call = {}});
        ASSERT_EQ(created.code(), 0) << testing::PrintToString(created);
    }
    // Whatever has failed before: it can be deleted, and then nothing is left.
    void remove() const {
        const Finished removed = run_program(verb({"delete", "--force"}));
        EXPECT_EQ(removed.code(), 0) << testing::PrintToString(removed);
        EXPECT_EQ(names_in(containers_), Words{});
    }

    Bundle bundle_{{"/bin/bare", "7"}};
    const std::string id_ = "fault-" + std::to_string(::getpid());
    const std::string containers_ = std::string(records_root()) + "/containers";
};

TEST_P(OciInjection, OfACreate) {
    fail_each({.start = [this] { return create(); },
               .codes = {0},
               .leaves_survivors = true,
               .check =
                   [this](const Finished& finished, int failed) {
                       if (finished.code() != 0 && failed != SYS_unlinkat && failed != SYS_mmap) {
                           EXPECT_EQ(names_in(containers_), Words{});
                           EXPECT_EQ(cgroups_below(test_cgroup()), Words{});
                       }
                       remove();
                   }});
}

TEST_P(OciInjection, OfAStart) {
    fail_each({.start = [this] { return verb({"start"}); },
               .codes = {0},
               .leaves_survivors = true,
               .prepare = [this] { make(); },
               .check = [this](const Finished&, int) { remove(); }});
}

TEST_P(OciInjection, OfADelete) {
    fail_each({.start =
                   [this] {
                       return verb({"delete", "--force"});
                   },
               .codes = {0},
               .leaves_survivors = true,
               .prepare = [this] { make(); },
               .check = [this](const Finished&, int) { remove(); }});
}

INSTANTIATE_TEST_SUITE_P(Part, OciInjection, testing::Range(size_t{0}, Injection::kParts));
INSTANTIATE_TEST_SUITE_P(Part, Injection, testing::Range(size_t{0}, Injection::kParts));

}  // namespace
}  // namespace sigil::e2e
