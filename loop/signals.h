// Signals to the supervisor, read from one signalfd on the ring and passed on. The policy is
// classify(), a pure function; the README has it as a table.
#pragma once

#include <signal.h>
#include <stdint.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/sys.h"
#include "loop/reactor.h"

namespace sigil::loop {

enum class SignalAction : uint8_t {
    keep,     // the supervisor's own business, or delivered to the container already
    forward,  // to the container
    stop,     // forward, and kill what is left after the grace
    resize,   // the container's own terminal gets our window's size
    resume,   // forward; we were suspended perhaps: the terminal is taken again
    reload,   // the run's jobs are read anew
    suspend,  // forward unless delivered already, then stop the supervisor itself, as its shell
              // asked
};

struct SignalFacts {
    int number = 0;
    bool from_kernel = false;      // a key on the terminal, a hang-up, a changed window
    bool shares_terminal = false;  // the container is in our foreground group: it got those too
    bool keeps_terminal = false;   // the container has a terminal of its own: ours is raw
    bool reloads = false;          // the run has jobs that can be read anew
    bool was_ignored = false;      // when sigil started, as under nohup(1)
};

SignalAction classify(const SignalFacts& facts);

// A signal on its way to a container.
struct Signal {
    int number = 0;
    std::optional<sigval> value;  // of sigqueue(3)
};

class SignalReceiver {
  public:
    virtual ~SignalReceiver() = default;
    // Sends it to every container.
    virtual void forward(const Signal& signal) = 0;
    // Asks every container to end, with this signal.
    virtual void stop(const Signal& signal) = 0;
    // Whether SIGHUP is for us: to read anew what runs.
    [[nodiscard]] virtual bool can_reload() const { return false; }
    virtual void reload() {}
};

// Who has the user's terminal while a container has one of its own.
class TerminalKeeper {
  public:
    virtual ~TerminalKeeper() = default;
    virtual void window_changed() = 0;
    // Sigil is about to stop, and has been continued: also after a SIGSTOP, of which nobody is
    // told.
    virtual void suspending() = 0;
    virtual void continued() = 0;
};

class Signals final : public Handler {
  public:
    // Blocks every signal in the calling thread, and so in the threads that it starts, so that only
    // the signalfd gets them; what was ignored stays ignored. Call before any thread is started.
    static Result<std::unique_ptr<Signals>> open(bool shares_terminal);

    // Signals that were inherited as ignored.
    [[nodiscard]] const std::vector<int>& ignored() const { return ignored_; }
    // `keeper` may be null.
    void attach(Reactor& reactor, SignalReceiver& receiver, TerminalKeeper* keeper = nullptr);
    void complete(const Completion& completion) override;

  private:
    Signals(Fd fd, std::vector<int> ignored, bool shares_terminal);
    bool take();
    void deliver(const signalfd_siginfo& info);

    Fd fd_;
    std::vector<int> ignored_;
    bool shares_terminal_;
    bool looks_again_ = false;  // as there was more than is taken in a turn
    Ring* ring_ = nullptr;
    SignalReceiver* receiver_ = nullptr;
    TerminalKeeper* keeper_ = nullptr;
};

}  // namespace sigil::loop
