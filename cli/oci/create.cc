// `sigil create`: a container whose command waits for `sigil start`.
#include <array>

#include "cli/oci/create_options.h"
#include "cli/oci/creation.h"
#include "cli/oci/verb.h"
#include "core/try.h"

namespace sigil::cli::oci {

std::vector<OptionShape> create_shapes() {
    return shapes_of(create_options());
}

std::string create_help() {
    return "Usage: sigil create [OPTIONS] ID\n"
           "\n"
           "Creates a container of an OCI bundle: a directory with a config.json. Everything is\n"
           "set up; the command waits for 'sigil start'.\n"
           "\n" +
           describe_options(create_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil create --bundle ./web web && sigil start web\n"
           "  sigil delete --force web\n";
}

Result<int> create(Arguments arguments) {
    CreateOptions options;
    TRY(parse_options(create_options(), options, arguments));
    const std::string id = TRY(only_id(arguments, "create"));
    TRY(check_preserved(options.preserve_fds));
    auto creation = TRY(Creation::open(id, std::move(options)), "create container {}", id);
    TRY(creation->prepare(true), "create container {}", id);
    TRY(creation->launch(), "create container {}", id);
    TRY(creation->created(), "create container {}", id);
    creation->keep();
    return 0;
}

}  // namespace sigil::cli::oci
