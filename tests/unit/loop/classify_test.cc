// The policy of signals: which are kept, forwarded, taken for a stop.
#include <signal.h>

#include <gtest/gtest.h>

#include "core/process.h"
#include "loop/signals.h"

namespace sigil::loop {
namespace {

constexpr int kLastSignal = 64;

const char* action_name(SignalAction action) {
    static constexpr const char* kNames[] = {"keep",   "forward", "stop",   "resize",
                                             "resume", "reload",  "suspend"};
    return kNames[static_cast<int>(action)];
}

constexpr SignalAction kKeep = SignalAction::keep;
constexpr SignalAction kForward = SignalAction::forward;
constexpr SignalAction kStop = SignalAction::stop;
constexpr SignalAction kSuspend = SignalAction::suspend;

struct Row {
    int signal;
    SignalAction sent;           // by a process: kill(2)
    SignalAction sent_shared;    // the same, the terminal shared
    SignalAction kernel;         // by the kernel
    SignalAction kernel_shared;  // by the kernel, to us and the container alike
};

// Every signal that isn't here is {kForward, kForward, kForward, kKeep}.
constexpr Row kRows[] = {
    {SIGHUP, kForward, kForward, kForward, kForward},
    {SIGTERM, kStop, kStop, kStop, kKeep},
    {SIGINT, kStop, kStop, kStop, kKeep},
    {SIGTSTP, kSuspend, kSuspend, kSuspend, kSuspend},
    {SIGCHLD, kKeep, kKeep, kKeep, kKeep},
    {SIGTTIN, kKeep, kKeep, kKeep, kKeep},
    {SIGTTOU, kKeep, kKeep, kKeep, kKeep},
    {SIGPIPE, kForward, kForward, kKeep, kKeep},
};

Row row_of(int signal) {
    for (const Row& row : kRows)
        if (row.signal == signal)
            return row;
    return {signal, kForward, kForward, kForward, kKeep};
}

void expect(SignalAction expected, const SignalFacts& facts) {
    EXPECT_EQ(classify(facts), expected)
        << signal_name(facts.number) << (facts.from_kernel ? ", kernel" : "")
        << (facts.shares_terminal ? ", shared" : "") << (facts.was_ignored ? ", ignored" : "")
        << ": " << action_name(classify(facts));
}

TEST(Classify, IsThisTableForEverySignal) {
    for (int signal = 1; signal <= kLastSignal; ++signal) {
        const Row row = row_of(signal);
        expect(row.sent, {.number = signal});
        expect(row.sent_shared, {.number = signal, .shares_terminal = true});
        expect(row.kernel, {.number = signal, .from_kernel = true});
        expect(row.kernel_shared, {.number = signal, .from_kernel = true, .shares_terminal = true});
    }
}

TEST(Classify, KeepsWhatWasIgnoredWhenSigilStarted) {
    for (int signal = 1; signal <= kLastSignal; ++signal)
        for (bool from_kernel : {false, true})
            for (bool shared : {false, true})
                expect(kKeep, {.number = signal,
                               .from_kernel = from_kernel,
                               .shares_terminal = shared,
                               .was_ignored = true});
}

TEST(Classify, ConcernsTheTerminalThatItKeeps) {
    for (bool from_kernel : {false, true}) {
        expect(SignalAction::resize,
               {.number = SIGWINCH, .from_kernel = from_kernel, .keeps_terminal = true});
        expect(SignalAction::resume,
               {.number = SIGCONT, .from_kernel = from_kernel, .keeps_terminal = true});
        expect(kSuspend, {.number = SIGTSTP, .from_kernel = from_kernel, .keeps_terminal = true});
    }
}

TEST(Classify, TakesAHangUpForAReloadUnlessItIsOne) {
    expect(SignalAction::reload, {.number = SIGHUP, .reloads = true});
    expect(kForward, {.number = SIGHUP, .from_kernel = true, .reloads = true});
    expect(kKeep, {.number = SIGHUP, .reloads = true, .was_ignored = true});
}

TEST(Classify, ForwardsRealTimeSignals) {
    for (int signal = 32; signal <= kLastSignal; ++signal)
        expect(kForward, {.number = signal});
}

}  // namespace
}  // namespace sigil::loop
