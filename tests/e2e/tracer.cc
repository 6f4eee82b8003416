#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "sigil_runner.h"

namespace sigil::e2e {
namespace {

class Tracer {
  public:
    Tracer(Counted counted, int count) : counted_(counted), left_(count) {}

    KilledRun run(const std::vector<std::string>& command) {
        start(command);
        while (is_under_way() && !testing::Test::HasFatalFailure())
            next_stop();
        return run_;
    }

  private:
    void start(const std::vector<std::string>& command) {
        struct sigaction wake = {};
        wake.sa_handler = [](int) {};
        ::sigaction(SIGALRM, &wake, nullptr);  // without SA_RESTART
        std::vector<char*> words;
        for (const std::string& word : command)
            words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        main_ = ::fork();
        if (main_ == 0) {
            const int null = ::open("/dev/null", O_RDWR);
            for (int fd : {0, 1, 2})
                ::dup2(null, fd);
            ::raise(SIGSTOP);
            ::execv(words[0], words.data());
            ::_exit(1);
        }
        ASSERT_GT(main_, 0);
        int word = 0;
        ASSERT_EQ(::waitpid(main_, &word, WUNTRACED), main_);
        long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
        if (counted_ == Counted::its_descendants)
            options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
        ASSERT_EQ(::ptrace(PTRACE_SEIZE, main_, 0, options), 0) << strerror(errno);
        ::kill(main_, SIGCONT);
    }

    // Of its own calls, those of nobody else matter. Else the kernel is asked who is left: a
    // child's end may be told before the birth that its parent reports, and of a parent that is
    // killed the birth is never told.
    [[nodiscard]] bool is_under_way() const {
        return counted_ == Counted::its_own ? !has_ended_ : !is_alone_;
    }

    void next_stop() {
        int word = 0;
        ::alarm(static_cast<unsigned>(patience().count()));  // interrupts the wait
        const pid_t pid = ::waitpid(-1, &word, __WALL);
        const int error = errno;
        ::alarm(0);
        if (pid < 0 && error == ECHILD) {
            is_alone_ = true;
            return;
        }
        ASSERT_GT(pid, 0) << "a traced process neither stops nor ends: " << strerror(error);
        if (!WIFSTOPPED(word)) {
            if (pid == main_) {
                has_ended_ = true;
                run_.word = word;
            }
            return;
        }
        on_stop(pid, word);
    }

    void on_stop(pid_t pid, int word) {
        const int event = word >> 16;
        int signal = 0;
        if (event == PTRACE_EVENT_EXEC) {
            has_executed_ = true;
        } else if (WSTOPSIG(word) == (SIGTRAP | 0x80)) {
            on_call(pid);
        } else if (event == 0) {
            signal = WSTOPSIG(word);
        }
        ::ptrace(PTRACE_SYSCALL, pid, 0, signal);
    }

    void on_call(pid_t pid) {
        __ptrace_syscall_info info = {};
        if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY || run_.was_killed || !has_executed_)
            return;
        if ((pid == main_) != (counted_ == Counted::its_own) || --left_ > 0)
            return;
        run_.was_killed = true;
        run_.call = std::to_string(info.entry.nr);
        ::kill(main_, SIGKILL);
    }

    const Counted counted_;
    int left_;
    pid_t main_ = -1;
    bool has_executed_ = false;
    bool has_ended_ = false;  // the program itself
    bool is_alone_ = false;   // no child is left
    KilledRun run_;
};

}  // namespace

KilledRun kill_at_call(const std::vector<std::string>& command, Counted counted, int count) {
    Tracer tracer(counted, count);
    return tracer.run(command);
}

}  // namespace sigil::e2e
