#include "sigil_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "files.h"
#include "machine.h"
#include "rootfs.h"

namespace sigil::e2e {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCannotExecute = 199;  // no test expects it of sigil

struct Pipe {
    int read = -1;
    int write = -1;

    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) == 0)
            read = ends[0], write = ends[1];
    }
};

// The number of a descriptor that no dup2 below can hit.
int out_of_the_way(int fd) {
    constexpr int kHigh = 700;
    return ::fcntl(fd, F_DUPFD_CLOEXEC, kHigh);
}

[[noreturn]] void become(const Start& start, int in, int out, int err) {
    std::vector<std::pair<int, int>> moves = {{0, in}, {1, out}, {2, err}};
    moves.insert(moves.end(), start.descriptors.begin(), start.descriptors.end());
    for (auto& [number, fd] : moves)
        fd = out_of_the_way(fd);
    for (auto [number, fd] : moves)
        if (::dup2(fd, number) < 0)
            ::_exit(kCannotExecute);
    std::vector<char*> words;
    for (const std::string& word : start.command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::signal(SIGPIPE, SIG_DFL);  // ours is ignored, and that would be inherited
    if (start.before_exec)
        start.before_exec();
    ::execvp(words[0], words.data());
    ::_exit(kCannotExecute);
}

void close_fd(int& fd) {
    if (fd >= 0)
        ::close(fd);
    fd = -1;
}

}  // namespace

std::chrono::seconds patience() {
    return std::chrono::seconds(in_virtual_machine() ? 240 : is_sanitized() ? 120 : 20);
}

bool eventually(const std::function<bool()>& condition) {
    const auto until = Clock::now() + patience();
    while (!condition()) {
        if (Clock::now() > until)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

int Finished::code() const {
    return !hung && WIFEXITED(word) ? WEXITSTATUS(word) : -1;
}

int Finished::signal() const {
    return !hung && WIFSIGNALED(word) ? WTERMSIG(word) : 0;
}

void PrintTo(const Finished& finished, std::ostream* stream) {
    *stream << (finished.hung ? "hung" : "ended") << ", code " << finished.code() << ", signal "
            << finished.signal() << "\nstdout: " << finished.out.substr(0, 2000)
            << "\nstderr: " << finished.err.substr(0, 2000);
}

Running::Running(const Start& start)
    : to_feed_(start.input), keeps_input_open_(start.keeps_input_open) {
    Pipe in, out, err;
    pid_ = ::fork();
    if (pid_ == 0)
        become(start, in.read, out.write, start.merges_streams ? out.write : err.write);
    EXPECT_GT(pid_, 0) << strerror(errno);
    for (int* fd : {&in.read, &out.write, &err.write})
        close_fd(*fd);
    pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    for (int fd : {in.write, out.read, err.read})
        ::fcntl(fd, F_SETFL, O_NONBLOCK);
    input_ = in.write;
    out_.fd = out.read;
    err_.fd = err.read;
    ::signal(SIGPIPE, SIG_IGN);  // it may end before it has read its input
    feed();
}

Running::~Running() {
    kill_and_reap();
    for (int* fd : {&input_, &out_.fd, &err_.fd, &pidfd_})
        close_fd(*fd);
}

void Running::kill_and_reap() {
    if (has_ended_ || pid_ <= 0)
        return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &finished_.word, 0) < 0 && errno == EINTR) {
    }
    has_ended_ = true;
}

void Running::send(int signal) const {
    EXPECT_EQ(::kill(pid_, signal), 0) << strerror(errno);
}

void Running::queue(int signal, int value) const {
    sigval payload = {};
    payload.sival_int = value;
    EXPECT_EQ(::sigqueue(pid_, signal, payload), 0) << strerror(errno);
}

void Running::type(std::string_view text) {
    to_feed_ += text;
    feed();
}

void Running::close_input() {
    keeps_input_open_ = false;
    feed();
}

void Running::feed() {
    while (input_ >= 0 && !to_feed_.empty()) {
        const ssize_t count = ::write(input_, to_feed_.data(), to_feed_.size());
        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0)
            close_fd(input_);
        else
            to_feed_.erase(0, static_cast<size_t>(count));
    }
    if (!keeps_input_open_)
        close_fd(input_);
}

void Running::fill(Stream& stream) {
    std::array<char, 65536> part;
    while (stream.fd >= 0) {
        const ssize_t count = ::read(stream.fd, part.data(), part.size());
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0)
            close_fd(stream.fd);
        else
            stream.text.append(part.data(), static_cast<size_t>(count));
    }
}

bool Running::pump(Clock::time_point until, bool with_exit) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0)
        return false;
    const short wants_input = to_feed_.empty() ? 0 : POLLOUT;
    std::array<pollfd, 4> watched = {{
        {.fd = out_.fd, .events = POLLIN, .revents = 0},
        {.fd = err_.fd, .events = POLLIN, .revents = 0},
        {.fd = wants_input ? input_ : -1, .events = wants_input, .revents = 0},
        {.fd = with_exit && !has_ended_ ? pidfd_ : -1, .events = POLLIN, .revents = 0},
    }};
    ::poll(watched.data(), watched.size(), static_cast<int>(left.count()));
    fill(out_);
    fill(err_);
    feed();
    if (watched[3].revents && ::waitpid(pid_, &finished_.word, WNOHANG) == pid_)
        has_ended_ = true;
    return true;
}

std::optional<std::string> Running::read_line() {
    const auto until = Clock::now() + patience();
    for (;;) {
        const size_t end = out_.text.find('\n', line_start_);
        if (end != std::string::npos) {
            std::string line = out_.text.substr(line_start_, end - line_start_);
            line_start_ = end + 1;
            return line;
        }
        if (out_.fd < 0 || !pump(until, false))
            return std::nullopt;
    }
}

std::string Running::next_line() {
    auto line = read_line();
    EXPECT_TRUE(line) << "no further line on stdout; stderr: " << err_.text;
    return line.value_or("");
}

std::string Running::first_line_or_end() {
    return read_line().value_or("");
}

bool Running::await_line(std::string_view line) {
    for (;;) {
        const std::string next = next_line();
        if (next == line)
            return true;
        if (next.empty() && out_.fd < 0)
            return false;
    }
}

Finished Running::wait() {
    const auto until = Clock::now() + patience();
    // The container is gone when sigil is: nobody may hold the streams open after it.
    while (!has_ended_ || out_.fd >= 0 || err_.fd >= 0)
        if (!pump(until, true)) {
            finished_.hung = true;
            ADD_FAILURE() << (has_ended_ ? "it ended, and somebody holds its streams open"
                                         : "it hangs")
                          << "\nstdout: " << out_.text << "\nstderr: " << err_.text;
            kill_and_reap();
            break;
        }
    finished_.out = std::move(out_.text);
    finished_.err = std::move(err_.text);
    return finished_;
}

Finished run_program(const Start& start) {
    Running running(start);
    return running.wait();
}

// ---- sigil ------------------------------------------------------------------------------------

Start sigil(Words words) {
    words.insert(words.begin(), sigil_path());
    return {.command = std::move(words)};
}

Start sigil_run(Words options, Words command) {
    Words words = {"run", "--rootfs", shared_rootfs()};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return sigil(std::move(words));
}

Finished run(Words options, Words command) {
    return run_program(sigil_run(std::move(options), std::move(command)));
}

Finished run_script(Words options, std::string script) {
    return run(std::move(options), {"/bin/sh", "-c", std::move(script)});
}

namespace {

// -1: there is no such process.
pid_t parent_of(const std::string& pid) {
    // "PID (COMM) STATE PPID": the name may hold anything, ")" too.
    const std::string stat = read_file("/proc/" + pid + "/stat");
    const size_t end = stat.rfind(')');
    if (end == std::string::npos)
        return -1;
    const auto words = words_of(std::string_view(stat).substr(end + 1));
    return words.size() > 1 ? ::atoi(words[1].c_str()) : -1;
}

}  // namespace

std::vector<pid_t> children_of(pid_t parent) {
    std::vector<pid_t> children;
    for (const std::string& name : names_in("/proc")) {
        const pid_t pid = ::atoi(name.c_str());
        if (pid > 0 && parent_of(name) == parent)
            children.push_back(pid);
    }
    return children;
}

bool kill_child(pid_t parent, pid_t pid) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0)
        return false;
    const bool sent = parent_of(std::to_string(pid)) == parent &&
                      ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0) == 0;
    ::close(pidfd);
    return sent;
}

pid_t init_of(pid_t sigil) {
    const auto children = children_of(sigil);
    return children.empty() ? -1 : children[0];
}

pid_t command_of(pid_t sigil) {
    const pid_t init = init_of(sigil);
    return init < 0 ? -1 : init_of(init);
}

}  // namespace sigil::e2e
