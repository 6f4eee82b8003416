#include "isolation/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "core/parse.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/interruption.h"
#include "isolation/namespaces.h"

namespace sigil::isolation {
namespace {

constexpr size_t kKeptOutput = 512;  // of what a failed hook has written, its end

// Where a hook runs that is one of the container's.
struct Within {
    int process = -1;  // pidfd; none: the hook runs where we do
    uint64_t spaces = 0;
    int root = -1;
};

struct Child {
    const char* path;
    char* const* argv;
    char* const* envp;
    int input;
    int output;
    Within within;
};

// After fork: async-signal-safe calls alone. Exits with an errno where it does not execute.
[[noreturn]] void execute(const Child& child) {
    ::execve(child.path, child.argv, child.envp);
    ::_exit(errno == ENOENT ? kExitNotFound : kExitNotExecutable);
}

// The hook itself, of the process that waits for it. Killed through that one: if it were killed
// too, the hook would go to whoever reaps orphans on the host, and the container's PID 1 could not
// end before that has been done (pid_namespaces(7)).
volatile pid_t inner_hook = 0;

void kill_inner_hook(int) {
    if (inner_hook > 0)
        ::kill(inner_hook, SIGKILL);
}

// Ends as the child does.
[[noreturn]] void end_as(pid_t child) {
    int word = 0;
    while (::waitpid(child, &word, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(word)) {
        ::prctl(PR_SET_DUMPABLE, 0);  // one core is enough
        ::signal(WTERMSIG(word), SIG_DFL);
        ::kill(::getpid(), WTERMSIG(word));
    }
    ::_exit(WEXITSTATUS(word));
}

// The namespaces, and the root of the process, which need not be the topmost mount that setns(2)
// leads to: createContainer hooks see the host's still (config.md, "createContainer Hooks"). A pid
// namespace is that of children alone.
bool enter(const Within& within) {
    const int spaces = static_cast<int>(within.spaces);
    if (spaces != 0 && ::setns(within.process, spaces) != 0)
        return false;
    if (::fchdir(within.root) != 0 || ::chroot(".") != 0)
        return false;
    if (within.spaces & CLONE_NEWUSER) {
        (void)::syscall(SYS_setgroups, 0, nullptr);  // may be denied there
        if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
            return false;
    }
    if (!(within.spaces & CLONE_NEWPID))
        return true;
    ::signal(SIGTERM, kill_inner_hook);
    const pid_t inner = ::fork();
    if (inner > 0) {
        inner_hook = inner;
        end_as(inner);
    }
    return inner == 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
}

[[noreturn]] void become(const Child& child) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(child.input, 0) < 0 || ::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0)
        ::_exit(kExitRuntimeFailure);
    if (child.within.process >= 0 && !enter(child.within)) {
        constexpr char kWords[] = "cannot enter the container's namespaces";
        (void)!::write(2, kWords, sizeof kWords - 1);
        ::_exit(kExitRuntimeFailure);
    }
    execute(child);
}

// False: the limit has passed.
Result<bool> await_end(const Fd& pidfd, std::optional<std::chrono::seconds> limit,
                       int interruption) {
    std::optional<std::chrono::nanoseconds> deadline;
    if (limit)
        deadline = sys::monotonic_now() + *limit;
    return wait_readable(pidfd.get(), interruption, deadline);
}

// The end of what a hook has written, on one line.
std::string tail_of(int file) {
    const off_t size = ::lseek(file, 0, SEEK_END);
    std::string text(kKeptOutput, '\0');
    constexpr auto kKept = static_cast<off_t>(kKeptOutput);
    const off_t from = size > kKept ? size - kKept : 0;
    const ssize_t count = ::pread(file, text.data(), text.size(), from);
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    while (text.ends_with('\n'))
        text.pop_back();
    return printable(text);
}

Result<void> run_hook(const Hook& hook, std::string_view state, const Within& within,
                      int interruption) {
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
    auto opened = sys::pidfd_open(pid);
    if (!opened) {  // out of descriptors: what cannot be waited for with a limit cannot run
        ::kill(pid, SIGKILL);
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    const Fd pidfd = TRY(std::move(opened));
    auto in_time = await_end(pidfd, hook.timeout, interruption);
    if (!in_time || !*in_time)
        (void)sys::pidfd_send_signal(pidfd.get(), within.spaces & CLONE_NEWPID ? SIGTERM : SIGKILL);
    int word = 0;
    while (::waitpid(pid, &word, 0) < 0 && errno == EINTR) {
    }
    const ExitStatus status = ExitStatus::from_wait_word(word);
    if (!TRY(std::move(in_time)))
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

Result<void> run_hooks(std::span<const Hook> hooks, std::string_view state, const Process* process,
                       int interruption) {
    if (hooks.empty())
        return {};
    Within within;
    Fd root;
    if (process) {
        root = TRY(sys::open(AT_FDCWD, fmt::format("/proc/{}/root", process->pid).c_str(),
                             O_PATH | O_DIRECTORY),
                   "open the container's root");
        within = {process->pidfd.get(), TRY(foreign_namespaces(process->pid)), root.get()};
    }
    for (const Hook& hook : hooks)
        TRY(run_hook(hook, state, within, interruption), "{}: {}", hook.origin,
            printable(hook.path));
    return {};
}

}  // namespace sigil::isolation
