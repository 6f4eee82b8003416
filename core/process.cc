#include "core/process.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <fmt/format.h>

namespace sigil {

ExitStatus ExitStatus::from_wait_word(int word) {
    return WIFSIGNALED(word) ? signaled(WTERMSIG(word)) : exited(WEXITSTATUS(word));
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (const std::string& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

std::string signal_name(int signal) {
    // The kernel's real-time signals start at 32; libc keeps the first two for itself.
    constexpr int kFirstRealTime = 34;
    constexpr int kLast = 64;
    if (signal == kFirstRealTime)
        return "SIGRTMIN";
    if (signal > kFirstRealTime && signal <= kLast)
        return fmt::format("SIGRTMIN+{}", signal - kFirstRealTime);
    if (const char* name = sigabbrev_np(signal))
        return fmt::format("SIG{}", name);
    return fmt::format("signal {}", signal);
}

}  // namespace sigil
