// Who starts containers for the supervisor.
#pragma once

#include <utility>
#include <vector>

#include "isolation/launch.h"
#include "loop/reactor.h"
#include "loop/token.h"

namespace sigil::loop {

class Supervisor;

class Launcher {
  public:
    virtual ~Launcher() = default;
    // Starts the container; its end is told through Supervisor::launched with this token. What the
    // request refers to must live until then.
    virtual void launch(Token token, const isolation::LaunchRequest& request) = 0;
    // Makes a launch under way fail, if it can still be stopped.
    virtual void cancel(Token token) = 0;
    // What was launched has ended, and all its processes are gone.
    virtual void ended(Token) {}
};

// Launches at once, on the calling thread: for a supervisor of one container, which has nothing
// else to serve meanwhile. A thread of its own would cost two wake-ups and a stack, and on a busy
// machine its turn on a processor, for each start; and so the ring can be set up while the
// container already runs. Signals that come during the launch wait in the signalfd.
class InlineLauncher final : public Launcher, public Handler {
  public:
    explicit InlineLauncher(const isolation::LaunchContext& context) : context_(context) {}

    // What has been launched is handed over, and from now on on the ring's next turn.
    void attach(Reactor& reactor, Supervisor& supervisor);
    void complete(const Completion& completion) override;

    void launch(Token token, const isolation::LaunchRequest& request) override {
        isolation::Launch launch(context_, request);
        ended_.emplace_back(token, launch.run());
        if (reactor_)
            wake();
    }
    // Nothing is under way when anybody else runs.
    void cancel(Token) override {}

    // Instead of attach(), where there will be no reactor: ends what has been launched.
    void abandon();

  private:
    void wake();
    void hand_over();
    const isolation::LaunchContext& context_;
    Reactor* reactor_ = nullptr;
    Supervisor* supervisor_ = nullptr;
    std::vector<std::pair<Token, isolation::LaunchOutcome>> ended_;
};

}  // namespace sigil::loop
