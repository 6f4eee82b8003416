// Which job waits for which: `after`. A job that waits is let go once all that it names have
// started, and rejected once that can't happen: a cycle, or a name that nobody will have.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "loop/fleet.h"

namespace sigil::loop {
namespace {

constexpr size_t kMostRemembered = 65'536;  // names

}  // namespace

// A cycle closes with the last of its jobs to come. It is looked for from that one in both
// directions by turns, so that the search costs no more than the shorter way takes: a chain that
// comes link by link costs nothing, whichever end comes first.
bool Fleet::closes_cycle(const Entry& entry) {
    struct Walk {
        std::vector<const Entry*> next;
        std::unordered_set<const Entry*> seen;
    };
    Walk before = {.next = {&entry}, .seen = {}};
    Walk behind = before;
    bool is_found = false;
    auto visit = [&](Walk& walk, const Entry* other) {
        if (!other || other->state != State::waiting)
            return;
        is_found = is_found || other == &entry;
        if (walk.seen.insert(other).second)
            walk.next.push_back(other);
    };
    auto take = [](Walk& walk) {
        const Entry* last = walk.next.back();
        walk.next.pop_back();
        return last;
    };
    while (!is_found && !before.next.empty() && !behind.next.empty()) {
        for (const std::string& name : take(before)->job->after)
            visit(before, find(name));
        auto [begin, end] = waits_for_.equal_range(take(behind)->name);
        for (auto waiting = begin; waiting != end; ++waiting)
            visit(behind, waiting->second);
    }
    return is_found;
}

// "a is after b is after a", of a cycle that is there; walked in depth.
std::string Fleet::describe_cycle(const Entry& from) {
    std::unordered_map<const Entry*, const Entry*> came_from;
    std::vector<const Entry*> next = {&from};
    const Entry* last = nullptr;
    while (!last && !next.empty()) {
        const Entry* entry = next.back();
        next.pop_back();
        for (const std::string& name : entry->job->after) {
            const Entry* other = find(name);
            if (other == &from)
                last = entry;
            else if (other && other->state == State::waiting &&
                     came_from.emplace(other, entry).second)
                next.push_back(other);
        }
    }
    std::string text = from.name;
    for (const Entry* entry = last; entry && entry != &from; entry = came_from.at(entry))
        text.insert(0, entry->name + " is after ");
    return from.name + " is after " + text;
}

// Those that wait for it may start.
void Fleet::release_dependents(const std::string& name) {
    auto [begin, end] = waits_for_.equal_range(name);
    for (auto waiting = begin; waiting != end; ++waiting) {
        Entry& entry = *waiting->second;
        std::erase(entry.waits, waiting);
        if (--entry.missing > 0)
            continue;
        --waiting_;
        entry.state = State::ready;
        ready_.push_back(&entry);
    }
    waits_for_.erase(begin, end);
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

void Fleet::remember(const std::string& name) {
    // Nobody may name it who isn't known yet, once there is nobody to come.
    if (source_ended_ && !observer_.can_reload())
        return;
    remembered_.push_back(std::hash<std::string>{}(name));
    if (remembered_.size() > kMostRemembered)
        remembered_.pop_front();
}

bool Fleet::is_remembered(const std::string& name) const {
    return std::ranges::find(remembered_, std::hash<std::string>{}(name)) != remembered_.end();
}

// Those that wait for it can't start either.
void Fleet::reject_waiting(Entry& entry, const Error& error) {
    std::string name = entry.name;
    for (auto wait : entry.waits)
        waits_for_.erase(wait);
    --waiting_;
    entries_.erase(name);
    reject(name, 0, error);
    reject_dependents(std::move(name));
}

// Nor can those that wait for them: one at a time, for a chain may be as long as it likes.
void Fleet::reject_dependents(std::string name) {
    if (is_rejecting_) {
        lost_.push_back(std::move(name));
        return;
    }
    is_rejecting_ = true;
    for (lost_ = {std::move(name)}; !lost_.empty(); lost_.pop_front())
        for (auto waiting = waits_for_.find(lost_.front()); waiting != waits_for_.end();
             waiting = waits_for_.find(lost_.front()))
            reject_waiting(*waiting->second,
                           Error::because(fmt::format("after: {} did not start", lost_.front())));
    is_rejecting_ = false;
}

// Nothing runs, nothing is to come: what is waited for does not exist. Or so many wait that no more
// are taken, and what is waited for has not come yet. True: there may be more to start now.
bool Fleet::reject_unsatisfiable() {
    const bool is_full = waiting_ >= kMostWaiting;
    if ((!source_ended_ && !is_full) || places_taken_ > 0 || waiting_ == 0 || !ready_.empty())
        return false;
    std::vector<std::string> missing;  // what waits for one that is here goes with that one
    for (auto wait = waits_for_.begin(); wait != waits_for_.end();
         wait = waits_for_.upper_bound(wait->first))
        if (!find(wait->first))
            missing.push_back(wait->first);
    for (const std::string& name : missing) {
        const Error error = Error::because(
            source_ended_ ? fmt::format("after: there is no container named {}", name)
                          : fmt::format("after: {} has not come, and {} wait", name, waiting_));
        for (auto waiting = waits_for_.find(name); waiting != waits_for_.end();
             waiting = waits_for_.find(name))
            reject_waiting(*waiting->second, error);
    }
    return !source_ended_;
}

}  // namespace sigil::loop
