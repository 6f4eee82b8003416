// The terminal that sigil was started from: without --tty the container shares it, as a foreground
// job does; with --tty it is raw, and its keys and window are passed on to the container's own.
#pragma once

#include <termios.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/spec.h"
#include "loop/signals.h"
#include "loop/terminal_pump.h"

namespace sigil::cli {

class Terminal {
  public:
    // Looks at stdin. Shared when it is our controlling terminal and we are in its foreground.
    static Terminal inspect();
    [[nodiscard]] bool is_shared() const { return is_shared_; }
    // A shell in the container may have given the foreground to a group that is gone now.
    void take_back() const;

  private:
    bool is_shared_ = false;
    int group_ = -1;
};

// Bytes as they come, in both directions, until it is restored: at the latest when this goes.
class RawMode {
  public:
    explicit RawMode(int fd) : fd_(fd) {}
    RawMode(const RawMode&) = delete;
    RawMode& operator=(const RawMode&) = delete;
    ~RawMode() { restore(); }

    Result<void> set();
    void restore();
    [[nodiscard]] bool is_set() const { return before_.has_value(); }

  private:
    int fd_;
    std::optional<termios> before_;
};

// "ctrl-p,ctrl-q": letters, digits and ctrl- with one of a-z @ [ \ ] ^ _, as the bytes that those
// keys send. Empty: none.
Result<std::string> parse_keys(std::string_view text);

// The user's side of a container's own terminal. Attached while sigil is in its foreground; else it
// neither reads nor shows anything.
class OwnTerminal final : public loop::TerminalPump::Client, public loop::TerminalKeeper {
  public:
    class Owner {
      public:
        virtual ~Owner() = default;
        virtual void detached() = 0;
        virtual void terminal_drained() = 0;
    };

    // To be called before signals are blocked: a job in the background stops here until it is in
    // the foreground (SIGTTIN), as any program that reads its terminal. An error: nobody can give
    // it that.
    static Result<std::unique_ptr<OwnTerminal>> open(Owner& owner, std::string detach_keys);

    // Of the user's window; 0 by 0 where there is none.
    [[nodiscard]] ConsoleSize size() const;
    Result<void> begin(loop::Reactor& reactor, Fd master);
    void ended();
    // How many bytes were not written.
    size_t give_up();
    void restore() { raw_.restore(); }
    [[nodiscard]] bool is_raw() const { return raw_.is_set(); }
    [[nodiscard]] bool is_drained() const { return !pump_ || pump_->is_drained(); }

    void window_changed() override;
    void suspending() override { restore(); }
    void continued() override;
    void detach_typed() override;
    bool suspend_typed(pid_t leader) override;
    void input_lost() override;
    void drained() override { owner_.terminal_drained(); }

  private:
    OwnTerminal(Owner& owner, std::string detach_keys);
    [[nodiscard]] bool is_foreground() const;
    void detach();

    Owner& owner_;
    std::string detach_keys_;
    bool has_input_;  // stdin is a terminal
    int window_;      // the terminal whose size counts; -1: none
    RawMode raw_;
    pid_t stopped_ = 0;  // the group that was stopped with us
    std::optional<loop::TerminalPump> pump_;
};

}  // namespace sigil::cli
