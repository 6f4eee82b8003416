// What the kernel gives: asked by doing, because versions lie where distributions take changes back
// and where filters forbid.
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/report.h"
#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/try.h"
#include "loop/uring.h"

namespace sigil::cli {
namespace {

// A call that a start makes, with arguments that the kernel refuses at once: what it refuses with
// tells whether it knows the call.
struct Call {
    const char* name;
    long number;
    const char* since;  // Linux
    long a;
    long b;
    long c;
    long d;
    // Asks for privileges before it looks at its arguments: EPERM says nothing of filters.
    bool is_privileged = false;
};

constexpr long kNone = -1;

const std::array kCalls = {
    Call{"clone3", __NR_clone3, "5.3", 0, 0, 0, 0},
    Call{"pidfd_open", __NR_pidfd_open, "5.3", kNone, 0, 0, 0},
    Call{"pidfd_send_signal", __NR_pidfd_send_signal, "5.1", kNone, 0, 0, 0},
    Call{"pidfd_getfd", __NR_pidfd_getfd, "5.6", kNone, 0, 0, 0},
    Call{"openat2", __NR_openat2, "5.6", kNone, 0, 0, 0},
    Call{"faccessat2", __NR_faccessat2, "5.8", kNone, 0, kNone, kNone},
    Call{"close_range", __NR_close_range, "5.9", 1, 0, 0, 0},
    Call{"open_tree", __NR_open_tree, "5.2", kNone, 0, kNone, 0, true},
    Call{"move_mount", __NR_move_mount, "5.2", kNone, 0, kNone, 0, true},
    Call{"fsopen", __NR_fsopen, "5.2", 0, 0, 0, 0, true},
    Call{"fsconfig", __NR_fsconfig, "5.2", kNone, kNone, 0, 0, true},
    Call{"fsmount", __NR_fsmount, "5.2", kNone, 0, 0, 0, true},
    Call{"mount_setattr", __NR_mount_setattr, "5.12", kNone, 0, kNone, 0, true},
    Call{"execveat", __NR_execveat, "3.19", kNone, 0, 0, 0},
    Call{"memfd_create", __NR_memfd_create, "3.17", 0, kNone, 0, 0},
    Call{"signalfd4", __NR_signalfd4, "2.6.27", kNone, 0, 0, kNone},
};

std::string join(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, ", "));
}

// ---- a container that starts --------------------------------------------------------------------

class TemporaryDirectory {
  public:
    TemporaryDirectory() : path_("/tmp/sigil-doctor-XXXXXX") {
        if (!::mkdtemp(path_.data()))
            path_.clear();
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        if (path_.empty())
            return;
        (void)sys::rmdirat(AT_FDCWD, (path_ + "/runs").c_str());
        (void)sys::rmdirat(AT_FDCWD, path_.c_str());
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// `sigil run` of ourselves, in a process that says on stderr what went wrong. Its record is in a
// directory of its own: a run removes by the way what others have left, which is not ours to do.
[[noreturn]] void start_container(const std::string& self, const std::string& record, int errors) {
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    const std::array arguments = {"--rootfs",    "/",         "--read-only", "--root",
                                  record.data(), "--timeout", "10s",         "--quiet",
                                  "--",          self.data(), "version"};
    auto code = run(arguments);
    if (!code)
        print_error({}, code.error());
    ::_exit(code ? *code : code.error().exit_code());
}

struct Rehearsal {
    int code = 0;
    std::string errors;
    sys::Nanoseconds took{};
};

Result<Rehearsal> rehearse() {
    const std::string self = TRY(sys::readlinkat(AT_FDCWD, "/proc/self/exe"));
    const TemporaryDirectory record;
    if (record.path().empty())
        return failure("no directory can be made in /tmp");
    sys::Pipe pipe = TRY(sys::pipe());
    Rehearsal rehearsal;
    const sys::Nanoseconds begin = sys::monotonic_now();
    const pid_t child = ::fork();
    if (child < 0)
        return failure("no process can be made");
    if (child == 0)
        start_container(self, record.path(), pipe.writer.get());
    pipe.writer.reset();
    std::array<char, 1024> some{};
    for (;;) {
        auto count = sys::read(pipe.reader.get(), some);
        if (!count || *count == 0)
            break;
        rehearsal.errors.append(some.data(), *count);
    }
    int word = 0;
    ::waitpid(child, &word, 0);
    rehearsal.took = sys::monotonic_now() - begin;
    rehearsal.code = ExitStatus::from_wait_word(word).exit_code();
    return rehearsal;
}

}  // namespace

Finding check_kernel(const Host&) {
    utsname names = {};
    ::uname(&names);
    return {
        Verdict::note, fmt::format("{} {} {}", names.sysname, names.release, names.machine), {}};
}

Finding check_system_calls(const Host&) {
    std::vector<std::string> unknown;
    std::vector<std::string> refused;
    for (const Call& call : kCalls) {
        const long result = raw::call(call.number, call.a, call.b, call.c, call.d);
        if (result == -ENOSYS)
            unknown.push_back(fmt::format("{} (Linux {})", call.name, call.since));
        else if (result == -EPERM && !call.is_privileged)
            refused.emplace_back(call.name);
    }
    if (!unknown.empty())
        return {Verdict::failure, "unknown to this kernel, or filtered: " + join(unknown),
                "a newer kernel, or a seccomp profile that lets them pass"};
    if (!refused.empty())
        return {Verdict::failure, "refused by a filter: " + join(refused),
                "a seccomp profile that lets them pass (docker run --security-opt "
                "seccomp=unconfined)"};
    return {Verdict::good, fmt::format("all {} that a start makes", kCalls.size()), {}};
}

Finding check_namespaces(const Host& host) {
    constexpr std::array kNeeded = {"mnt", "pid", "net", "ipc", "uts", "cgroup"};
    constexpr std::array kOthers = {"user", "time"};
    std::vector<std::string> there;
    std::vector<std::string> missing;
    for (const char* name : kNeeded)
        (host.has(fmt::format("/proc/self/ns/{}", name)) ? there : missing).emplace_back(name);
    if (there.empty())
        return {Verdict::failure, "there is no /proc/self/ns", "mount -t proc proc /proc"};
    if (!missing.empty())
        return {Verdict::failure, "not in this kernel: " + join(missing),
                "a kernel with CONFIG_NAMESPACES and all of its kinds"};
    for (const char* name : kOthers)
        (host.has(fmt::format("/proc/self/ns/{}", name)) ? there : missing).emplace_back(name);
    if (!missing.empty())
        return {Verdict::note, fmt::format("{}; not {}", join(there), join(missing)), {}};
    return {Verdict::good, join(there), {}};
}

// Whether a run can do without is for the container that is started to show.
Finding check_io_uring(const Host& host) {
    constexpr unsigned kEntries = 16;
    auto ring = loop::UringRing::open(kEntries);
    if (ring)
        return {Verdict::good, "can be set up", {}};
    const Error& error = ring.error();
    const auto disabled = host.number("/proc/sys/kernel/io_uring_disabled");
    if (disabled.value_or(0) != 0)
        return {Verdict::warning,
                fmt::format("switched off: kernel.io_uring_disabled is {}", *disabled),
                "sysctl -w kernel.io_uring_disabled=0"};
    if (error.is(ENOSYS))
        return {
            Verdict::warning, "unknown to this kernel, or filtered",
            "a kernel with CONFIG_IO_URING, or a seccomp profile that lets io_uring_setup pass"};
    if (error.is(EPERM) || error.is(EACCES))
        return {Verdict::warning, "refused by a seccomp filter or a security module",
                "a seccomp profile that lets io_uring_setup, io_uring_enter and "
                "io_uring_register pass"};
    return {Verdict::warning, error.message(), {}};
}

Finding check_container(const Host&) {
    auto rehearsal = rehearse();
    if (!rehearsal)
        return {Verdict::failure, rehearsal.error().message(), {}};
    if (rehearsal->code == 0)
        return {Verdict::good,
                fmt::format("started and ended in {:.1f} ms",
                            std::chrono::duration<double, std::milli>(rehearsal->took).count()),
                {}};
    std::string errors = rehearsal->errors.substr(0, rehearsal->errors.find('\n'));
    if (errors.empty())
        errors = fmt::format("sigil run ended with {}", rehearsal->code);
    const bool is_root = ::geteuid() == 0;
    return {Verdict::failure, std::move(errors),
            is_root ? "" : "run it as root: sudo sigil doctor"};
}

}  // namespace sigil::cli
