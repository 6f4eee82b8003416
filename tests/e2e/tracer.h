// Runs a program under ptrace(2), and kills it at a system call of our choice.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace sigil::e2e {

// Whose system calls are counted.
enum class Counted : bool { its_own, its_descendants };

struct KilledRun {
    bool was_killed = false;  // false: it ended before that many system calls
    int word = 0;             // of waitpid(2)
    std::string call;         // its number, for messages
};

// Runs `command`, its output thrown away, and sends SIGKILL to it when the `count`th system call is
// about to be made, by it or by a process that comes from it. Returns when it has ended, and, where
// those are counted, every process that came from it: the caller has no other child meanwhile.
KilledRun kill_at_call(const std::vector<std::string>& command, Counted counted, int count);

}  // namespace sigil::e2e
