// The supervisor owns every container from its launch to its last trace, and is the only place that
// waits for a container's process.
//
// An end is a join of three: the exit was seen, the watches are quiet, the cgroup is empty. Only
// then are memory.events read for the last time, an OOM reported, the cgroup removed and the end
// reported: so an OOM is never missed, never invented, and always before the exit that it caused.
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/process.h"
#include "core/spec.h"
#include "isolation/cgroup.h"
#include "isolation/launch.h"
#include "loop/launcher.h"
#include "loop/lifecycle.h"
#include "loop/reactor.h"
#include "loop/signals.h"
#include "loop/slot_table.h"

namespace sigil::loop {

enum class Cause : uint8_t { failed, exited, signaled, oom, timeout, stopped };
inline constexpr int kCauses = 6;
const char* name(Cause cause);

struct Times {
    Time request{};
    Time cloned{};
    Time isolated{};
    Time executed{};
    Time exit_seen{};
    Time reaped{};
    Time cleaned{};
};

// What a container has written that is nowhere.
struct LostOutput {
    uint64_t bytes = 0;
    uint64_t lines = 0;
};

// What is known of a container's end.
struct Outcome {
    pid_t pid = -1;
    ExitStatus status;
    Cause cause = Cause::exited;
    rusage usage = {};
    std::optional<uint64_t> memory_peak;  // bytes; where the memory controller is
    std::optional<uint64_t> memory_max;   // its own limit; UINT64_MAX: none
    isolation::MemoryEvents memory;
    Times times;
    std::optional<Error> error;             // why the launch failed
    std::optional<LostOutput> lost_output;  // where it is known
};

// A container to be started.
struct Start {
    std::string name;
    std::shared_ptr<const Spec> spec;
    isolation::Streams streams = isolation::kInheritedStreams;  // open until `started` or `ended`
    Time request{};                                             // when it was asked for
    uint64_t tag = 0;       // the caller's: the observer gets it back
    int notify_mount = -1;  // of isolation/notify_socket.h; open as long as the streams
    // Of a bundle's; must live until `started` or `ended`.
    const isolation::BundleOptions* bundle = nullptr;
};

// Whom an observer is told of.
struct Subject {
    const std::string& name;
    const Spec& spec;
    uint64_t tag = 0;
};

// What sigil exits with after this end.
int exit_code(const Outcome& outcome);

class Observer {
  public:
    virtual ~Observer() = default;
    // Of a container with a terminal of its own: the master. Right before `started`.
    virtual void terminal_opened(const Subject& subject, Fd master) {
        (void)subject;
        (void)master;
    }
    virtual void started(const Subject& subject, const Outcome& so_far) = 0;
    // Processes of the container have been killed for want of memory: `outcome.memory` says how
    // many.
    virtual void out_of_memory(const Subject& subject, const Outcome& so_far) = 0;
    // It was asked to end, or is about to be killed.
    virtual void stopping(const Subject& subject) = 0;
    // The outcome is the observer's to keep.
    virtual void ended(const Subject& subject, Outcome&& outcome) = 0;
    // Something went wrong that the container survives.
    virtual void warning(const Subject& subject, const Error& error) = 0;
};

class Supervisor final : public Handler, public SignalReceiver {
  public:
    Supervisor(Reactor& reactor, Launcher& launcher, Observer& observer);

    // Takes the container on.
    Token start(Start start);
    // The launcher's word on a start.
    void launched(Token token, isolation::LaunchOutcome outcome);
    // Without a ring nothing can be supervised: kills every container and blocks until it is gone.
    // No end is reported.
    void abandon();
    // The same of what a launch left that was not taken over yet.
    static void abandon(isolation::LaunchOutcome outcome);

    // Sends a signal to every container; one still launching gets it once it runs.
    void forward(const Signal& signal) override;
    // Asks every container to end: forwards the signal, and kills what is left after its grace.
    void stop(const Signal& signal) override;
    // The same of one; it may be gone.
    void stop(Token token, const Signal& signal);

    // Gives a container that runs the limits of this spec, and takes the spec for its own, which
    // differs in nothing else that was used already. One that is ending keeps what it has; none may
    // be under its launch.
    Result<void> update(Token token, std::shared_ptr<const Spec> spec);

    void complete(const Completion& completion) override;

    // Calls act(name, cgroup's path) for each that has a cgroup.
    template <typename Act>
    void for_each_cgroup(Act act) {
        containers_.for_each([&act](const Container& container) {
            if (container.cgroup)
                act(container.start.name, container.cgroup->path());
        });
    }
    // Containers that are not gone.
    [[nodiscard]] size_t live() const { return live_; }

  private:
    struct Container {
        explicit Container(Start asked) : start(std::move(asked)) {}
        [[nodiscard]] const Spec& spec() const { return *start.spec; }
        [[nodiscard]] bool has_grace() const { return spec().stop_timeout > Time{}; }
        [[nodiscard]] Subject subject() const { return {start.name, *start.spec, start.tag}; }
        Start start;
        Token token;
        Status status = Status::launching;
        std::optional<Process> process;
        std::optional<isolation::Cgroup> cgroup;
        isolation::UserRanges::Taken users;
        std::vector<Signal> pending;  // for a container that does not run yet
        Outcome outcome;
        uint32_t armed = 0;  // a bit for each Operation that is in flight
        bool stop_requested = false;
        bool timed_out = false;
    };

    void raise(Container& container, Event event);
    void stop(Container& container, const Signal& signal);
    void hold_process(Container& container, isolation::LaunchOutcome& outcome);
    static Result<std::optional<Exit>> reap(const Container& container);
    void watch(Container& container);
    void kill(Container& container);
    void drain(Container& container);
    void finish(Container& container);
    void try_empty(Container& container);
    Result<bool> remove_cgroup(Container& container);
    void conclude(Container& container);

    void on_exit(Container& container);
    void on_memory_events(Container& container);
    void account_memory(Container& container);
    void send(Container& container, const Signal& signal);
    static void hold(Container& container, const Signal& signal);
    Cause cause_of(const Container& container) const;

    bool is_armed(const Container& container, Operation operation) const;
    void arm_poll(Container& container, Operation operation, int fd, uint32_t events);
    void arm_timer(Container& container, Operation operation, Time at);
    void disarm(Container& container, Operation operation);

    Reactor& reactor_;
    Launcher& launcher_;
    Observer& observer_;
    SlotTable<Container> containers_;
    size_t live_ = 0;
};

}  // namespace sigil::loop
