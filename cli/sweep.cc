// `sigil sweep`: removes what supervisors left that were killed.
#include "isolation/sweep.h"

#include <array>

#include "cli/command.h"
#include "cli/globals.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/parse.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

struct Request {
    isolation::SweepRequest sweep;
    bool wants_help = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "root", 0, "DIR",
                    "The --root of the supervisors; default: /run/sigil",
                    [](Request& r, std::string_view v) -> Result<void> {
                        if (v.empty())
                            return failure("the directory is missing");
                        r.sweep.root = v;
                        return {};
                    }},
    Option<Request>{nullptr, "dry-run", 0, nullptr, "Only say what would be removed",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.sweep.dry_run = true;
                        return {};
                    }},
    Option<Request>{nullptr, "help", 'h', nullptr, "Show this",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

}  // namespace

std::vector<OptionShape> sweep_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string sweep_help() {
    return "Usage: sigil sweep [OPTIONS]\n"
           "\n"
           "Removes what sigil left where it was killed by SIGKILL: the cgroups of its "
           "containers,\n"
           "with any process that is still in them, and its record of them. Tells each on a line;\n"
           "says nothing where nothing is to be done. What belongs to a sigil that lives is not\n"
           "touched. Exits with 0, or with 125 if something could not be removed: the message\n"
           "names it. 'sigil run' does the same by the way, for a few at a time.\n"
           "\n" +
           describe_options(sweep_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil sweep --dry-run\n"
           "  sigil sweep --root /run/ci\n";
}

Result<int> sweep(Arguments arguments) {
    Request request;
    request.sweep.root = globals().root;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.wants_help) {
        print(sweep_help());
        return 0;
    }
    if (!arguments.empty())
        return failure("sweep: '{}': it takes no arguments", printable(arguments[0]));
    const isolation::Swept swept = isolation::sweep(request.sweep);
    for (const std::string& what : swept.removed)
        print(fmt::format("{} {}\n", request.sweep.dry_run ? "would remove" : "removed", what));
    for (const Error& error : swept.failures)
        print_error("sweep", error);
    return swept.failures.empty() ? 0 : kExitRuntimeFailure;
}

}  // namespace sigil::cli
