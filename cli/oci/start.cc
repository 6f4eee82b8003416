// `sigil start`: has a created container's command run.
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "cli/oci/container.h"
#include "cli/oci/lifecycle.h"
#include "cli/oci/verbs.h"
#include "core/spec_reader.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/hooks.h"
#include "isolation/interruption.h"
#include "isolation/launch.h"
#include "isolation/staged.h"

namespace sigil::cli::oci {
namespace {

// The stage goes on; its end of the connection closes with its execve.
Result<void> release(int connection, const Spec& spec) {
    if (::send(connection, "", 1, MSG_NOSIGNAL) != 1)
        return tl::unexpected(Error::from_errno(errno, "send"));
    auto word = TRY(isolation::StagedChild::next(connection));
    if (word)
        return tl::unexpected(isolation::execution_failure(word->message, spec));
    return {};
}

}  // namespace

std::string start_help() {
    return "Usage: sigil start ID\n"
           "\n"
           "Has the command of a created container run. Returns once it does.\n";
}

Result<int> start(Arguments arguments) {
    Container container = TRY(Container::open_only(arguments, "start"));
    if (container.status != ContainerStatus::created)
        return tl::unexpected(container.not_while("start"));
    const ContainerState& state = container.state;
    const std::string config = TRY(container.directory->read_file("config.json"));
    const Spec spec = TRY(read_config(config, state.bundle));
    const Fd interruption = TRY(isolation::hold_interruptions());
    auto started = start_created(*container.directory, state, spec, true, interruption.get());
    if (!started)
        kill_all(container);
    TRY(std::move(started), "start container {}", state.id);
    return 0;
}

Result<void> start_created(const ContainerDirectory& directory, const ContainerState& state,
                           const Spec& spec, bool waits, int interruption) {
    const Hooks& hooks = spec.oci->hooks;
    if (waits) {
        auto connection = TRY(directory.connect());
        if (!connection)
            return failure("it does not wait for its start");
        const auto process = TRY(living_process(state));
        if (!process)
            return failure("it has ended");
        TRY(isolation::run_hooks(hooks.start_container, oci_state(state, ContainerStatus::created),
                                 &*process, interruption));
        TRY(release(connection->get(), spec));
    }
    return isolation::run_hooks(hooks.poststart, oci_state(state, ContainerStatus::running),
                                nullptr, interruption);
}

}  // namespace sigil::cli::oci
