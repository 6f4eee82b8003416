// `sigil kill`: sends a signal to a container.
#include <errno.h>
#include <signal.h>

#include <array>

#include "cli/oci/container.h"
#include "cli/oci/verb.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_control.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    bool all = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "all", 'a', nullptr,
                    "To every process of the container, also where it has stopped",
                    [](Request& r, Text v) -> Result<void> {
                        r.all = v != "false";
                        return {};
                    }},
};

// Each by a pidfd that was opened while the pid was in the cgroup: nobody else's process is hit.
Result<void> signal_all(Container& container, int signal) {
    if (!container.cgroup) {
        if (container.process)
            return sys::pidfd_send_signal(container.process->pidfd.get(), signal);
        return {};
    }
    if (signal == SIGKILL)
        return container.cgroup->kill();
    for (const pid_t pid : TRY(isolation::cgroup_processes(container.cgroup->directory()))) {
        auto pidfd = sys::pidfd_open(pid);
        if (!pidfd)
            continue;
        auto sent = sys::pidfd_send_signal(pidfd->get(), signal);
        if (!sent && !sent.error().is(ESRCH))
            return sent;
    }
    return {};
}

bool shares_host_processes(const Container& container) {
    return container.state.pid > 0 && !container.is_supervised() && container.cgroup &&
           container.status == ContainerStatus::stopped;
}

}  // namespace

std::vector<OptionShape> kill_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string kill_help() {
    return "Usage: sigil kill [OPTIONS] ID [SIGNAL]\n"
           "\n"
           "Sends a signal, SIGTERM unless said, to the container's first process. A paused\n"
           "container acts on it once it is resumed; on SIGKILL at once.\n"
           "\n" +
           describe_options(kill_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil kill web\n"
           "  sigil kill --all web KILL\n";
}

Result<int> kill(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (arguments.size() > 2)
        return failure("kill: '{}': an id and a signal are all it takes", printable(arguments[2]));
    int signal = SIGTERM;
    if (arguments.size() == 2) {
        signal = TRY(parse_signal(arguments[1]), "kill");
        arguments = arguments.first(1);
    }
    Container container = TRY(Container::look_up_only(arguments, "kill"));
    if (request.all) {
        TRY(signal_all(container, signal), "kill container {}", container.state.id);
        return 0;
    }
    if (!container.process) {
        // What it left in its cgroup, where it had no pid namespace of its own, goes too.
        if (signal == SIGKILL && shares_host_processes(container) &&
            TRY(container.cgroup->is_populated())) {
            TRY(container.cgroup->kill(), "kill container {}", container.state.id);
            return 0;
        }
        return failure("container not running: {} is {}", container.state.id,
                       name(container.status));
    }
    auto sent = sys::pidfd_send_signal(container.process->pidfd.get(), signal);
    if (!sent && sent.error().is(ESRCH))
        return failure("container not running: {} has just ended", container.state.id);
    TRY(std::move(sent), "kill container {}", container.state.id);
    return 0;
}

}  // namespace sigil::cli::oci
