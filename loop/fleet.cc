#include "loop/fleet.h"

#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

// Jobs that wait for others are held in memory, and so are the names of some that have started.
constexpr uint64_t kMostWaiting = 65'536;
constexpr size_t kMostRemembered = 65'536;

}  // namespace

Fleet::Fleet(Reactor& reactor, FleetObserver& observer, const FleetOptions& options)
    : reactor_(reactor), observer_(observer), options_(options) {
    reactor.attach(Source::fleet, *this);
}

void Fleet::use(Supervisor& supervisor, JobSource& source, StreamProvider* streams) {
    supervisor_ = &supervisor;
    source_ = &source;
    streams_ = streams;
}

Fleet::Entry* Fleet::find(const std::string& name) {
    auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : found->second.get();
}

bool Fleet::is_finished() const {
    return source_ended_ && entries_.empty();
}

// ---- starts -----------------------------------------------------------------------------------

void Fleet::pump() {
    if (is_pumping_)  // an end that came back at once: the loop below goes on
        return;
    is_pumping_ = true;
    while (!is_stopping_) {
        if (ready_.empty() || places_taken_ >= options_.most_live) {
            if (places_taken_ >= options_.most_live || !take_next())
                break;
            continue;
        }
        Entry& entry = *ready_.front();
        ready_.pop_front();
        ++places_taken_;
        observer_.created({entry.name, entry.job->spec, tag_of(entry)});
        start(entry);
    }
    is_pumping_ = false;
    if (source_ended_ && places_taken_ == 0 && waiting_ > 0 && ready_.empty())
        reject_unsatisfiable();
    check_finished();
}

// False: there is nothing to take now.
bool Fleet::take_next() {
    if (source_ended_ || waiting_ >= kMostWaiting)
        return false;
    std::shared_ptr<const Job> job;
    std::string name;
    switch (source_->next(job, name)) {
        case JobSource::Answer::job:
            admit(std::move(job), std::move(name));
            return true;
        case JobSource::Answer::later:
            return false;
        case JobSource::Answer::end:
            source_ended_ = true;
            return false;
    }
    return false;
}

void Fleet::admit(std::shared_ptr<const Job> job, std::string name) {
    auto [place, is_new] = entries_.try_emplace(name);
    if (!is_new)
        return reject(name, 0, Error::because("another container of that name is running"));
    place->second = std::make_unique<Entry>();
    Entry& entry = *place->second;
    entry.name = std::move(name);
    entry.job = std::move(job);
    for (const std::string& dependency : entry.job->after) {
        const Entry* other = find(dependency);
        const bool is_past = remembered_.contains(dependency);
        if ((other && other->has_started) || (!other && is_past))
            continue;
        ++entry.missing;
        waits_for_.emplace(dependency, &entry);
    }
    if (entry.missing == 0) {
        entry.state = State::ready;
        ready_.push_back(&entry);
        return;
    }
    ++waiting_;
    if (std::string cycle = find_cycle(entry); !cycle.empty())
        reject_waiting(entry, Error::because("after: a cycle: " + cycle));
}

// "a, which is after b, which is after a"; empty: none. What waits for `from` is walked in depth;
// a cycle closes with the last of its jobs to come.
std::string Fleet::find_cycle(const Entry& from) {
    std::vector<std::vector<const Entry*>> paths = {{&from}};
    std::set<const Entry*> seen;
    while (!paths.empty()) {
        std::vector<const Entry*> path = std::move(paths.back());
        paths.pop_back();
        for (const std::string& name : path.back()->job->after) {
            const Entry* next = find(name);
            if (!next || next->state != State::waiting)
                continue;
            if (next == &from) {
                std::string text;
                for (const Entry* entry : path)
                    text += entry->name + " is after ";
                return text + from.name;
            }
            if (seen.insert(next).second) {
                paths.push_back(path);
                paths.back().push_back(next);
            }
        }
    }
    return {};
}

void Fleet::start(Entry& entry) {
    entry.state = State::live;
    entry.started_at = {};
    ++running_;
    for (const std::string& dependency : entry.job->after)
        if (Entry* other = find(dependency))
            ++other->dependents;
    const auto requested = std::exchange(options_.requested, std::nullopt);
    Start start = {.name = entry.name,
                   .spec = std::shared_ptr<const Spec>(entry.job, &entry.job->spec),
                   .request = requested ? *requested : sys::monotonic_now(),
                   .tag = tag_of(entry)};
    if (streams_) {
        auto streams = streams_->open(*entry.job, entry.name, start.tag, entry.restarts > 0);
        if (!streams) {
            Outcome outcome;
            outcome.times.request = start.request;
            outcome.cause = Cause::failed;
            outcome.error = std::move(streams).error();
            return ended({entry.name, entry.job->spec, start.tag}, outcome);
        }
        start.streams = *streams;
    }
    entry.container = supervisor_->start(std::move(start));
}

void Fleet::started(const Subject& subject, const Outcome& so_far) {
    Entry& entry = entry_of(subject);
    if (streams_)
        streams_->close(subject.tag);
    entry.started_at = so_far.times.executed;
    entry.has_started = true;
    observer_.started(subject, so_far);
    release_dependents(entry.name);
    pump();
}

// Those that wait for it may start.
void Fleet::release_dependents(const std::string& name) {
    auto [begin, end] = waits_for_.equal_range(name);
    for (auto waiting = begin; waiting != end; ++waiting) {
        Entry& entry = *waiting->second;
        if (--entry.missing > 0)
            continue;
        --waiting_;
        entry.state = State::ready;
        ready_.push_back(&entry);
    }
    waits_for_.erase(begin, end);
}

// ---- ends -------------------------------------------------------------------------------------

void Fleet::out_of_memory(const Subject& subject, const Outcome& so_far) {
    entry_of(subject).is_oom = true;
    observer_.out_of_memory(subject, so_far);
}

void Fleet::stopping(const Subject& subject) {
    observer_.stopping(subject);
}

void Fleet::warning(const Subject& subject, const Error& error) {
    observer_.warning(subject, error);
}

void Fleet::ended(const Subject& subject, const Outcome& outcome) {
    Entry& entry = entry_of(subject);
    if (streams_) {
        streams_->close(subject.tag);
        streams_->ended(subject.tag);
    }
    --running_;
    entry.state = State::gone;
    entry.cause = outcome.cause;
    entry.exit_code = exit_code(outcome);
    observer_.ended(subject, outcome);
    leave_dependencies(entry);
    if (entry.started_at != Time{} &&
        sys::monotonic_now() - entry.started_at >= options_.backoff.well)
        entry.restarts = 0;
    if (wants_restart(entry, entry.exit_code != 0))
        rest(entry);
    else
        conclude(entry);
    pump();
}

bool Fleet::wants_restart(const Entry& entry, bool has_failed) const {
    const RestartPolicy& policy = entry.job->restart;
    if (is_stopping_ || entry.cause == Cause::stopped || policy.when == RestartPolicy::no ||
        (policy.when == RestartPolicy::on_failure && !has_failed))
        return false;
    return policy.most == 0 || entry.restarts < policy.most;
}

// Waits before the next start; keeps its place meanwhile.
void Fleet::rest(Entry& entry) {
    const Time now = sys::monotonic_now();
    const auto doubled = std::min<uint64_t>(entry.restarts, 20);
    Time delay =
        std::min(options_.backoff.first * (int64_t{1} << doubled), options_.backoff.longest);
    delay -=
        Time(static_cast<int64_t>(sys::random_below(static_cast<uint64_t>(delay.count()) / 2 + 1)));
    ++entry.restarts;
    ++summary_.restarts;
    entry.state = State::resting;
    observer_.restarting({entry.name, entry.job->spec, tag_of(entry)}, delay, entry.restarts);
    entry.rest = rests_.emplace(Source::fleet, &entry);
    rests_.launched(entry.rest);
    reactor_.ring().timer(entry.rest.with(Operation::restart), now + delay);
}

void Fleet::complete(const Completion& completion) {
    Entry** resting = rests_.find(completion.token);
    if (!resting)
        return;
    Entry* entry = *resting;
    rests_.retire(completion.token);
    rests_.landed(completion.token);
    if (!entry)  // dropped by a stop
        return;
    start(*entry);
    pump();
}

// It no longer runs: those that it came after may be stopped.
void Fleet::leave_dependencies(const Entry& entry) {
    for (const std::string& dependency : entry.job->after) {
        Entry* other = find(dependency);
        if (!other || other->dependents == 0)
            continue;
        if (--other->dependents == 0 && is_stopping_ && other->state == State::live)
            send_stop(*other);
    }
}

// It is gone for good.
void Fleet::conclude(Entry& entry) {
    entry.state = State::gone;
    --places_taken_;
    count(entry);
    const std::string name = entry.name;
    if (entry.has_started) {
        remember(name);
    } else {
        for (auto waiting = waits_for_.find(name); waiting != waits_for_.end();
             waiting = waits_for_.find(name))
            reject_waiting(*waiting->second,
                           Error::because(fmt::format("after: {} did not start", name)));
    }
    entries_.erase(name);
}

void Fleet::count(const Entry& entry) {
    ++summary_.causes[static_cast<size_t>(entry.cause)];
    summary_.succeeded += entry.cause == Cause::exited && entry.exit_code == 0;
    summary_.out_of_memory += entry.is_oom;
    if (entry.exit_code != 0)
        fail(entry.exit_code);
}

void Fleet::fail(int exit_code) {
    if (summary_.exit_code == 0)
        summary_.exit_code = exit_code;
    if (options_.fail_fast && !is_stopping_)
        stop({.number = SIGTERM, .value = {}});
}

void Fleet::remember(const std::string& name) {
    // Nobody may name it who isn't known yet, once there is nobody to come.
    if (source_ended_)
        return;
    if (!remembered_.insert(name).second)
        return;
    remembered_order_.push_back(name);
    if (remembered_order_.size() <= kMostRemembered)
        return;
    remembered_.erase(remembered_order_.front());
    remembered_order_.pop_front();
}

void Fleet::reject_line(uint64_t line, const Error& error) {
    reject({}, line, error);
}

void Fleet::reject(const std::string& name, uint64_t line, const Error& error) {
    ++summary_.rejected;
    observer_.rejected(name, line, error);
    fail(error.exit_code());
}

// Those that wait for it can't start either.
void Fleet::reject_waiting(Entry& entry, const Error& error) {
    const std::string name = entry.name;
    std::erase_if(waits_for_, [&](const auto& wait) { return wait.second == &entry; });
    --waiting_;
    entries_.erase(name);
    reject(name, 0, error);
    for (auto waiting = waits_for_.find(name); waiting != waits_for_.end();
         waiting = waits_for_.find(name))
        reject_waiting(*waiting->second,
                       Error::because(fmt::format("after: {} did not start", name)));
}

// Nothing runs, nothing is to come: what is waited for does not exist.
void Fleet::reject_unsatisfiable() {
    while (!waits_for_.empty()) {
        // What waits for one that is here is rejected with that one.
        auto first =
            std::ranges::find_if(waits_for_, [&](const auto& w) { return !find(w.first); });
        const auto& [name, entry] = first == waits_for_.end() ? *waits_for_.begin() : *first;
        reject_waiting(*entry,
                       Error::because(fmt::format("after: there is no container named {}", name)));
    }
}

void Fleet::check_finished() {
    if (is_finished())
        observer_.finished();
}

uint64_t Fleet::ended() const {
    uint64_t total = summary_.rejected;
    for (uint64_t one : summary_.causes)
        total += one;
    return total;
}

// ---- stops ------------------------------------------------------------------------------------

void Fleet::forward(const Signal& signal) {
    supervisor_->forward(signal);
}

void Fleet::stop(const Signal& signal) {
    const bool is_first = !is_stopping_;
    is_stopping_ = true;
    stop_signal_ = signal;
    source_ended_ = true;
    if (is_first)
        drop_idle();
    stop_all(is_first);
    check_finished();
}

// What does not run ends without having started, or as it has ended last.
void Fleet::drop_idle() {
    std::vector<Entry*> resting;
    std::vector<std::string> idle;
    for (auto& [name, entry] : entries_) {
        if (entry->state == State::resting)
            resting.push_back(entry.get());
        else if (entry->state == State::waiting || entry->state == State::ready)
            idle.push_back(name);
    }
    ready_.clear();
    waits_for_.clear();
    waiting_ = 0;
    summary_.not_started += idle.size();
    for (const std::string& name : idle)
        entries_.erase(name);
    for (Entry* entry : resting) {
        reactor_.ring().cancel(entry->rest.with(Operation::restart));
        *rests_.find(entry->rest) = nullptr;
        conclude(*entry);
    }
}

void Fleet::stop_all(bool in_order) {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_)
        if (entry->state == State::live && (!in_order || entry->dependents == 0))
            names.push_back(name);
    for (const std::string& name : names)
        if (Entry* entry = find(name))  // an end may have come back at once
            send_stop(*entry);
}

void Fleet::send_stop(Entry& entry) {
    Signal signal = stop_signal_;
    if (entry.job->stop_signal != 0)
        signal = {.number = entry.job->stop_signal, .value = {}};
    supervisor_->stop(entry.container, signal);
}

}  // namespace sigil::loop
