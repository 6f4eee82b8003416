#include "loop/fleet.h"

#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
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
    return source_ended_ && entries_.empty() && replaced_.empty();
}

// ---- starts -----------------------------------------------------------------------------------

void Fleet::pump() {
    if (is_pumping_)  // an end that came back at once: the loop below goes on
        return;
    is_pumping_ = true;
    do
        start_ready();
    while (reject_unsatisfiable());
    is_pumping_ = false;
    check_finished();
}

void Fleet::start_ready() {
    while (!is_stopping_ && has_room()) {
        if (!rested_.empty()) {
            Entry& entry = *rested_.front();
            rested_.pop_front();
            start(entry);
            continue;
        }
        if (ready_.empty() || places_taken_ >= options_.most_live) {
            if (places_taken_ >= options_.most_live || !take_next())
                break;
            continue;
        }
        Entry& entry = *ready_.front();
        ready_.pop_front();
        ++places_taken_;
        entry.is_settled = !takes_first_;
        unsettled_ += takes_first_;
        observer_.created(subject_of(entry));
        start(entry);
    }
    const bool is_exhausted =
        source_ended_ && ready_.empty() && waiting_ == 0 && replaced_.empty() && leaving_ == 0;
    if (is_exhausted || is_stopping_ || places_taken_ >= options_.most_live)
        takes_first_ = false;
}

// False: there is nothing to take now.
bool Fleet::take_next() {
    if (!replaced_.empty()) {
        NamedJob next = std::move(replaced_.front());
        replaced_.pop_front();
        admit(std::move(next.job), std::move(next.name));
        return true;
    }
    if (source_ended_ || waiting_ >= kMostWaiting)
        return false;
    std::shared_ptr<const Job> job;
    std::string name;
    switch (source_->next(job, name)) {
        case JobSource::Answer::job:
            if (is_stopping_) {  // since a line before it that is no job (--fail-fast)
                ++summary_.not_started;
                return false;
            }
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
        if (other ? other->has_started : is_remembered(dependency))
            continue;
        ++entry.missing;
        entry.waits.push_back(waits_for_.emplace(dependency, &entry));
    }
    if (entry.missing == 0) {
        entry.state = State::ready;
        ready_.push_back(&entry);
        return;
    }
    ++waiting_;
    if (closes_cycle(entry))
        reject_waiting(entry, Error::because("after: a cycle: " + describe_cycle(entry)));
}

void Fleet::start(Entry& entry) {
    entry.state = State::live;
    entry.started_at = {};
    entry.is_ready = false;
    entry.has_news = false;
    ++running_;
    for (const std::string& dependency : entry.job->after)
        if (Entry* other = find(dependency))
            ++other->dependents;
    const auto requested = std::exchange(options_.requested, std::nullopt);
    Start start = {.name = entry.name,
                   .spec = std::shared_ptr<const Spec>(entry.job, &entry.job->spec),
                   .request = requested ? *requested : sys::monotonic_now(),
                   .tag = tag_of(entry)};
    if (relay_) {
        auto mount = relay_->open(start.tag);
        if (!mount)
            return fail_start(entry, start, std::move(mount).error().in("--notify"));
        start.notify_mount = *mount;
    }
    if (streams_) {
        auto streams = streams_->open(*entry.job, entry.name, start.tag, entry.restarts > 0);
        if (!streams)
            return fail_start(entry, start, std::move(streams).error());
        start.streams = *streams;
    }
    entry.container = supervisor_->start(std::move(start));
}

// What it needs could not be opened.
void Fleet::fail_start(Entry& entry, const Start& start, Error error) {
    Outcome outcome;
    outcome.times.request = start.request;
    outcome.cause = Cause::failed;
    outcome.error = std::move(error);
    ended(subject_of(entry), std::move(outcome));
}

void Fleet::started(const Subject& subject, const Outcome& so_far) {
    Entry& entry = entry_of(subject);
    if (streams_)
        streams_->close(subject.tag);
    entry.started_at = so_far.times.executed;
    entry.pid = so_far.pid;
    ++summary_.started;
    observer_.started(subject, so_far);
    if (std::exchange(entry.has_news, false) && !entry.is_leaving)
        tell_limits(entry);
    if (relay_)
        relay_->begin(subject.tag);
    else
        ready(subject.tag);
}

void Fleet::ready(uint64_t tag) {
    Entry& entry = *reinterpret_cast<Entry*>(tag);
    if (std::exchange(entry.is_ready, true))
        return;
    entry.has_started = true;
    has_been_ready_ = true;
    settle(entry);
    observer_.ready(subject_of(entry));
    release_dependents(entry.name);
    pump();
}

void Fleet::settle(Entry& entry) {
    if (!std::exchange(entry.is_settled, true))
        --unsettled_;
}

bool Fleet::is_up() const {
    if (!has_been_ready_)
        return false;
    return options_.is_endless || (!takes_first_ && unsettled_ == 0);
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

void Fleet::ended(const Subject& subject, Outcome&& outcome) {
    Entry& entry = entry_of(subject);
    if (relay_)
        relay_->ended(subject.tag);
    --running_;
    entry.state = State::ending;
    bool is_told = true;
    if (streams_) {
        streams_->close(subject.tag);
        is_told = streams_->ended(subject.tag);
    }
    if (!is_told) {
        entry.outcome = std::make_unique<Outcome>(std::move(outcome));
        leave_dependencies(entry);
        return;
    }
    tell_end(entry, std::move(outcome));
    leave_dependencies(entry);
    go_on_after_end(entry);
}

void Fleet::streams_told(uint64_t tag) {
    Entry& entry = *reinterpret_cast<Entry*>(tag);
    const auto outcome = std::move(entry.outcome);
    tell_end(entry, std::move(*outcome));
    go_on_after_end(entry);
}

void Fleet::tell_end(Entry& entry, Outcome&& outcome) {
    entry.state = State::gone;
    entry.cause = outcome.cause;
    entry.exit_code = exit_code(outcome);
    observer_.ended(subject_of(entry), std::move(outcome));
}

void Fleet::go_on_after_end(Entry& entry) {
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
    if (is_stopping_ || entry.is_leaving || entry.cause == Cause::stopped ||
        policy.when == RestartPolicy::no ||
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
    ++entry.all_restarts;
    ++summary_.restarts;
    entry.state = State::resting;
    if (!relay_)
        settle(entry);
    observer_.restarting(subject_of(entry), delay, entry.restarts);
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
    rested_.push_back(entry);
    pump();
}

// It is gone for good.
void Fleet::conclude(Entry& entry) {
    entry.state = State::gone;
    settle(entry);
    --places_taken_;
    count(entry);
    const std::string name = entry.name;
    const bool is_leaving = entry.is_leaving;
    auto successor = std::move(entry.successor);
    if (entry.has_started)
        remember(name);
    else if (!successor)
        reject_dependents(name);
    entries_.erase(name);
    observer_.gone(name);
    if (!is_leaving)
        return;
    --leaving_;
    if (successor && !is_stopping_)
        replaced_.push_back({.name = name, .job = std::move(successor)});
}

void Fleet::count(const Entry& entry) {
    ++summary_.causes[static_cast<size_t>(entry.cause)];
    summary_.succeeded += entry.cause == Cause::exited && entry.exit_code == 0;
    summary_.out_of_memory += entry.is_oom;
    if (entry.exit_code != 0 && !entry.is_leaving)
        fail(entry.exit_code);
}

void Fleet::fail(int exit_code) {
    if (summary_.exit_code == 0)
        summary_.exit_code = exit_code;
    if (options_.fail_fast && !is_stopping_)
        stop_now({.number = SIGTERM, .value = {}});
}

void Fleet::reject_line(uint64_t line, const Error& error) {
    reject({}, line, error);
}

void Fleet::reject(const std::string& name, uint64_t line, const Error& error) {
    ++summary_.rejected;
    observer_.rejected(name, line, error);
    fail(error.exit_code());
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

const Job* Fleet::job(const std::string& name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : found->second->job.get();
}

std::vector<JobFacts> Fleet::jobs(std::string_view after, size_t most) const {
    constexpr std::array kStates = {"waiting", "ready", "live", "ending", "resting", "gone"};
    std::vector<const Entry*> found;
    for (const auto& [name, entry] : entries_)
        if (name > after)
            found.push_back(entry.get());
    const auto by_name = [](const Entry* one, const Entry* other) {
        return one->name < other->name;
    };
    const auto end = found.begin() + static_cast<ptrdiff_t>(std::min(most, found.size()));
    std::partial_sort(found.begin(), end, found.end(), by_name);
    std::vector<JobFacts> facts;
    for (auto at = found.begin(); at != end; ++at) {
        const Entry& entry = **at;
        facts.push_back({entry.name, kStates[static_cast<size_t>(entry.state)], entry.pid,
                         entry.state == State::live ? entry.started_at : Time{},
                         entry.all_restarts});
    }
    return facts;
}

}  // namespace sigil::loop
