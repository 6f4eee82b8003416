// Starts programs, sigil above all, with their streams in our hands, and never waits for ever.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sigil::e2e {

// After this long, what a test waits for isn't coming. Generous: no test is about speed.
std::chrono::seconds patience();
// True when `condition` is, before our patience ends.
bool eventually(const std::function<bool()>& condition);

// What to start.
struct Start {
    std::vector<std::string> command;
    std::string input;                             // for stdin, which then ends
    bool keeps_input_open = false;                 // stdin ends with close_input()
    bool merges_streams = false;                   // stderr goes where stdout goes
    std::vector<std::pair<int, int>> descriptors;  // {number there, ours}; after the streams
    std::function<void()> before_exec;             // in the child, last
};

// How it ended.
struct Finished {
    int word = 0;  // of waitpid(2)
    bool hung = false;
    std::string out;
    std::string err;

    // The exit code, or -1 after a signal.
    [[nodiscard]] int code() const;
    // The signal, or 0.
    [[nodiscard]] int signal() const;
};
// For failed expectations.
void PrintTo(const Finished& finished, std::ostream* stream);

// A program under way. Its end is waited for by wait(); without that, it is killed.
class Running {
  public:
    explicit Running(const Start& start);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void send(int signal) const;
    void queue(int signal, int value) const;
    void type(std::string_view text);
    void close_input();

    // The next line of stdout; nothing (and a failed test) if there is none.
    std::string next_line();
    // The same, for a program that may rightly end without a line.
    std::string first_line_or_end();
    // Reads lines up to one that is `line`.
    bool await_line(std::string_view line);
    Finished wait();

  private:
    struct Stream {
        int fd = -1;
        std::string text;
    };
    // Moves what there is; waits for more or for the program's end. False: patience is over.
    bool pump(std::chrono::steady_clock::time_point until, bool with_exit);
    // The next line, if there will be one.
    std::optional<std::string> read_line();
    void fill(Stream& stream);
    void feed();
    void kill_and_reap();

    pid_t pid_ = -1;
    int pidfd_ = -1;
    bool has_ended_ = false;
    int input_ = -1;
    std::string to_feed_;
    bool keeps_input_open_ = false;
    Stream out_;
    Stream err_;
    size_t line_start_ = 0;
    Finished finished_;
};

Finished run_program(const Start& start);

// ---- sigil ------------------------------------------------------------------------------------

using Words = std::vector<std::string>;

// `sigil WORDS...`
Start sigil(Words words);
// `sigil run --rootfs SHARED OPTIONS... -- COMMAND...`; options may name another --rootfs.
Start sigil_run(Words options, Words command);
Finished run(Words options, Words command);
// A shell script in a container.
Finished run_script(Words options, std::string script);

// Processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent);
// SIGKILL to `pid` if its parent is `parent` once a pidfd holds it; whether it was sent.
bool kill_child(pid_t parent, pid_t pid);
// PID 1 of the container of a running sigil, and the command below it; -1 where there is none.
pid_t init_of(pid_t sigil);
pid_t command_of(pid_t sigil);

}  // namespace sigil::e2e
