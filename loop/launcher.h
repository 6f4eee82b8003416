// Who starts containers for the supervisor.
#pragma once

#include <utility>
#include <vector>

#include "core/spec.h"
#include "isolation/launch.h"
#include "loop/token.h"

namespace sigil::loop {

class Launcher {
  public:
    virtual ~Launcher() = default;
    // Starts the container; its end is told through Supervisor::launched with this token. `spec`
    // must live until then.
    virtual void launch(Token token, const Spec& spec) = 0;
    // Makes a launch under way fail, if it can still be stopped.
    virtual void cancel(Token token) = 0;
};

// Launches at once, on the calling thread: for a supervisor of one container, which has nothing
// else to serve meanwhile. A thread of its own would cost two wake-ups and a stack, and on a busy
// machine its turn on a processor, for each start; and so the ring can be set up while the
// container already runs. Signals that come during the launch wait in the signalfd.
class InlineLauncher final : public Launcher {
  public:
    explicit InlineLauncher(const isolation::LaunchContext& context) : context_(context) {}

    void launch(Token token, const Spec& spec) override {
        isolation::Launch launch(context_, spec);
        ended_.emplace_back(token, launch.run());
    }
    // Nothing is under way when anybody else runs.
    void cancel(Token) override {}

    using Ended = std::vector<std::pair<Token, isolation::LaunchOutcome>>;
    // What has been launched since the last call.
    Ended take() { return std::exchange(ended_, {}); }

  private:
    const isolation::LaunchContext& context_;
    Ended ended_;
};

}  // namespace sigil::loop
