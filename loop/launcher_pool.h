// Launches on a bounded set of threads, so that the reactor is never blocked by one.
//
//     reactor thread                       launcher threads
//       launch() ──▶ queue ──────────────▶ Launch::run(), one at a time each
//       Supervisor::launched ◀─ eventfd ◀─ outcome
//
// The launchers share one table of descriptors that is not the reactor's: a clone copies its
// parent's table, and the reactor's has some for each live container. Each of them has a root of
// its own (CLONE_FS), to stand in shared roots with.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "isolation/launch.h"
#include "isolation/shared_roots.h"
#include "loop/launcher.h"
#include "loop/reactor.h"

namespace sigil::loop {

class Supervisor;

class LauncherPool final : public Launcher, public Handler {
  public:
    // Starts `width` threads, and keeps `warm` network namespaces and as many containers without
    // their command ready; with those descriptors, and only those, that are open now. `context`
    // must outlive the pool.
    static Result<std::unique_ptr<LauncherPool>> open(const isolation::LaunchContext& context,
                                                      unsigned width, size_t warm);
    // Waits for the launches under way; what they leave, and what was not started, is abandoned.
    ~LauncherPool() override;

    void attach(Reactor& reactor, Supervisor& supervisor);
    // Waits until nothing is left of what was made ahead; no more is.
    void discard_parked();
    void launch(Token token, const isolation::LaunchRequest& request) override;
    void cancel(Token token) override;
    void ended(Token token) override;
    void complete(const Completion& completion) override;

  private:
    struct Task {
        Token token;
        isolation::LaunchRequest request;
        bool is_cancelled = false;
        isolation::Launch* launch = nullptr;  // once it is under way
    };
    struct Ended {
        Token token;
        isolation::LaunchOutcome outcome;
    };

    LauncherPool(const isolation::LaunchContext& context, Fd ready)
        : context_(context), ready_(std::move(ready)) {}
    void lead(unsigned width);
    void work();
    void run(isolation::LaunchSite& site, Task& task);
    void report_start(Result<void> result);
    Result<isolation::ParkedContainer> park(const Spec& spec);
    void run_parking();
    void tell_whether_busy();

    const isolation::LaunchContext& context_;
    Fd ready_;  // an eventfd: something has ended
    Reactor* reactor_ = nullptr;
    Supervisor* supervisor_ = nullptr;
    std::unique_ptr<isolation::SharedRoots> roots_;
    std::optional<isolation::NetworkPool> networks_;
    std::unique_ptr<isolation::NetworkShelf> shelf_;
    std::optional<isolation::ParkedContainers> parked_;
    std::optional<isolation::LaunchSite> parking_site_;  // of the thread that makes them
    uint64_t parked_so_far_ = 0;

    std::mutex mutex_;
    std::condition_variable work_;     // there is something queued, or it is over
    std::condition_variable started_;  // the first thread is up, or has failed; parking is over
    const size_t processors_ = std::max(1U, std::thread::hardware_concurrency());
    std::list<Task> queued_;
    std::list<Task> running_;
    std::vector<Ended> ended_;
    std::optional<Result<void>> start_result_;
    bool is_over_ = false;
    bool is_parking_ = false;  // the thread of parked_ runs
    std::vector<std::thread> threads_;
    std::thread leader_;
};

}  // namespace sigil::loop
