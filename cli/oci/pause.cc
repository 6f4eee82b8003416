// `sigil pause` and `sigil resume`: the cgroup's freezer (cgroup-v2.rst, "cgroup.freeze").
#include "cli/oci/container.h"
#include "cli/oci/verbs.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_control.h"

namespace sigil::cli::oci {
namespace {

// A process in an uninterruptible wait stops only after it.
constexpr auto kPatience = std::chrono::seconds(10);

Result<int> freeze(Arguments arguments, bool on) {
    const char* const verb = on ? "pause" : "resume";
    Container container = TRY(Container::open_only(arguments, verb));
    const bool fits = on ? container.status == ContainerStatus::running ||
                               container.status == ContainerStatus::created
                         : container.status == ContainerStatus::paused;
    if (!fits)
        return tl::unexpected(container.not_while(verb));
    if (!container.cgroup)
        return failure("cannot {} container {}: it has no cgroup of its own", verb,
                       container.state.id);
    const int directory = container.cgroup->directory();
    const auto deadline = sys::monotonic_now() + kPatience;
    TRY(on ? isolation::freeze_cgroup(directory, deadline)
           : isolation::thaw_cgroup(directory, deadline),
        "{} container {}", verb, container.state.id);
    return 0;
}

}  // namespace

std::string pause_help() {
    return "Usage: sigil pause ID\n\nStops every process of a container until 'sigil resume'.\n";
}

Result<int> pause(Arguments arguments) {
    return freeze(arguments, true);
}

std::string resume_help() {
    return "Usage: sigil resume ID\n\nHas the processes of a paused container go on.\n";
}

Result<int> resume(Arguments arguments) {
    return freeze(arguments, false);
}

}  // namespace sigil::cli::oci
