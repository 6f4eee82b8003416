#include "isolation/parked.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>

#include "core/sys.h"
#include "isolation/launch_plan.h"

namespace sigil::isolation {

// Each has two, which every clone copies. The launches have theirs, and NetworkPool its half.
size_t most_parked(size_t asked) {
    constexpr size_t kOfEach = 2;
    rlimit files = {};
    ::getrlimit(RLIMIT_NOFILE, &files);
    return std::min<size_t>(asked, files.rlim_cur / 4 / kOfEach);
}

std::optional<Spec> parked_spec(const Spec& spec) {
    if (!shareable_mounts(spec) || spec.terminal || spec.shares_terminal ||
        !spec.passed_fds.empty() || !spec.cgroup_parent.empty())
        return std::nullopt;
    // Nobody is left to tell why its execve failed whom its own filter may keep from it.
    if (!spec.init && spec.seccomp && !spec.seccomp->admits_launch)
        return std::nullopt;
    Spec shape = spec;
    shape.name.clear();
    shape.hostname.clear();
    shape.args = {""};
    shape.env.clear();
    shape.cwd = "/";
    shape.user.clear();
    shape.rlimits.clear();
    shape.signal_group = false;
    shape.timeout.reset();
    shape.stop_timeout = {};
    return shape;
}

void discard(std::list<ParkedContainer> containers) {
    for (ParkedContainer& one : containers) {
        (void)::kill(one.pid, SIGKILL);  // not reaped yet: the pid is its own
        one.child = {};                  // by which it ends too
    }
    for (const ParkedContainer& one : containers)
        if (!sys::reap(one.pid))
            (void)sys::reap(one.pid);  // its cgroup cannot go before it has
}

void discard(ParkedContainer container) {
    std::list<ParkedContainer> one;
    one.push_back(std::move(container));
    discard(std::move(one));
}

ParkedContainers::ParkedContainers(size_t count, Make make)
    : count_(most_parked(count)), make_(std::move(make)) {}

std::optional<ParkedContainer> ParkedContainers::take(const ParkedShape& shape,
                                                      const std::string& places) {
    std::optional<ParkedContainer> taken;
    {
        const std::lock_guard lock(mutex_);
        wanted_ = known(shape);
        for (auto one = ready_.begin(); !taken && one != ready_.end();) {
            if (one->shape != wanted_) {
                ++one;
            } else if (one->places != places || one->child.is_gone()) {
                dead_.splice(dead_.end(), ready_, one++);
            } else {
                taken = std::move(*one);
                ready_.erase(one);
            }
        }
    }
    changed_.notify_one();
    return taken;
}

void ParkedContainers::set_busy(bool is_busy) {
    {
        const std::lock_guard lock(mutex_);
        is_busy_ = is_busy;
        idle_since_ = std::chrono::steady_clock::now();
    }
    if (!is_busy)
        changed_.notify_one();
}

// The same shape is the same object: there may be many, and comparing takes its time.
ParkedContainers::Shape ParkedContainers::known(const ParkedShape& shape) const {
    if (wanted_ && *wanted_ == shape)
        return wanted_;
    const ParkedShape* other = wanted_.get();
    for (const ParkedContainer& one : ready_) {
        if (one.shape.get() == other)
            continue;
        if (*one.shape == shape)
            return one.shape;
        other = one.shape.get();
    }
    return std::make_shared<const ParkedShape>(shape);
}

bool ParkedContainers::is_wanted() const {
    if (!wanted_ || is_busy_)
        return false;
    return std::ranges::count(ready_, wanted_, &ParkedContainer::shape) <
           static_cast<ptrdiff_t>(count_);
}

// The dead, and the oldest of another shape where there are as many as there may be.
std::list<ParkedContainer> ParkedContainers::take_surplus() {
    std::list<ParkedContainer> surplus;
    surplus.splice(surplus.end(), dead_);
    if (is_wanted() && ready_.size() >= count_)
        surplus.splice(surplus.end(), ready_,
                       std::ranges::find_if(ready_, [this](const ParkedContainer& one) {
                           return one.shape != wanted_;
                       }));
    return surplus;
}

// In another root than it was asked for is what was made after another directory has taken the
// path.
Result<ParkedContainer> ParkedContainers::make(const Shape& shape) const {
    auto made = make_(shape->spec);
    if (!made)
        return made;
    made->shape = shape;
    if (made->root == shape->root)
        return made;
    discard(std::move(*made));
    return failure("its root is another one");
}

// Where none can be made, each launch makes its own, and tells. That may pass: it is tried again,
// less and less often.
void ParkedContainers::run() {
    constexpr std::chrono::milliseconds kQuiet(2);
    constexpr std::chrono::milliseconds kFirstPause(10);
    constexpr std::chrono::milliseconds kLongestPause(1000);
    auto pause = kFirstPause;
    std::unique_lock lock(mutex_);
    while (!is_over_) {
        changed_.wait(lock, [this] { return is_over_ || is_wanted() || !dead_.empty(); });
        if (is_over_)
            break;
        if (const auto due = idle_since_ + kQuiet;
            is_wanted() && std::chrono::steady_clock::now() < due) {
            changed_.wait_until(lock, due);
            continue;
        }
        std::list<ParkedContainer> surplus = take_surplus();
        const Shape shape = is_wanted() ? wanted_ : nullptr;
        lock.unlock();
        discard(std::move(surplus));
        auto made = shape ? make(shape) : failure("none is wanted");
        lock.lock();
        if (made) {
            ready_.push_back(std::move(*made));
            pause = kFirstPause;
        } else if (shape) {
            changed_.wait_for(lock, pause, [this] { return is_over_; });
            pause = std::min(pause * 2, kLongestPause);
        }
    }
    std::list<ParkedContainer> left = std::move(ready_);
    left.splice(left.end(), dead_);
    lock.unlock();
    discard(std::move(left));
}

void ParkedContainers::stop() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_one();
}

}  // namespace sigil::isolation
