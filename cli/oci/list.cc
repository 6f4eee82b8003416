// `sigil list`: all containers.
#include <algorithm>
#include <array>

#include "cli/oci/container.h"
#include "cli/oci/verb.h"
#include "core/try.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    std::string format = "table";
    bool quiet = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "format", 'f', "FORMAT", "table (default) or json",
                    [](Request& r, Text v) { return set_format(r.format, v); }},
    SIGIL_FLAG(Request, "quiet", 'q', "Ids alone", quiet),
};

std::string as_table(const std::vector<Container>& containers) {
    size_t widest = 2;
    for (const Container& container : containers)
        widest = std::max(widest, container.state.id.size());
    std::string text = fmt::format("{:<{}}  {:<7}  {:<8}  {:<30}  {}\n", "ID", widest, "PID",
                                   "STATUS", "CREATED", "BUNDLE");
    for (const Container& container : containers) {
        const ContainerState& state = container.state;
        const bool is_gone = container.status == ContainerStatus::stopped;
        text += fmt::format("{:<{}}  {:<7}  {:<8}  {:<30}  {}\n", state.id, widest,
                            is_gone ? 0 : std::max(state.pid, 0), name(container.status),
                            state.created.empty() ? "-" : state.created,
                            state.bundle.empty() ? "-" : printable(state.bundle));
    }
    return text;
}

std::string as_json(const std::vector<Container>& containers) {
    std::string text = "[";
    for (const Container& container : containers) {
        text += text.size() > 1 ? "," : "";
        text += oci_state(container.state, container.status);
    }
    return text + "]\n";
}

}  // namespace

std::vector<OptionShape> list_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string list_help() {
    return "Usage: sigil list [OPTIONS]\n"
           "\n"
           "Shows the containers that there are: those of 'create' and 'run --bundle', and those\n"
           "of each 'sigil run' that lives.\n"
           "\n" +
           describe_options(list_shapes());
}

Result<int> list(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (!arguments.empty())
        return failure("list: '{}': it takes no arguments", printable(arguments[0]));
    const std::vector<Container> containers = TRY(Container::all());
    if (request.quiet) {
        for (const Container& container : containers)
            print(container.state.id + "\n");
        return 0;
    }
    print(request.format == "json" ? as_json(containers) : as_table(containers));
    return 0;
}

}  // namespace sigil::cli::oci
