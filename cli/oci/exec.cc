// `sigil exec`: another process in a container that runs.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <array>

#include "cli/container_words.h"
#include "cli/oci/container.h"
#include "cli/oci/create_options.h"
#include "cli/oci/creation.h"
#include "cli/oci/foreground.h"
#include "cli/oci/verb.h"
#include "cli/seccomp_words.h"
#include "core/capabilities.h"
#include "core/environment.h"
#include "core/json_reader.h"
#include "core/spec_reader.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/container_note.h"
#include "isolation/interruption.h"
#include "isolation/listener.h"

namespace sigil::cli::oci {
namespace {

using isolation::Meeting;

struct Request {
    std::string process;  // a file; empty: the arguments are the command
    std::string console_socket;
    std::string pidfd_socket;
    std::string pid_file;
    std::string cwd;
    std::string user;
    std::string label;
    std::string apparmor;
    std::string cgroup;
    std::vector<std::string> env;
    std::vector<uint32_t> groups;
    std::vector<std::string> capabilities;
    unsigned preserve_fds = 0;
    bool tty = false;
    bool detach = false;
    bool no_new_privileges = false;
    bool ignore_paused = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "process", 'p', "FILE",
                    "A JSON file: config.json's process object, instead of a command",
                    [](Request& r, Text v) -> Result<void> {
                        r.process = v;
                        return {};
                    }},
    SIGIL_TEXT(Request, "cwd", 0, "DIR", "Where the command starts", cwd),
    Option<Request>{nullptr, "env", 'e', "NAME=VALUE", "Set a variable; may be repeated",
                    [](Request& r, Text v) -> Result<void> {
                        if (v.find('=') == Text::npos || v.starts_with('='))
                            return failure("'{}' is not NAME=VALUE", printable(v));
                        r.env.emplace_back(v);
                        return {};
                    }},
    SIGIL_FLAG(Request, "tty", 't', "With a terminal of its own; see --console-socket", tty),
    SIGIL_TEXT(Request, "user", 'u', "UID[:GID]", "As this user", user),
    Option<Request>{nullptr, "additional-gids", 'g', "GID", "In this group too; may be repeated",
                    [](Request& r, Text v) -> Result<void> {
                        r.groups.push_back(static_cast<uint32_t>(TRY(parse_number(v, UINT32_MAX))));
                        return {};
                    }},
    SIGIL_FLAG(Request, "detach", 'd', "Do not wait for the command's end", detach),
    SIGIL_TEXT(Request, "pid-file", 0, "FILE", "Write the command's process id there", pid_file),
    SIGIL_TEXT(Request, "console-socket", 0, "SOCKET",
               "A Unix socket that gets the terminal's master", console_socket),
    SIGIL_TEXT(Request, "pidfd-socket", 0, "SOCKET",
               "A Unix socket that gets a pidfd of the command", pidfd_socket),
    SIGIL_TEXT(Request, "process-label", 0, "LABEL", "The SELinux label of the command", label),
    SIGIL_TEXT(Request, "apparmor", 0, "PROFILE", "The AppArmor profile of the command", apparmor),
    SIGIL_FLAG(Request, "no-new-privs", 0, "No program gives it more rights", no_new_privileges),
    Option<Request>{nullptr, "cap", 'c', "CAPABILITY", "With this capability; may be repeated",
                    [](Request& r, Text v) -> Result<void> {
                        r.capabilities.emplace_back(v);
                        return {};
                    }},
    Option<Request>{nullptr, "preserve-fds", 0, "N", "Pass N descriptors from 3 on to the command",
                    [](Request& r, Text v) -> Result<void> {
                        constexpr uint64_t kMost = 1 << 20;
                        r.preserve_fds = static_cast<unsigned>(TRY(parse_number(v, kMost)));
                        return {};
                    }},
    SIGIL_TEXT(Request, "cgroup", 0, "PATH", "Below the container's cgroup, one to be in", cgroup),
    SIGIL_FLAG(Request, "ignore-paused", 0, "Also in a paused container: it runs when that does",
               ignore_paused),
};

// What the container's own command has, as far as that is written down anywhere.
Result<Spec> spec_of(const Container& container) {
    if (!container.is_supervised()) {
        const std::string config = TRY(container.directory->read_file("config.json"));
        return read_config(config, container.state.bundle);
    }
    // A container of `sigil run`: as far as it is noted, what it has unless told otherwise.
    Spec spec;
    auto oci = std::make_shared<Oci>();
    const isolation::ContainerNote note = TRY(isolation::read_note(container.cgroup->directory()),
                                              "container {}", container.state.id);
    const uint64_t set = note.capabilities;
    oci->process.capabilities = {.bounding = set, .effective = set, .permitted = set};
    spec.oci = std::move(oci);
    spec.capabilities = set;
    TRY(set_seccomp(spec, note.is_filtered ? kDefaultSeccomp : kNoSeccomp), "seccomp");
    spec.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    return spec;
}

Result<void> apply_user(const std::string& user, OciProcess& process) {
    const size_t colon = user.find(':');
    process.uid = static_cast<uint32_t>(
        TRY(parse_number(std::string_view(user).substr(0, colon), UINT32_MAX), "--user"));
    if (colon != std::string::npos)
        process.gid = static_cast<uint32_t>(
            TRY(parse_number(std::string_view(user).substr(colon + 1), UINT32_MAX), "--user"));
    return {};
}

Result<void> apply(const Request& request, Spec& spec) {
    auto oci = std::make_shared<Oci>(*spec.oci);
    OciProcess& process = oci->process;
    if (!request.cwd.empty())
        TRY(set_workdir(spec, request.cwd), "--cwd");
    for (const std::string& variable : request.env)
        spec.env.push_back(variable);
    keep_last_values(spec.env);
    if (request.process.empty())
        process.terminal = request.tty;
    else if (request.tty)
        process.terminal = true;
    if (!request.user.empty())
        TRY(apply_user(request.user, process));
    process.additional_gids.insert(process.additional_gids.end(), request.groups.begin(),
                                   request.groups.end());
    for (const std::string& word : request.capabilities) {
        const uint64_t bits = TRY(parse_capability(word), "--cap");
        for (uint64_t* set : {&process.capabilities.bounding, &process.capabilities.effective,
                              &process.capabilities.permitted})
            *set |= bits;
    }
    if (request.no_new_privileges)
        spec.no_new_privileges = true;
    if (!request.apparmor.empty())
        process.apparmor_profile = request.apparmor;
    if (!request.label.empty())
        process.selinux_label = request.label;
    spec.oci = std::move(oci);
    return {};
}

Result<void> set_affinity(pid_t pid, const std::string& list, const char* key);

// What the launch asks of us on its way.
class Attendant final : public isolation::LaunchAttendant {
  public:
    Attendant(const Request& request, const Spec& spec, const Container& container)
        : request_(request), spec_(spec), container_(container) {}

    Result<void> meet(Meeting meeting, const isolation::LaunchOutcome& so_far, Fd passed) override {
        if (meeting == Meeting::namespaces && !request_.pidfd_socket.empty())
            TRY(isolation::send_descriptor(request_.pidfd_socket, so_far.process->pidfd.get(),
                                           "pidfd"),
                "--pidfd-socket");
        if (meeting == Meeting::namespaces)  // it is in its cgroup by now
            TRY(set_affinity(so_far.process->pid, spec_.oci->process.cpu_affinity_final, "final"));
        if (meeting == Meeting::console)
            TRY(isolation::send_descriptor(request_.console_socket, passed.get(), "/dev/ptmx"),
                "--console-socket");
        if (meeting == Meeting::listener)
            TRY(isolation::send_listener(*spec_.oci->seccomp,
                                         oci_state(container_.state, container_.status),
                                         so_far.process->pid, passed));
        return {};
    }
    Result<void> making_cgroup(const std::string&) override { return {}; }
    Result<void> making_unit(const std::string&, bool) override { return {}; }

  private:
    const Request& request_;
    const Spec& spec_;
    const Container& container_;
};

Result<int> run_detached(const isolation::LaunchContext& context, const Request& request,
                         const Spec& spec, const std::string& name,
                         const isolation::BundleOptions& options) {
    isolation::Launch launch(context, {spec, name, isolation::kInheritedStreams, &options});
    isolation::LaunchOutcome outcome = launch.run();
    if (outcome.error)
        return tl::unexpected(std::move(*outcome.error));
    if (request.pid_file.empty())
        return 0;
    auto written = write_pid_file(request.pid_file, outcome.process->pid);
    if (!written)  // nobody would know of it
        (void)sys::pidfd_send_signal(outcome.process->pidfd.get(), SIGKILL);
    TRY(std::move(written));
    return 0;
}

Result<Spec> wanted_spec(const Request& request, const Container& container, Arguments arguments) {
    Spec spec = TRY(spec_of(container));
    if (!request.process.empty()) {
        const Fd file = TRY(sys::open(AT_FDCWD, request.process.c_str(), O_RDONLY), "--process {}",
                            printable(request.process));
        const std::string text = TRY(sys::read_all(file.get(), JsonDocument::kLargest),
                                     "--process {}", printable(request.process));
        spec = TRY(read_process(text, spec), "--process {}", printable(request.process));
    } else {
        spec.args.assign(arguments.begin(), arguments.end());
    }
    TRY(apply(request, spec));
    const bool has_terminal = spec.oci->process.terminal;
    if (has_terminal && request.console_socket.empty())
        return failure("--console-socket is missing: who gets the terminal?");
    if (!has_terminal && !request.console_socket.empty())
        return failure("--console-socket: no terminal was asked for");
    return spec;
}

// The cgroup of the container's first process, from the container's own.
Result<std::string> cgroup_of_first(const Container& container) {
    const std::string text =
        TRY(sys::read_file(AT_FDCWD, fmt::format("/proc/{}/cgroup", container.state.pid).c_str()));
    const std::string start = "0::" + container.state.cgroup + "/";
    const size_t at = text.find(start);
    if (at == std::string::npos)
        return std::string(".");
    const size_t from = at + start.size();
    return text.substr(from, text.find('\n', from) - from);
}

// The directory of the cgroup that the process is to be in.
Result<Fd> cgroup_for(const Request& request, const Container& container) {
    if (!container.cgroup)
        return Fd();
    const int own = container.cgroup->directory();
    std::string below = request.cgroup;
    while (below.starts_with('/'))
        below.erase(0, 1);
    if (request.cgroup.empty()) {
        // One that gives controllers to its children has no process itself (cgroup-v2.rst, "No
        // Internal Process Constraint"): a container that manages its cgroups, by systemd perhaps.
        auto given = sys::read_file(own, "cgroup.subtree_control");
        if (given && given->find_first_not_of('\n') != std::string::npos)
            below = TRY(cgroup_of_first(container));
    }
    return TRY(sys::openat2(own, below.empty() ? "." : below.c_str(), O_RDONLY | O_DIRECTORY,
                            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS),
               "--cgroup {}", printable(request.cgroup));
}

// config.md, "execCPUAffinity". The lists were checked when they were read.
Result<void> set_affinity(pid_t pid, const std::string& list, const char* key) {
    if (list.empty())
        return {};
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const unsigned processor : TRY(parse_number_list(list, CPU_SETSIZE - 1)))
        CPU_SET(processor, &set);
    if (::sched_setaffinity(pid, sizeof set, &set) != 0)
        return tl::unexpected(Error::from_errno(errno, "sched_setaffinity")
                                  .in(fmt::format("process.execCPUAffinity.{}: '{}'", key, list)));
    return {};
}

}  // namespace

std::vector<OptionShape> exec_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string exec_help() {
    return "Usage: sigil exec [OPTIONS] ID COMMAND [ARG...]\n"
           "       sigil exec [OPTIONS] --process FILE ID\n"
           "\n"
           "Runs another command in a container that runs, and exits as it did. In one of 'sigil\n"
           "run' it has the capabilities of that one's command, and the default system calls, or "
           "all\n"
           "if that one has all.\n"
           "\n" +
           describe_options(exec_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil exec web ls /\n"
           "  sigil exec --user 1000:1000 --env DEBUG=1 web /app --check\n";
}

Result<int> exec(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    TRY(check_preserved(request.preserve_fds));
    if (arguments.empty())
        return failure("exec: the container's id is missing");
    const std::string id = arguments[0];
    arguments = arguments.subspan(1);
    if (arguments.empty() == request.process.empty())
        return request.process.empty() ? failure("exec: the command is missing")
                                       : failure("exec: a command or --process, not both");
    Container container = TRY(Container::look_up(id));
    if (container.status == ContainerStatus::paused && !request.ignore_paused)
        return tl::unexpected(container.not_while("exec in"));
    if (!container.process || container.status == ContainerStatus::creating)
        return tl::unexpected(container.not_while("exec in"));
    // An ordinary user may join what their own sigil has made once they are root there.
    if (::geteuid() != 0 && container.is_supervised())
        TRY(sys::setns(container.process->pidfd.get(), CLONE_NEWUSER),
            "join the users of container {}", id);
    Spec wanted = TRY(wanted_spec(request, container, arguments));
    const auto spec = std::make_shared<const Spec>(std::move(wanted));
    const Fd cgroup = TRY(cgroup_for(request, container));
    Attendant attendant(request, *spec, container);
    const isolation::JoinTarget target = {*container.process, cgroup.get()};
    const Fd interruption = TRY(isolation::hold_interruptions());
    const isolation::BundleOptions options = {
        .attendant = &attendant,
        .preserve_fds = request.preserve_fds,
        .no_new_keyring = true,
        .interruption = interruption.get(),
        .join = &target,
    };
    auto context = TRY(isolation::LaunchContext::open(false));
    TRY(sys::set_dumpable(false));
    // The process begins with ours.
    TRY(set_affinity(0, spec->oci->process.cpu_affinity_initial, "initial"), "exec in container {}",
        id);
    if (request.detach)
        return TRY(run_detached(context, request, *spec, id, options), "exec in container {}", id);
    const ForegroundRequest foreground = {
        .name = id,
        .spec = spec,
        .options = options,
        .started = [&request](pid_t pid) -> Result<void> {
            return request.pid_file.empty() ? Result<void>()
                                            : write_pid_file(request.pid_file, pid);
        },
    };
    return TRY(run_in_foreground(context, foreground), "exec in container {}", id);
}

}  // namespace sigil::cli::oci
