#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "files.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using Clock = std::chrono::steady_clock;

class Tracer {
  public:
    explicit Tracer(const Trace& trace) : trace_(trace) {}

    Finished run(const Start& start) {
        begin(start);
        while (main_ > 0 && !tracees_.empty() && !finished_.hung)
            next_stop();
        finished_.out = text_of(out_);
        finished_.err = text_of(err_);
        ::close(out_);
        ::close(err_);
        return finished_;
    }

  private:
    struct Tracee {
        std::string name;  // empty: its parent has not told of it yet, and it waits for that
        std::string program;
        int children = 0;
        int error = 0;  // of the call that it is in
        bool is_stopped = false;
    };

    void begin(const Start& start) {
        struct sigaction wake = {};
        wake.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &wake, nullptr);  // without SA_RESTART
        out_ = ::memfd_create("out", MFD_CLOEXEC);
        err_ = ::memfd_create("err", MFD_CLOEXEC);
        const pid_t pid = ::fork();
        if (pid == 0)
            become(start);
        ASSERT_GT(pid, 0);
        int word = 0;
        ASSERT_EQ(::waitpid(pid, &word, WUNTRACED), pid);
        long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
        if (trace_.follows)
            options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
        ASSERT_EQ(::ptrace(PTRACE_SEIZE, pid, 0, options), 0) << strerror(errno);
        main_ = pid;
        tracees_[pid].name = "0";
        ::kill(pid, SIGCONT);
        until_ = Clock::now() + trace_.patience;
    }

    [[noreturn]] void become(const Start& start) const {
        std::vector<char*> words;
        for (const std::string& word : start.command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        const int streams[] = {null, out_, err_};
        for (int fd : {0, 1, 2})
            ::dup2(streams[fd], fd);
        ::signal(SIGPIPE, SIG_DFL);
        ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // which would trace it itself
        if (start.before_exec)
            start.before_exec();
        ::raise(SIGSTOP);
        ::execv(words[0], words.data());
        ::_exit(1);
    }

    void next_stop() {
        const auto left = std::chrono::duration_cast<std::chrono::seconds>(until_ - Clock::now());
        int word = 0;
        ::alarm(static_cast<unsigned>(std::max<long>(left.count(), 1)));  // interrupts the wait
        const pid_t pid = ::waitpid(-1, &word, __WALL);
        const int error = errno;
        ::alarm(0);
        if (pid > 0 && WIFSTOPPED(word)) {
            on_stop(pid, word);
        } else if (pid > 0) {
            on_end(pid, word);
        } else if (error == ECHILD) {
            // A parent may tell of a child whose end we have been told already.
            tracees_.clear();
        }
        if (Clock::now() > until_)
            give_up();
    }

    void give_up() {
        finished_.hung = true;
        for (const auto& [pid, tracee] : tracees_)
            ::kill(pid, SIGKILL);
        while (!tracees_.empty()) {
            int word = 0;
            const pid_t pid = ::waitpid(-1, &word, __WALL);
            if (pid < 0 && errno == ECHILD)
                return;
            if (pid > 0 && !WIFSTOPPED(word))
                tracees_.erase(pid);
        }
    }

    void on_end(pid_t pid, int word) {
        tracees_.erase(pid);
        if (pid == main_) {
            finished_.word = word;
            has_ended_ = true;
            if (trace_.leaves_survivors)
                for (const auto& [other, tracee] : tracees_)
                    ::ptrace(PTRACE_INTERRUPT, other, 0, 0);
        }
        // Whoever was to tell of them may be gone.
        for (auto& [other, tracee] : tracees_)
            if (tracee.name.empty())
                adopt(other, "?");
    }

    void adopt(pid_t pid, std::string name) {
        Tracee& tracee = tracees_[pid];
        tracee.name = std::move(name);
        if (std::exchange(tracee.is_stopped, false))
            resume(pid, tracee, 0);
    }

    void on_stop(pid_t pid, int word) {
        Tracee& tracee = tracees_[pid];
        if (tracee.name.empty()) {
            tracee.is_stopped = true;
            return;
        }
        if (has_ended_ && trace_.leaves_survivors) {
            ::ptrace(PTRACE_DETACH, pid, 0, 0);
            tracees_.erase(pid);
            return;
        }
        const int event = word >> 16;
        int signal = 0;
        if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
            event == PTRACE_EVENT_VFORK) {
            unsigned long child = 0;
            if (::ptrace(PTRACE_GETEVENTMSG, pid, 0, &child) == 0) {
                tracees_[static_cast<pid_t>(child)].program = tracee.program;
                adopt(static_cast<pid_t>(child),
                      tracee.name + "." + std::to_string(++tracee.children));
            }
        } else if (event == PTRACE_EVENT_EXEC) {
            on_execution(pid, tracee);
        } else if (WSTOPSIG(word) == (SIGTRAP | 0x80)) {
            on_call(pid, tracee);
        } else if (event == 0) {
            signal = WSTOPSIG(word);
        }
        resume(pid, tracee, signal);
    }

    // Up to its next call only where that is of interest: a stop costs more than most calls.
    void resume(pid_t pid, const Tracee& tracee, int signal) const {
        const bool is_watched = trace_.on_call && !is_done_ &&
                                (trace_.process.empty() || trace_.process == tracee.name);
        ::ptrace(is_watched || tracee.error != 0 ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal);
    }

    void on_execution(pid_t pid, Tracee& tracee) const {
        tracee.program = read_file("/proc/" + std::to_string(pid) + "/comm");
        if (tracee.program.ends_with('\n'))
            tracee.program.pop_back();
        if (trace_.on_execution)
            trace_.on_execution(main_, tracee.program);
    }

    void on_call(pid_t pid, Tracee& tracee) {
        __ptrace_syscall_info info = {};
        if (tracee.program.empty() ||
            ::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
            return;
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            if (const int error = std::exchange(tracee.error, 0))
                change(pid, [error](user_regs_struct& registers) {
                    registers.rax = static_cast<unsigned long long>(-error);
                });
            return;
        }
        if (info.op != PTRACE_SYSCALL_INFO_ENTRY || is_done_)
            return;
        const Verdict verdict =
            trace_.on_call({tracee.name, tracee.program, static_cast<int>(info.entry.nr), pid,
                            info.entry.args[0]});
        tracee.error = verdict.error;
        is_done_ = verdict.kills || verdict.error != 0;
        if (verdict.kills)
            ::kill(main_, SIGKILL);
        else if (verdict.error != 0 && !verdict.is_made)
            change(pid, [](user_regs_struct& registers) { registers.orig_rax = ~0ULL; });
    }

    static void change(pid_t pid, const std::function<void(user_regs_struct&)>& edit) {
        user_regs_struct registers = {};
        if (::ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0)
            return;
        edit(registers);
        ::ptrace(PTRACE_SETREGS, pid, 0, &registers);
    }

    static std::string text_of(int fd) {
        std::string text(static_cast<size_t>(std::max<off_t>(::lseek(fd, 0, SEEK_END), 0)), '\0');
        if (::pread(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
            ADD_FAILURE() << "the program's output cannot be read";
        return text;
    }

    const Trace& trace_;
    pid_t main_ = -1;
    bool has_ended_ = false;
    bool is_done_ = false;  // with the calls
    int out_ = -1;
    int err_ = -1;
    Clock::time_point until_;
    std::map<pid_t, Tracee> tracees_;
    Finished finished_;
};

}  // namespace

Finished run_traced(const Start& start, const Trace& trace) {
    return Tracer(trace).run(start);
}

int kill_stride() {
    return is_sanitized() ? 67 : in_virtual_machine() ? 17 : 1;
}

KilledRun kill_at_call(const std::vector<std::string>& command, Counted counted, int count) {
    KilledRun run;
    auto on_call = [&](const TracedCall& call) -> Verdict {
        if (run.was_killed || (call.process == "0") != (counted == Counted::its_own) || --count > 0)
            return {};
        run.was_killed = true;
        run.call = std::to_string(call.number);
        return {.kills = true};
    };
    const Finished finished = run_traced(
        {.command = command},
        {.follows = counted == Counted::its_descendants, .on_call = on_call, .on_execution = {}});
    EXPECT_FALSE(finished.hung) << "a traced process neither stops nor ends";
    run.word = finished.word;
    return run;
}

}  // namespace sigil::e2e
