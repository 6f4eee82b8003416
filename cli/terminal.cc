#include "cli/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

int first_terminal() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::isatty(fd) == 1)
            return fd;
    return -1;
}

// Whether the process has left a signal as it was: it neither ignores nor handles it.
bool has_default(pid_t pid, int signal) {
    const auto status = sys::read_file(AT_FDCWD, fmt::format("/proc/{}/status", pid).c_str());
    if (!status)
        return false;
    for (const std::string_view field : {"\nSigIgn:\t", "\nSigCgt:\t"}) {
        const size_t at = status->find(field);
        if (at == std::string::npos)
            return false;
        sys::SignalSet set = 0;
        const char* text = status->data() + at + field.size();
        std::from_chars(text, status->data() + status->size(), set, 16);
        if (set & sys::signal_bit(signal))
            return false;
    }
    return true;
}

Result<char> parse_key(std::string_view name) {
    constexpr std::string_view kCtrl = "ctrl-";
    constexpr std::string_view kSigns = "@[\\]^_";
    const bool is_ctrl = name.starts_with(kCtrl);
    const std::string_view key = is_ctrl ? name.substr(kCtrl.size()) : name;
    if (key.size() == 1) {
        const char letter = key[0];
        const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
        if (is_ctrl && (is_letter || kSigns.find(letter) != std::string_view::npos))
            return static_cast<char>(letter & 0x1f);
        if (!is_ctrl && (is_letter || (letter >= '0' && letter <= '9')))
            return letter;
    }
    return failure("'{}' is no key: a letter, a digit, or ctrl- and one of a-z @ [ \\ ] ^ _",
                   printable(name));
}

}  // namespace

Terminal Terminal::inspect() {
    Terminal terminal;
    terminal.group_ = ::tcgetpgrp(STDIN_FILENO);  // ENOTTY unless it controls our session
    terminal.is_shared_ = terminal.group_ >= 0 && terminal.group_ == ::getpgrp();
    return terminal;
}

void Terminal::take_back() const {
    // SIGTTOU, which the kernel sends to a background writer, is blocked.
    if (is_shared_ && ::tcgetpgrp(STDIN_FILENO) != group_)
        (void)::tcsetpgrp(STDIN_FILENO, group_);
}

Result<void> RawMode::set() {
    if (before_)
        return {};
    const termios before = TRY(sys::terminal_modes(fd_));
    termios raw = before;
    ::cfmakeraw(&raw);
    TRY(sys::set_terminal_modes(fd_, raw));
    before_ = before;
    return {};
}

void RawMode::restore() {
    if (before_)
        (void)sys::set_terminal_modes(fd_, *before_);
    before_.reset();
}

Result<std::string> parse_keys(std::string_view text) {
    std::string keys;
    while (!text.empty()) {
        const size_t comma = text.find(',');
        keys += TRY(parse_key(text.substr(0, comma)));
        if (comma + 1 == text.size())
            return failure("a key is missing after the last comma");
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return keys;
}

OwnTerminal::OwnTerminal(Owner& owner, std::string detach_keys)
    : owner_(owner),
      detach_keys_(std::move(detach_keys)),
      has_input_(::isatty(STDIN_FILENO) == 1),
      window_(first_terminal()),
      raw_(STDIN_FILENO) {}

Result<std::unique_ptr<OwnTerminal>> OwnTerminal::open(Owner& owner, std::string detach_keys) {
    std::unique_ptr<OwnTerminal> terminal(new OwnTerminal(owner, std::move(detach_keys)));
    if (!terminal->is_foreground())
        ::kill(0, SIGTTIN);
    if (!terminal->is_foreground())
        return failure("--tty: sigil is in the background of its terminal");
    return terminal;
}

// A terminal that is not our session's knows no foreground for us.
bool OwnTerminal::is_foreground() const {
    if (!has_input_)
        return true;
    const auto group = sys::foreground_group(STDIN_FILENO);
    return !group || *group == ::getpgrp();
}

ConsoleSize OwnTerminal::size() const {
    const auto size = sys::window_size(window_);
    return size ? ConsoleSize{.height = size->ws_row, .width = size->ws_col} : ConsoleSize{};
}

Result<void> OwnTerminal::begin(loop::Reactor& reactor, Fd master) {
    pump_.emplace(reactor, *this,
                  loop::TerminalOptions{.input = STDIN_FILENO,
                                        .output = STDOUT_FILENO,
                                        .is_input_terminal = has_input_,
                                        .detach_keys = has_input_ ? detach_keys_ : ""});
    if (has_input_)
        TRY(raw_.set(), "--tty: make the terminal raw");
    TRY(pump_->begin(std::move(master)), "--tty");
    window_changed();  // it may have changed since the container got it
    return {};
}

void OwnTerminal::ended() {
    if (pump_)
        pump_->ended();
}

size_t OwnTerminal::give_up() {
    return pump_ ? pump_->give_up() : 0;
}

void OwnTerminal::window_changed() {
    if (!pump_)
        return;
    if (const auto size = sys::window_size(window_))
        pump_->set_window(*size);
}

// The shell may have set modes of its own meanwhile, and the window may be another.
void OwnTerminal::continued() {
    if (stopped_ > 0)
        ::kill(-std::exchange(stopped_, 0), SIGCONT);
    if (!pump_ || !has_input_)
        return;
    if (!is_foreground()) {
        detach();
        return;
    }
    raw_.restore();
    if (raw_.set())
        pump_->attach();
    window_changed();
}

void OwnTerminal::detach() {
    raw_.restore();
    pump_->detach();
}

void OwnTerminal::detach_typed() {
    detach();
    owner_.detached();
}

// A command without job control, at its own terminal: what Ctrl-Z would do to it without --tty. Not
// where nobody could continue us: the leader of the session is nobody's job.
bool OwnTerminal::suspend_typed(pid_t leader) {
    if (::getsid(0) == ::getpgrp() || !has_default(leader, SIGTSTP))
        return false;
    ::kill(-leader, SIGSTOP);
    stopped_ = leader;
    restore();
    ::kill(0, SIGSTOP);  // all of the job, as the key does
    return true;
}

void OwnTerminal::input_lost() {
    if (is_foreground())
        pump_->hang_up();
    else
        detach();
}

}  // namespace sigil::cli
