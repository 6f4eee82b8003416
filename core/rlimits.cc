#include "core/rlimits.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/try.h"

namespace sigil {
namespace {

struct Name {
    std::string_view name;
    int resource;
};

constexpr std::array kNames = {
    Name{"as", RLIMIT_AS},
    Name{"core", RLIMIT_CORE},
    Name{"cpu", RLIMIT_CPU},
    Name{"data", RLIMIT_DATA},
    Name{"fsize", RLIMIT_FSIZE},
    Name{"locks", RLIMIT_LOCKS},
    Name{"memlock", RLIMIT_MEMLOCK},
    Name{"msgqueue", RLIMIT_MSGQUEUE},
    Name{"nice", RLIMIT_NICE},
    Name{"nofile", RLIMIT_NOFILE},
    Name{"nproc", RLIMIT_NPROC},
    Name{"rss", RLIMIT_RSS},
    Name{"rtprio", RLIMIT_RTPRIO},
    Name{"rttime", RLIMIT_RTTIME},
    Name{"sigpending", RLIMIT_SIGPENDING},
    Name{"stack", RLIMIT_STACK},
};

Result<uint64_t> parse_limit(std::string_view text) {
    if (text == "unlimited" || text == "-1")
        return RLIM_INFINITY;
    return parse_size(text);
}

}  // namespace

std::optional<int> find_rlimit(std::string_view name) {
    const auto found = std::ranges::find(kNames, name, &Name::name);
    return found == kNames.end() ? std::nullopt : std::optional(found->resource);
}

Result<Rlimit> parse_rlimit(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos)
        return failure("'{}' is not a limit: NAME=SOFT[:HARD]", printable(text));
    std::string_view name = text.substr(0, equals);
    std::string_view values = text.substr(equals + 1);
    const auto resource = find_rlimit(name);
    if (!resource)
        return failure("'{}' is not a limit that setrlimit(2) knows", printable(name));
    const size_t colon = values.find(':');
    uint64_t soft = TRY(parse_limit(values.substr(0, colon)));
    uint64_t hard = soft;
    if (colon != std::string_view::npos)
        hard = TRY(parse_limit(values.substr(colon + 1)));
    if (soft > hard)
        return failure("'{}': the soft limit is above the hard one", printable(text));
    return Rlimit{*resource, soft, hard, fmt::format("--ulimit {}", text)};
}

}  // namespace sigil
