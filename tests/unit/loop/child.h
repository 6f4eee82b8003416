// Real children for tests: killed and reaped with the test, whatever it did to them.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/process.h"
#include "core/sys.h"

namespace sigil::loop {

class Child {
  public:
    // Runs `body` in a child, which exits with what it returns.
    template <typename Body>
    static Child run(Body body) {
        const pid_t pid = ::fork();
        if (pid == 0)
            ::_exit(body());
        return Child(pid);
    }
    static Child exiting(int code) {
        return run([code] { return code; });
    }
    // Under that name (prctl(2), PR_SET_NAME).
    static Child exiting(int code, const char* name) {
        return run([code, name] {
            ::prctl(PR_SET_NAME, name);
            return code;
        });
    }
    // Lives until a signal kills it.
    static Child pausing() { return run(pause_for_ever); }
    // Lives until SIGKILL. Ignoring is inherited: there is no moment at which SIGTERM would kill
    // it.
    static Child ignoring_sigterm() {
        ::signal(SIGTERM, SIG_IGN);
        Child child = pausing();
        ::signal(SIGTERM, SIG_DFL);
        return child;
    }
    // Runs `body` with every signal blocked: the mask is inherited as well.
    template <typename Body>
    static Child run_blocked(Body body) {
        sigset_t every;
        sigset_t before;
        ::sigfillset(&every);
        ::sigprocmask(SIG_BLOCK, &every, &before);
        Child child = run([&] { return body(every); });
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        return child;
    }
    // Exits with the number of the first signal it gets, or with the value sent along with it.
    static Child telling_its_signal() {
        return run_blocked([](const sigset_t& every) {
            siginfo_t info;
            const int number = ::sigwaitinfo(&every, &info);
            return info.si_code == SI_QUEUE ? info.si_value.sival_int : number;
        });
    }

    Child(Child&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (pid_ < 0)
            return;
        (void)sys::pidfd_send_signal(pidfd_.get(), SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);  // ECHILD where it was reaped already
    }

    [[nodiscard]] pid_t pid() const { return pid_; }
    // Another descriptor of the process, for who is to own it.
    [[nodiscard]] Process process() const {
        auto pidfd = sys::pidfd_open(pid_);
        EXPECT_TRUE(pidfd);
        return {pid_, std::move(*pidfd)};
    }
    void kill(int signal) const { EXPECT_TRUE(sys::pidfd_send_signal(pidfd_.get(), signal)); }
    // Waits until it has ended, and leaves it to be reaped.
    void await_end() const { EXPECT_TRUE(ends_within(10'000)) << "the child lives on"; }
    [[nodiscard]] bool has_ended() const { return ends_within(0); }
    // ESRCH comes only once the process is reaped; a zombie takes signals.
    [[nodiscard]] bool was_reaped() const { return !sys::pidfd_send_signal(pidfd_.get(), 0); }
    // For a signal that should not end it: long enough for one that does.
    [[nodiscard]] bool survives() const { return !ends_within(100); }

  private:
    explicit Child(pid_t pid) : pid_(pid) {
        auto pidfd = sys::pidfd_open(pid);
        EXPECT_TRUE(pidfd);
        pidfd_ = std::move(*pidfd);
    }
    static int pause_for_ever() {
        for (;;)
            ::pause();
    }
    [[nodiscard]] bool ends_within(int milliseconds) const {
        pollfd ended = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
        return ::poll(&ended, 1, milliseconds) == 1;
    }

    pid_t pid_;
    Fd pidfd_;
};

}  // namespace sigil::loop
