#include "loop/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/try.h"

namespace sigil::loop {
namespace {

constexpr Token kReadable = {Source::signals, Operation::readable};
constexpr Token kRest = {Source::signals, Operation::readable, 0, 1};

constexpr sys::SignalSet kEverySignal = ~sys::SignalSet{0};
// SIGCHLD is for pidfds to tell; it stays blocked, so that a wait is never interrupted by it.
constexpr sys::SignalSet kRead = kEverySignal & ~sys::signal_bit(SIGCHLD);

}  // namespace

SignalAction classify(const SignalFacts& facts) {
    const bool delivered = facts.from_kernel && facts.shares_terminal;
    if (facts.was_ignored)
        return SignalAction::keep;
    switch (facts.number) {
        case SIGCHLD:
        case SIGTTIN:  // sigil's own use of the terminal
        case SIGTTOU:
            return SignalAction::keep;
        case SIGTSTP:
            return SignalAction::suspend;
        case SIGWINCH:
            if (facts.keeps_terminal)
                return SignalAction::resize;
            return delivered ? SignalAction::keep : SignalAction::forward;
        case SIGCONT:
            if (facts.keeps_terminal)
                return SignalAction::resume;
            return delivered ? SignalAction::keep : SignalAction::forward;
        case SIGHUP:
            // Of a terminal that hangs up, the session's leader alone is told (tty_io.c).
            return facts.reloads && !facts.from_kernel ? SignalAction::reload
                                                       : SignalAction::forward;
        case SIGPIPE:
            return facts.from_kernel ? SignalAction::keep : SignalAction::forward;
        case SIGTERM:
        case SIGINT:
            // Ctrl-C in an interactive program is a key like any other, not a request to end.
            return delivered ? SignalAction::keep : SignalAction::stop;
        default:
            return delivered ? SignalAction::keep : SignalAction::forward;
    }
}

Result<std::unique_ptr<Signals>> Signals::open(bool shares_terminal) {
    sys::SignalSet set = sys::ignored_signals();
    // An ignored SIGCHLD would have the kernel reap the containers itself, their status lost.
    if (set & sys::signal_bit(SIGCHLD))
        TRY(sys::reset_signal_to_default(SIGCHLD));
    set &= ~sys::signal_bit(SIGCHLD);
    TRY(sys::set_signal_mask(kEverySignal));
    Fd fd = TRY(sys::signalfd(kRead), "open a signalfd");
    return std::unique_ptr<Signals>(
        new Signals(std::move(fd), sys::numbers_of(set), shares_terminal));
}

Signals::Signals(Fd fd, std::vector<int> ignored, bool shares_terminal)
    : fd_(std::move(fd)), ignored_(std::move(ignored)), shares_terminal_(shares_terminal) {}

void Signals::attach(Reactor& reactor, SignalReceiver& receiver, TerminalKeeper* keeper) {
    keeper_ = keeper;
    ring_ = &reactor.ring();
    receiver_ = &receiver;
    reactor.attach(Source::signals, *this);
    ring_->poll_on(kReadable, fd_.get(), POLLIN);
}

void Signals::complete(const Completion& completion) {
    const bool is_all = take();
    if (completion.token == kRest)
        looks_again_ = false;
    else if (!completion.more)
        return ring_->poll_on(kReadable, fd_.get(), POLLIN);
    if (!is_all && !std::exchange(looks_again_, true))
        ring_->poll(kRest, fd_.get(), POLLIN);
}

// So many batches at most in a turn: who sends without end must not keep the ends of containers
// waiting. Whether that was all.
bool Signals::take() {
    constexpr int kMostInATurn = 4;
    std::array<signalfd_siginfo, 16> batch;
    for (int taken = 0; taken < kMostInATurn; ++taken) {
        auto count = sys::read(fd_.get(), {reinterpret_cast<char*>(batch.data()), sizeof batch});
        if (!count)
            return count.error().is(EAGAIN);
        const size_t read = *count / sizeof batch[0];
        for (size_t index = 0; index < read; ++index)
            deliver(batch[index]);
        if (read < batch.size())
            return true;
    }
    return false;
}

void Signals::deliver(const signalfd_siginfo& info) {
    const int number = static_cast<int>(info.ssi_signo);
    const SignalFacts facts = {
        .number = number,
        // The SIGPIPE of a write comes as from the writer itself.
        .from_kernel = info.ssi_code == SI_KERNEL ||
                       (number == SIGPIPE && static_cast<pid_t>(info.ssi_pid) == ::getpid()),
        .shares_terminal = shares_terminal_,
        .keeps_terminal = keeper_ != nullptr,
        .reloads = receiver_->can_reload(),
        .was_ignored = std::ranges::find(ignored_, number) != ignored_.end(),
    };
    Signal signal = {.number = number, .value = {}};
    if (info.ssi_code == SI_QUEUE)
        signal.value = sigval{.sival_ptr = reinterpret_cast<void*>(info.ssi_ptr)};
    switch (classify(facts)) {
        case SignalAction::keep:
            break;
        case SignalAction::forward:
            receiver_->forward(signal);
            break;
        case SignalAction::stop:
            receiver_->stop(signal);
            break;
        case SignalAction::resize:
            keeper_->window_changed();
            break;
        case SignalAction::resume:
            receiver_->forward(signal);
            keeper_->continued();
            break;
        case SignalAction::reload:
            receiver_->reload();
            break;
        case SignalAction::suspend:
            if (!(facts.from_kernel && facts.shares_terminal))
                receiver_->forward(signal);
            if (keeper_)
                keeper_->suspending();
            ::kill(::getpid(), SIGSTOP);  // the SIGCONT that ends it is read next
            break;
    }
}

}  // namespace sigil::loop
