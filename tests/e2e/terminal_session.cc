#include "terminal_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "files.h"

namespace sigil::e2e {
namespace {

constexpr int kCannotExecute = 199;

[[noreturn]] void become(const Words& command) {
    std::vector<char*> words;
    for (const std::string& word : command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::setenv("TERM", "dumb", 1);
    ::setenv("PS1", "outer> ", 1);
    ::execvp(words[0], words.data());
    ::_exit(kCannotExecute);
}

}  // namespace

TerminalSession::TerminalSession(const Words& command) {
    winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    leader_ = ::forkpty(&master_, nullptr, nullptr, &size);
    if (leader_ == 0)
        become(command);
    EXPECT_GT(leader_, 0) << strerror(errno);
    ::fcntl(master_, F_SETFD, FD_CLOEXEC);
}

TerminalSession::~TerminalSession() {
    if (!has_ended_ && leader_ > 0) {
        ::kill(leader_, SIGKILL);
        ::waitpid(leader_, nullptr, 0);
    }
    if (master_ >= 0)
        ::close(master_);
}

void TerminalSession::type(std::string_view text) const {
    EXPECT_EQ(::write(master_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

bool TerminalSession::read_more() {
    pollfd watched = {.fd = master_, .events = POLLIN, .revents = 0};
    const auto milliseconds = std::chrono::milliseconds(patience()).count();
    if (::poll(&watched, 1, static_cast<int>(milliseconds)) <= 0)
        return false;
    std::array<char, 4096> part;
    const ssize_t count = ::read(master_, part.data(), part.size());  // EIO: nobody has it open
    if (count <= 0)
        return false;
    shown_.append(part.data(), static_cast<size_t>(count));
    return true;
}

std::string TerminalSession::shown_before(std::string_view text) {
    size_t found;
    while ((found = shown_.find(text)) == std::string::npos)
        if (!read_more()) {
            ADD_FAILURE() << "'" << text << "' is not shown; what is: " << shown_;
            return {};
        }
    std::string before = shown_.substr(0, found);
    shown_.erase(0, found + text.size());
    return before;
}

bool TerminalSession::expect(std::string_view text) {
    const bool had_failed = testing::Test::HasFailure();
    shown_before(text);
    return had_failed || !testing::Test::HasFailure();
}

pid_t TerminalSession::foreground() const {
    return ::tcgetpgrp(master_);
}

// Any process of the group will do: the leader may be sigil, whose container runs beside it.
bool TerminalSession::await_foreground(const std::string& comm) const {
    return eventually([&] {
        const std::string group = std::to_string(foreground());
        for (const std::string& name : names_in("/proc")) {
            const std::string stat = read_file("/proc/" + name + "/stat");
            const size_t open = stat.find('(');
            const size_t close = stat.rfind(')');
            if (::atoi(name.c_str()) <= 0 || close == std::string::npos)
                continue;
            const auto words = words_of(std::string_view(stat).substr(close + 1));
            if (stat.substr(open + 1, close - open - 1) == comm && words.at(2) == group &&
                words.at(0) == "S")
                return true;
        }
        return false;
    });
}

void TerminalSession::resize(unsigned short rows, unsigned short columns) const {
    const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(master_, TIOCSWINSZ, &size), 0);
}

void TerminalSession::hang_up() {
    ::close(master_);
    master_ = -1;
}

Finished TerminalSession::wait() {
    Finished finished;
    while (master_ >= 0 && read_more()) {
    }
    has_ended_ = eventually([&] { return ::waitpid(leader_, &finished.word, WNOHANG) == leader_; });
    finished.hung = !has_ended_;
    EXPECT_TRUE(has_ended_) << "the session's leader goes on; shown: " << shown_;
    finished.out = shown_;
    return finished;
}

}  // namespace sigil::e2e
