// Starts programs, times them from spawn to exit, and looks at the processes below this one.

#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace sigil::bench {

using Command = std::vector<std::string>;

// How a process ended: its exit code, or 128+n for a signal, as a shell would say it.
struct Finished {
    double milliseconds = 0;
    int code = 0;
};

// Owns the descriptors that every program gets: /dev/null as input and output, and a file in
// memory as standard error, kept so that a failure can be shown.
class Runner {
  public:
    Runner();
    ~Runner();
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    // From just before posix_spawn until waitid has returned.
    Finished run(const Command& command) const;

    // The same, for what has to succeed: stops the benchmark with what the program printed.
    double time(const std::string& who, const Command& command) const;

    // With /dev/null as input, or the given descriptor.
    pid_t spawn(const Command& command, int input = -1) const;
    Finished wait(pid_t process) const;

    // What was written to standard error since the last call.
    std::string take_errors() const;

    // The program's standard output, or nothing if it fails; not timed.
    std::string output_of(const Command& command) const;

    // The same for what has to succeed.
    std::string output_or_fail(const Command& command) const;

  private:
    Finished capture(const Command& command, std::string& text) const;
    pid_t spawn_with(const std::vector<char*>& arguments, int output, int input = -1) const;

    int null_ = -1;
    int errors_ = -1;
};

// Reaps the dead children that nobody waits for: orphans that a program left to its reaper, which
// is this process (workspace.h). Returns how many there were. Never while a spawned program runs.
int reap_orphans();

// The processes whose parent is the given one, by /proc/PID/stat.
std::vector<pid_t> children_of(pid_t parent);

// The given process and everything below it.
std::vector<pid_t> tree_of(pid_t root);

// The whole file, or nothing if it can't be read (a process may be gone by now).
std::string read_file(const std::string& path);

// The process's own name, at most 15 characters; nothing if it is gone.
std::string name_of(pid_t process);

// The number after KEY, such as "Pss:", at the start of a line of /proc/PID/status or smaps_rollup.
long field_of(const std::string& file, const std::string& key);

// Proportional set size: a shared page counts for its share.
double pss_kb(pid_t process);

// Where the name is found along PATH, or nothing; a name with a slash stands for itself.
std::string find_program(const std::string& name);

void sleep_ms(int milliseconds);

// CLOCK_MONOTONIC.
int64_t now_ns();

}  // namespace sigil::bench
