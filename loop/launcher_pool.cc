#include "loop/launcher_pool.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <system_error>

#include "core/sys.h"
#include "core/try.h"
#include "loop/supervisor.h"

namespace sigil::loop {
namespace {

constexpr Token kReady = {Source::launcher, Operation::readable};

// False: the machine has no room for another thread.
template <typename Body>
bool start_thread(std::thread& thread, Body body) {
    try {
        thread = std::thread(std::move(body));
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

}  // namespace

Result<std::unique_ptr<LauncherPool>> LauncherPool::open(const isolation::LaunchContext& context,
                                                         unsigned width, size_t warm) {
    Fd ready = TRY(sys::eventfd(0, EFD_NONBLOCK), "open an eventfd");
    std::unique_ptr<LauncherPool> pool(new LauncherPool(context, std::move(ready)));
    if (warm > 0) {
        pool->networks_.emplace(warm);
        pool->parked_.emplace(warm,
                              [pool = pool.get()](const Spec& spec) { return pool->park(spec); });
    }
    if (!start_thread(pool->leader_, [pool = pool.get(), width] { pool->lead(width); }))
        return failure("start a launcher thread: no more processes (ulimit -u, pids.max)");
    std::unique_lock lock(pool->mutex_);
    pool->started_.wait(lock, [&] { return pool->start_result_.has_value(); });
    if (!*pool->start_result_)
        return tl::unexpected(std::move(*pool->start_result_).error());
    return pool;
}

LauncherPool::~LauncherPool() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    work_.notify_all();
    if (networks_)
        networks_->stop();
    discard_parked();
    if (leader_.joinable())
        leader_.join();
    for (Ended& left : ended_)
        Supervisor::abandon(std::move(left.outcome));
}

void LauncherPool::report_start(Result<void> result) {
    {
        const std::lock_guard lock(mutex_);
        start_result_ = std::move(result);
    }
    started_.notify_all();
}

// The first launcher: leaves the reactor's descriptors, and starts the others, who share its own.
void LauncherPool::lead(unsigned width) {
    auto set_up = [&]() -> Result<void> {
        TRY(sys::unshare(CLONE_FILES), "unshare the descriptors");
        roots_ = TRY(isolation::SharedRoots::open());
        shelf_ = TRY(isolation::NetworkShelf::open());
        return {};
    }();
    const bool is_up = set_up.has_value();
    for (unsigned index = 1; is_up && index < width; ++index)
        if (!start_thread(threads_.emplace_back(), [this] { work(); })) {
            threads_.pop_back();
            break;  // fewer will do
        }
    if (is_up && networks_ && !start_thread(threads_.emplace_back(), [this] { networks_->run(); }))
        threads_.pop_back();
    if (is_up && parked_) {
        is_parking_ = start_thread(threads_.emplace_back(), [this] { run_parking(); });
        if (!is_parking_)
            threads_.pop_back();
    }
    report_start(std::move(set_up));
    if (is_up)
        work();
    for (std::thread& thread : threads_)
        thread.join();
    // While this thread lives, whose descriptors they hold.
    shelf_.reset();
    networks_.reset();
    roots_.reset();
}

void LauncherPool::work() {
    (void)sys::unshare(CLONE_FS);  // ENOMEM: the launches will fail and say so
    isolation::LaunchSite site(*roots_, networks_ ? &*networks_ : nullptr, *shelf_,
                               parked_ ? &*parked_ : nullptr);
    if (context_.bounding)
        site.limit(*context_.bounding);
    for (;;) {
        Task* task;
        {
            std::unique_lock lock(mutex_);
            work_.wait(lock, [&] { return is_over_ || !queued_.empty() || shelf_->is_untidy(); });
            if (is_over_)
                return;
            if (queued_.empty()) {
                lock.unlock();
                shelf_->tidy();
                continue;
            }
            running_.splice(running_.end(), queued_, queued_.begin());
            task = &running_.back();
            tell_whether_busy();
            site.set_busy(running_.size() >= processors_);
        }
        run(site, *task);
    }
}

void LauncherPool::run(isolation::LaunchSite& site, Task& task) {
    const Token token = task.token;
    isolation::Launch launch(context_, task.request, &site);
    {
        const std::lock_guard lock(mutex_);
        task.launch = &launch;
        if (task.is_cancelled)
            launch.cancel();
    }
    isolation::LaunchOutcome outcome = launch.run();
    if (!outcome.error)
        if (Fd network = launch.take_network())
            shelf_->lend(token.pack(), std::move(network));
    bool is_first;
    {
        const std::lock_guard lock(mutex_);
        running_.remove_if([&](const Task& one) { return one.token == token; });
        tell_whether_busy();
        is_first = ended_.empty();
        ended_.push_back({token, std::move(outcome)});
    }
    const uint64_t one = 1;
    if (is_first)  // else the reactor has been told and has not looked yet
        (void)sys::write_all(ready_.get(), {reinterpret_cast<const char*>(&one), sizeof one});
}

void LauncherPool::run_parking() {
    (void)sys::unshare(CLONE_FS);
    parking_site_.emplace(*roots_, nullptr, *shelf_, nullptr);
    parked_->run();
    parking_site_.reset();
    const std::lock_guard lock(mutex_);
    is_parking_ = false;
    started_.notify_all();
}

void LauncherPool::discard_parked() {
    if (!parked_)
        return;
    parked_->stop();
    std::unique_lock lock(mutex_);
    started_.wait(lock, [this] { return !is_parking_; });
}

void LauncherPool::tell_whether_busy() {
    if (parked_)
        parked_->set_busy(!running_.empty() || !queued_.empty());
}

// From the thread of parked_.
Result<isolation::ParkedContainer> LauncherPool::park(const Spec& spec) {
    const std::string name = fmt::format("{}{}", isolation::kParkedMark, ++parked_so_far_);
    const isolation::LaunchRequest request = {.spec = spec, .name = name};
    return isolation::Launch(context_, request, &*parking_site_).park();
}

void LauncherPool::attach(Reactor& reactor, Supervisor& supervisor) {
    reactor_ = &reactor;
    supervisor_ = &supervisor;
    reactor.attach(Source::launcher, *this);
    reactor.ring().poll(kReady, ready_.get(), POLLIN);
}

void LauncherPool::launch(Token token, const isolation::LaunchRequest& request) {
    {
        const std::lock_guard lock(mutex_);
        queued_.push_back({.token = token, .request = request});
    }
    work_.notify_one();
}

void LauncherPool::cancel(Token token) {
    const std::lock_guard lock(mutex_);
    for (std::list<Task>* tasks : {&queued_, &running_})
        for (Task& task : *tasks)
            if (task.token == token) {
                task.is_cancelled = true;
                if (task.launch)
                    task.launch->cancel();
            }
}

void LauncherPool::ended(Token token) {
    {
        const std::lock_guard lock(mutex_);
        shelf_->come_back(token.pack());
        if (!shelf_->is_untidy())
            return;
    }
    work_.notify_one();
}

void LauncherPool::complete(const Completion&) {
    uint64_t count = 0;
    (void)sys::read(ready_.get(), {reinterpret_cast<char*>(&count), sizeof count});
    std::vector<Ended> ended;
    {
        const std::lock_guard lock(mutex_);
        ended.swap(ended_);
    }
    for (Ended& one : ended)
        supervisor_->launched(one.token, std::move(one.outcome));
    reactor_->ring().poll(kReady, ready_.get(), POLLIN);
}

}  // namespace sigil::loop
