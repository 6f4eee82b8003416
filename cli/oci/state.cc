// `sigil state`: what a container is doing, as runtime.md's "State" has it.
#include "cli/oci/container.h"
#include "cli/oci/verbs.h"
#include "core/parse.h"
#include "core/try.h"

namespace sigil::cli::oci {

Result<std::string> only_id(Arguments arguments, std::string_view verb) {
    if (arguments.empty())
        return failure("{}: the container's id is missing", verb);
    if (arguments.size() > 1)
        return failure("{}: '{}': one container at a time", verb, printable(arguments[1]));
    return std::string(arguments[0]);
}

std::string state_help() {
    return "Usage: sigil state ID\n"
           "\n"
           "Shows a container's state as JSON: its status (creating, created, running, paused,\n"
           "stopped), its first process as the host numbers it, its bundle.\n";
}

Result<int> state(Arguments arguments) {
    const Container container = TRY(Container::look_up_only(arguments, "state"));
    print(oci_state(container.state, container.status) + "\n");
    return 0;
}

}  // namespace sigil::cli::oci
