#include "cli/oci/run_bundle.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "cli/oci/create_options.h"
#include "cli/oci/creation.h"
#include "cli/oci/foreground.h"
#include "cli/oci/verb.h"
#include "core/try.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    CreateOptions create;
    bool detach = false;
    bool keep = false;
};

const std::array kOwnOptions = {
    SIGIL_FLAG(Request, "detach", 'd', "Do not wait for the container's end", detach),
    SIGIL_FLAG(Request, "keep", 0, "Leave the ended container to 'sigil delete'", keep),
};

// The rows of create, then our own.
std::vector<OptionShape> shapes() {
    std::vector<OptionShape> all = shapes_of(create_options());
    const auto own = shapes_of(std::span<const Option<Request>>(kOwnOptions));
    all.insert(all.end(), own.begin(), own.end());
    all[0].section = "Of a bundle";
    return all;
}

Result<void> apply(const Match& match, Request& request) {
    const size_t count = create_options().size();
    if (match.row < count) {
        const auto& option = create_options()[match.row];
        return TRY(option.apply(request.create, match.value), "--{}", option.name), Result<void>();
    }
    const auto& option = kOwnOptions[match.row - count];
    return TRY(option.apply(request, match.value), "--{}", option.name), Result<void>();
}

bool may_name_a_bundle(std::string_view word) {
    return word.starts_with("--bundle") || word.starts_with("-b");
}

Result<int> run_detached(Creation& creation) {
    TRY(creation.launch());
    TRY(creation.start(-1));
    creation.keep();
    return 0;
}

Result<int> run(const std::string& id, Request request) {
    auto creation = TRY(Creation::open(id, std::move(request.create)));
    // Hooks of the start come between the creation and the execve.
    TRY(creation->prepare(!creation->spec()->oci->hooks.start_container.empty()));
    if (request.detach)
        return run_detached(*creation);
    const ForegroundRequest foreground = {
        .name = id,
        .spec = creation->spec(),
        .options = creation->supervised(),
        .started = [&creation](pid_t pid) { return creation->start(pid); },
    };
    auto code = run_in_foreground(creation->context(), foreground);
    if (request.keep && code)
        creation->keep();
    return code;
}

}  // namespace

std::vector<OptionShape> run_bundle_shapes() {
    return shapes();
}

std::optional<Result<int>> run_bundle(Arguments arguments) {
    if (std::ranges::none_of(arguments, may_name_a_bundle))  // as most runs: at no cost
        return std::nullopt;
    const std::vector<OptionShape> known = shapes();
    Arguments rest = arguments;
    auto matches = match_options(known, rest);
    if (!matches || std::ranges::none_of(*matches, [&](const Match& match) {
            return std::string_view(known[match.row].name) == "bundle";
        }))
        return std::nullopt;
    auto parse_and_run = [&]() -> Result<int> {
        Request request;
        for (const Match& match : *matches)
            TRY(apply(match, request));
        TRY(check_preserved(request.create.preserve_fds));
        const std::string id = TRY(only_id(rest, "run"));
        return TRY(run(id, std::move(request)), "run container {}", id);
    };
    return parse_and_run();
}

}  // namespace sigil::cli::oci
