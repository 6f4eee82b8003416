// A process held by a pidfd: it can be signalled and waited for without fear that its pid was given
// to another (pidfd_open(2)).
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "core/fd.h"

namespace sigil {

struct Process {
    pid_t pid = -1;  // for messages and reports; never for kill(2)
    Fd pidfd;
};

// How a process ended: an exit code, or the signal that killed it.
class ExitStatus {
  public:
    ExitStatus() = default;
    static ExitStatus exited(int code) { return {code, false}; }
    static ExitStatus signaled(int signal) { return {signal, true}; }
    // From the status word of wait(2).
    static ExitStatus from_wait_word(int word);

    [[nodiscard]] bool is_signal() const { return is_signal_; }
    [[nodiscard]] int signal() const { return is_signal_ ? value_ : 0; }
    // The code as a shell gives it: 128+n for a signal.
    [[nodiscard]] int exit_code() const { return is_signal_ ? 128 + value_ : value_; }

  private:
    ExitStatus(int value, bool is_signal) : value_(value), is_signal_(is_signal) {}
    int value_ = 0;
    bool is_signal_ = false;
};

struct Exit {
    ExitStatus status;
    rusage usage = {};  // of the process and every descendant it waited for
};

// As execve(2) and posix_spawn(3) take them: they end with a null, and the words outlive them.
std::vector<char*> pointers_to(const std::vector<std::string>& words);

// "SIGTERM", "SIGRTMIN+3"; "signal 77" for what no kernel sends.
std::string signal_name(int signal);

}  // namespace sigil
