// How a fleet stops: all at once, or in the reverse of the order in which they were started.
#include <signal.h>

#include "loop/fleet.h"

namespace sigil::loop {

void Fleet::forward(const Signal& signal) {
    supervisor_->forward(signal);
}

void Fleet::stop(const Signal& signal) {
    const bool is_again = std::exchange(was_asked_to_stop_, true);
    stop_now(signal);
    if (is_again && running_ == 0)
        observer_.stopped_again();
}

void Fleet::stop_now(const Signal& signal) {
    const bool is_first = !is_stopping_;
    is_stopping_ = true;
    stop_signal_ = signal;
    source_ended_ = true;
    if (is_first)
        observer_.run_stopping();
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
    summary_.not_started += idle.size() + replaced_.size();
    replaced_.clear();
    for (const std::string& name : idle)
        entries_.erase(name);
    for (Entry* entry : resting) {
        drop_rest(*entry);
        conclude(*entry);
    }
}

// It won't be started again, whether its time has come already or not.
void Fleet::drop_rest(Entry& entry) {
    std::erase(rested_, &entry);
    if (Entry** timed = rests_.find(entry.rest)) {
        reactor_.ring().cancel(entry.rest.with(Operation::restart));
        *timed = nullptr;
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
