// A run whose jobs are given anew (SIGHUP with --from FILE): what is gone is stopped, what is new
// is started, what has changed is stopped and started anew, or is given its new limits as it runs,
// and the rest isn't touched.
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <span>
#include <unordered_set>

#include "core/try.h"
#include "isolation/cgroup_host.h"
#include "loop/fleet.h"

namespace sigil::loop {
namespace {

bool is_same_filter(const std::shared_ptr<const SeccompProgram>& one,
                    const std::shared_ptr<const SeccompProgram>& other) {
    if (one == other || !one || !other)
        return one == other;
    const auto bytes = [](const SeccompProgram& program) {
        return std::as_bytes(std::span(program.instructions));
    };
    return one->flags == other->flags && std::ranges::equal(bytes(*one), bytes(*other));
}

// The job as it was, with what of the new one takes effect while the container runs.
Job with_what_can_change(const Job& old, const Job& next) {
    Job job = old;
    job.spec.resources = next.spec.resources;
    job.spec.stop_timeout = next.spec.stop_timeout;
    job.stop_signal = next.stop_signal;
    job.restart = next.restart;
    if (is_same_filter(old.spec.seccomp, next.spec.seccomp))
        job.spec.seccomp = next.spec.seccomp;
    return job;
}

// Whether writing the new limits is all that there is to do: none of the old would stay behind, and
// no controller is needed that the cgroup's place was not chosen for.
bool can_be_written(const Resources& old, const Resources& next) {
    const auto is_kept = [](const auto& was, const auto& is) { return !was || is; };
    const auto had = isolation::needed_controllers(old);
    const auto needed = isolation::needed_controllers(next);
    return is_kept(old.memory, next.memory) && is_kept(old.memory_high, next.memory_high) &&
           is_kept(old.memory_swap, next.memory_swap) && is_kept(old.cpu_quota, next.cpu_quota) &&
           is_kept(old.cpu_period, next.cpu_period) && is_kept(old.pids, next.pids) &&
           (old.cpuset_cpus.empty() || !next.cpuset_cpus.empty()) && old.io_max == next.io_max &&
           old.files == next.files && old.oom_group == next.oom_group &&
           std::ranges::all_of(needed, [&had](const std::string& one) {
               return std::ranges::find(had, one) != had.end();
           });
}

}  // namespace

std::vector<NamedJob> Fleet::replace(std::vector<NamedJob> jobs) {
    if (is_stopping_)
        return {};
    std::unordered_map<std::string, const NamedJob*> wanted;
    for (const NamedJob& job : jobs)
        wanted.emplace(job.name, &job);
    std::unordered_set<std::string> placed;
    std::unordered_set<std::string> unstarted;
    for (const auto& [name, entry] : entries_)
        if (entry->state == State::waiting || entry->state == State::ready)
            unstarted.insert(name);
        else
            placed.insert(name);
    ready_.clear();
    waits_for_.clear();
    waiting_ = 0;
    for (const std::string& name : unstarted)
        entries_.erase(name);
    replaced_.clear();
    for (const std::string& name : placed) {
        const auto found = wanted.find(name);
        if (Entry* entry = find(name))  // an end may have come back at once
            change(*entry, found == wanted.end() ? nullptr : found->second->job);
    }
    std::erase_if(jobs, [&](const NamedJob& job) {
        return placed.contains(job.name) || (job.is_past && !unstarted.contains(job.name));
    });
    takes_first_ = true;
    source_ended_ = false;
    return jobs;
}

// Of a job that has a place. Null: it is to go.
void Fleet::change(Entry& entry, const std::shared_ptr<const Job>& next) {
    if (!next)
        return dismiss(entry, nullptr);
    const Job changed = with_what_can_change(*entry.job, *next);
    if (changed != *next || !can_be_written(entry.job->spec.resources, next->spec.resources))
        return dismiss(entry, next);
    entry.job = next;
    if (entry.is_leaving)  // of an earlier change
        entry.successor = next;
    else if (entry.state == State::live && entry.started_at == Time{})
        entry.has_news = true;  // its launch reads what it began with
    else if (entry.state == State::live)
        tell_limits(entry);
}

// Where they cannot be written, it is started anew with them.
void Fleet::tell_limits(Entry& entry) {
    const auto job = entry.job;
    auto updated =
        supervisor_->update(entry.container, std::shared_ptr<const Spec>(job, &job->spec));
    if (updated)
        return;
    observer_.warning(subject_of(entry), updated.error());
    dismiss(entry, job);
}

// Ends the job; once it has, `successor` starts in its stead, if there is one.
void Fleet::dismiss(Entry& entry, std::shared_ptr<const Job> successor) {
    entry.successor = std::move(successor);
    if (std::exchange(entry.is_leaving, true))
        return;
    ++leaving_;
    if (entry.state == State::resting) {
        drop_rest(entry);
        return conclude(entry);
    }
    if (entry.state != State::live)  // its end is on its way
        return;
    const int number = entry.job->stop_signal != 0 ? entry.job->stop_signal : SIGTERM;
    supervisor_->stop(entry.container, {.number = number, .value = {}});
}

}  // namespace sigil::loop
