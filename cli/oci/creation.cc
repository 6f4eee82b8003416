#include "cli/oci/creation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/globals.h"
#include "cli/oci/lifecycle.h"
#include "cli/report.h"
#include "core/parse.h"
#include "core/spec_reader.h"
#include "core/sys.h"
#include "core/try.h"
#include "core/wall_time.h"
#include "isolation/hooks.h"
#include "isolation/interruption.h"
#include "isolation/listener.h"

namespace sigil::cli::oci {
namespace {

using isolation::Meeting;

Result<std::string> absolute(const std::string& path) {
    char resolved[PATH_MAX];
    if (!::realpath(path.c_str(), resolved))
        return tl::unexpected(
            Error::from_errno(errno, "realpath").in(fmt::format("--bundle {}", printable(path))));
    return std::string(resolved);
}

}  // namespace

Result<void> write_pid_file(const std::string& path, pid_t pid) {
    constexpr mode_t kForAll = 0644;
    return TRY(sys::replace_file(AT_FDCWD, path, std::to_string(pid), kForAll), "--pid-file {}",
               printable(path)),
           Result<void>();
}

Result<std::unique_ptr<Creation>> Creation::open(const std::string& id, CreateOptions options) {
    TRY(check_container_id(id));
    options.bundle = TRY(absolute(options.bundle));
    const std::string config = TRY(read_bundle_text(options.bundle));
    Spec spec = TRY(read_config(config, options.bundle));
    spec.name = id;
    if (spec.oci->process.terminal && options.console_socket.empty())
        return failure("process.terminal: --console-socket is missing: who gets the terminal?");
    if (!spec.oci->process.terminal && !options.console_socket.empty())
        return failure("--console-socket: config.json asks for no terminal (process.terminal)");
    Fd interruption = TRY(isolation::hold_interruptions());
    ContainerDirectory directory = TRY(ContainerDirectory::create(globals().root, id));
    std::unique_ptr<Creation> creation(new Creation(std::move(directory), std::move(interruption)));
    creation->options_ = std::move(options);
    ContainerState& state = creation->state_;
    state.id = id;
    state.bundle = creation->options_.bundle;
    state.rootfs = spec.rootfs;
    state.created = rfc3339_now(SecondDigits::nano);
    state.owner = ::geteuid();
    state.annotations = spec.oci->annotations;
    creation->spec_ = std::make_shared<const Spec>(std::move(spec));
    TRY(creation->directory_.write_file("config.json", config));
    TRY(creation->directory_.write(state));
    isolation::BundleOptions& launch = creation->launch_;
    launch.attendant = creation.get();
    launch.systemd_cgroup = globals().systemd_cgroup;
    launch.preserve_fds = creation->options_.preserve_fds;
    launch.no_pivot = creation->options_.no_pivot;
    launch.no_new_keyring = creation->options_.no_new_keyring;
    launch.interruption = creation->interruption_.get();
    for (const std::string& warning : creation->spec_->oci->warnings) {
        print_message(id, "warning: " + warning);
        log(Level::warning, warning);
    }
    return creation;
}

Creation::~Creation() {
    if (is_kept_)
        return;
    if (outcome_.cgroup)
        (void)outcome_.cgroup->kill();
    if (outcome_.process) {
        (void)sys::pidfd_send_signal(outcome_.process->pidfd.get(), SIGKILL);
        (void)::waitid(P_PIDFD, static_cast<id_t>(outcome_.process->pidfd.get()), nullptr, WEXITED);
    }
    outcome_.cgroup.reset();
    if (auto stopped = stop_unit(state_); !stopped)
        log(Level::warning, stopped.error().message());
    if (was_there_)
        run_poststop(state_, *spec_);
    if (auto removed = directory_.remove(); !removed)
        log(Level::warning, removed.error().message());
}

void Creation::keep() {
    is_kept_ = true;
    if (outcome_.cgroup)
        outcome_.cgroup->keep();
}

Result<void> Creation::prepare(bool waits) {
    context_ = TRY(isolation::LaunchContext::open(false));
    context_.ignored_signals = sys::numbers_of(sys::ignored_signals());
    waits_ = waits;
    if (waits) {
        start_socket_ = TRY(directory_.listen());
        launch_.start_socket = start_socket_.get();
    }
    // Nobody of our user may look into or trace the launch (ptrace(2), prctl(2)).
    return sys::set_dumpable(false);
}

Result<void> Creation::launch() {
    isolation::Launch launch(context_, {*spec_, state_.id, isolation::kInheritedStreams, &launch_});
    outcome_ = launch.run();
    if (outcome_.error)
        return tl::unexpected(std::move(*std::exchange(outcome_.error, std::nullopt)));
    return {};
}

Result<void> Creation::created() {
    state_.is_created = true;
    TRY(directory_.write(state_));
    if (options_.pid_file.empty())
        return {};
    return write_pid_file(options_.pid_file, state_.pid);
}

const isolation::BundleOptions& Creation::supervised() {
    launch_.is_supervised = true;
    return launch_;
}

Result<void> Creation::start(pid_t pid) {
    if (state_.pid <= 0) {
        Fd pidfd = TRY(sys::pidfd_open(pid), "watch the container");
        TRY(is_there({pid, std::move(pidfd)}));
    }
    TRY(created());
    start_socket_.reset();
    return start_created(directory_, state_, *spec_, waits_, interruption_.get());
}

Result<void> Creation::making_cgroup(const std::string& path) {
    state_.cgroup = path;
    return directory_.write(state_);
}

Result<void> Creation::making_unit(const std::string& scope, bool is_user) {
    state_.unit = scope;
    state_.user_unit = is_user;
    return directory_.write(state_);
}

Result<void> Creation::meet(Meeting meeting, const isolation::LaunchOutcome& so_far, Fd passed) {
    const Hooks& hooks = spec_->oci->hooks;
    switch (meeting) {
        case Meeting::namespaces:
            return namespaces_are_there(*so_far.process);
        case Meeting::mounts:
            return isolation::run_hooks(hooks.create_container,
                                        oci_state(state_, ContainerStatus::creating),
                                        &*so_far.process, interruption_.get());
        case Meeting::console:
            return TRY(isolation::send_descriptor(options_.console_socket, passed.get(),
                                                  "/dev/ptmx"),
                       "--console-socket"),
                   Result<void>();
        case Meeting::listener:
            return isolation::send_listener(*spec_->oci->seccomp,
                                            oci_state(state_, ContainerStatus::creating),
                                            so_far.process->pid, passed);
        case Meeting::failed:
        case Meeting::ready:
        case Meeting::parked:
        case Meeting::executed:
            break;
    }
    return {};
}

Result<void> Creation::is_there(const Process& process) {
    state_.pid = process.pid;
    state_.start_time = start_time_of(process.pid).value_or(0);
    was_there_ = true;
    if (!options_.pidfd_socket.empty())
        TRY(isolation::send_descriptor(options_.pidfd_socket, process.pidfd.get(), "pidfd"),
            "--pidfd-socket");
    return {};
}

Result<void> Creation::namespaces_are_there(const Process& process) {
    TRY(is_there(process));
    TRY(directory_.write(state_));
    const Hooks& hooks = spec_->oci->hooks;
    const std::string state = oci_state(state_, ContainerStatus::creating);
    TRY(isolation::run_hooks(hooks.prestart, state, nullptr, interruption_.get()));
    return isolation::run_hooks(hooks.create_runtime, state, nullptr, interruption_.get());
}

}  // namespace sigil::cli::oci
