// A program on a terminal of its own, as its session's leader: what a terminal emulator starts. The
// test is the emulator and the person before it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "sigil_runner.h"

namespace sigil::e2e {

class TerminalSession {
  public:
    explicit TerminalSession(const Words& command);
    ~TerminalSession();
    TerminalSession(const TerminalSession&) = delete;
    TerminalSession& operator=(const TerminalSession&) = delete;

    [[nodiscard]] pid_t leader() const { return leader_; }
    void type(std::string_view text) const;
    // Reads what is shown up to `text`, which must come; a failed test if it doesn't.
    bool expect(std::string_view text);
    // The same for what must come before the program ends; returns what was shown before it.
    std::string shown_before(std::string_view text);
    // Waits until a process of that name is in the foreground, and is not stopped.
    bool await_foreground(const std::string& comm) const;
    // The foreground process group.
    [[nodiscard]] pid_t foreground() const;
    void resize(unsigned short rows, unsigned short columns) const;
    // The terminal goes away, as when its window is closed.
    void hang_up();
    // What was shown since the last expectation, and how it ended.
    Finished wait();

  private:
    // Reads what there is; false at the end, or when patience is over.
    bool read_more();

    int master_ = -1;
    pid_t leader_ = -1;
    bool has_ended_ = false;
    std::string shown_;
};

// Ctrl and a letter.
constexpr char ctrl(char letter) {
    return static_cast<char>(letter & 0x1f);
}

}  // namespace sigil::e2e
