#include "isolation/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/parse.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr size_t kKeptOutput = 512;  // of what a failed hook has written, its end

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words)
        pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

struct Child {
    const char* path;
    char* const* argv;
    char* const* envp;
    int input;
    int output;
    int within;
};

// After fork: async-signal-safe calls alone. Exits with an errno where it does not execute.
[[noreturn]] void become(const Child& child) {
    constexpr int kSpaces =
        CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWPID;
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(child.input, 0) < 0 || ::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0)
        ::_exit(kExitRuntimeFailure);
    if (child.within >= 0 && ::setns(child.within, kSpaces) != 0)
        ::_exit(kExitRuntimeFailure);
    ::execve(child.path, child.argv, child.envp);
    ::_exit(errno == ENOENT ? kExitNotFound : kExitNotExecutable);
}

// The end of what a hook has written, on one line.
std::string tail_of(int file) {
    const off_t size = ::lseek(file, 0, SEEK_END);
    std::string text(kKeptOutput, '\0');
    const off_t from = size > static_cast<off_t>(kKeptOutput) ? size - kKeptOutput : 0;
    const ssize_t count = ::pread(file, text.data(), text.size(), from);
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    while (text.ends_with('\n'))
        text.pop_back();
    return printable(text);
}

Result<void> run_hook(const Hook& hook, std::string_view state, int within) {
    Fd input = TRY(sys::memfd_create("state", 0));
    TRY(sys::write_all(input.get(), state));
    TRY(sys::seek(input.get(), 0));
    Fd output = TRY(sys::memfd_create("hook-output", 0));
    const std::vector<std::string> words =
        hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args;
    const std::vector<char*> argv = pointers_to(words);
    const std::vector<char*> envp = pointers_to(hook.env);
    const Child child = {hook.path.c_str(), argv.data(),  envp.data(),
                         input.get(),       output.get(), within};
    const pid_t pid = ::fork();
    if (pid < 0)
        return tl::unexpected(Error::from_errno(errno, "fork"));
    if (pid == 0)
        become(child);
    Fd pidfd = TRY(sys::pidfd_open(pid));
    pollfd ended = {.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    constexpr int kForEver = -1;
    const auto limit =
        hook.timeout ? std::chrono::duration_cast<std::chrono::milliseconds>(*hook.timeout).count()
                     : kForEver;
    int ready;
    do
        ready = ::poll(&ended, 1, static_cast<int>(limit));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        (void)sys::pidfd_send_signal(pidfd.get(), SIGKILL);
    int word = 0;
    while (::waitpid(pid, &word, 0) < 0 && errno == EINTR) {
    }
    const ExitStatus status = ExitStatus::from_wait_word(word);
    if (ready == 0)
        return failure("timed out after {} s", hook.timeout->count());
    if (status.exit_code() == 0)
        return {};
    const std::string said = tail_of(output.get());
    return failure("{}{}{}",
                   status.is_signal() ? fmt::format("killed by {}", signal_name(status.signal()))
                                      : fmt::format("exit code {}", status.exit_code()),
                   said.empty() ? "" : ": ", said);
}

}  // namespace

Result<void> run_hooks(std::span<const Hook> hooks, std::string_view state, int within) {
    for (const Hook& hook : hooks)
        TRY(run_hook(hook, state, within), "{}: {}", hook.origin, printable(hook.path));
    return {};
}

}  // namespace sigil::isolation
