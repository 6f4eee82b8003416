#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

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
        traced_.insert(main_);
        ::kill(main_, SIGCONT);
    }

    bool is_under_way() const { return !traced_.empty(); }

    void next_stop() {
        int word = 0;
        pid_t pid = -1;
        ::alarm(static_cast<unsigned>(patience().count()));  // interrupts the wait
        pid = ::waitpid(-1, &word, __WALL);
        ::alarm(0);
        ASSERT_GT(pid, 0) << "a traced process neither stops nor ends: " << strerror(errno);
        if (!WIFSTOPPED(word)) {
            traced_.erase(pid);
            if (pid == main_)
                run_.word = word;
            return;
        }
        on_stop(pid, word);
    }

    void on_stop(pid_t pid, int word) {
        const int event = word >> 16;
        int signal = 0;
        if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
            event == PTRACE_EVENT_VFORK) {
            unsigned long child = 0;
            if (::ptrace(PTRACE_GETEVENTMSG, pid, 0, &child) == 0)
                traced_.insert(static_cast<pid_t>(child));
        } else if (event == PTRACE_EVENT_EXEC) {
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
    std::set<pid_t> traced_;
    KilledRun run_;
};

}  // namespace

KilledRun kill_at_call(const std::vector<std::string>& command, Counted counted, int count) {
    Tracer tracer(counted, count);
    return tracer.run(command);
}

}  // namespace sigil::e2e
