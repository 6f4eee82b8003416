// Runs a program under ptrace(2), and kills it, or lets a system call fail, at a call of our
// choice.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "sigil_runner.h"

namespace sigil::e2e {

// A system call that is about to be made.
struct TracedCall {
    std::string process;  // "0" is the program, "0.2" the second process or thread that it started
    std::string program;  // what the process has executed, as /proc/PID/comm says
    int number = 0;
    pid_t pid = -1;
    unsigned long argument = 0;  // the first
};

// What is to become of it.
struct Verdict {
    bool kills = false;    // SIGKILL to the program, before the call
    int error = 0;         // it fails with this, and has done nothing
    bool is_made = false;  // it fails so after it was made, as close(2) may
};

struct Trace {
    bool follows = true;  // processes and threads that come from it too, until they end as well
    // Told of each call until one is killed or fails; of one process's alone, if that is named.
    std::function<Verdict(const TracedCall&)> on_call;
    std::string process;
    // A process, which the program came to be or to start, has executed a program of that name.
    std::function<void(pid_t program, const std::string& name)> on_execution;
    // Processes that outlive the program are let go instead of waited for.
    bool leaves_survivors = false;
    std::chrono::seconds patience = e2e::patience();
};

// Runs a program. Returns when it and what is followed have ended, or, with Finished::hung set,
// have been killed because they did not within the patience. The caller has no other child
// meanwhile.
Finished run_traced(const Start& start, const Trace& trace);

// Whose system calls are counted.
enum class Counted : bool { its_own, its_descendants };

struct KilledRun {
    bool was_killed = false;  // false: it ended before that many system calls
    int word = 0;             // of waitpid(2)
    std::string call;         // its number, for messages
};

// Sends SIGKILL to `command` when the `count`th system call is about to be made, by it or by a
// process that comes from it. Returns when it has ended, and, where those are counted, every
// process that came from it.
KilledRun kill_at_call(const std::vector<std::string>& command, Counted counted, int count);
// How far apart the counts of a test are that goes through all calls: each is a whole run, and a
// sanitizer makes thousands of them.
int kill_stride();

}  // namespace sigil::e2e
