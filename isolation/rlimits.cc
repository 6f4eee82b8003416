#include "isolation/rlimits.h"

#include <sys/resource.h>

#include <array>

#include "core/parse.h"
#include "core/try.h"

namespace sigil::isolation {
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

Result<Rlimit> parse_rlimit(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos)
        return failure("'{}' is not a limit: NAME=SOFT[:HARD]", printable(text));
    std::string_view name = text.substr(0, equals);
    std::string_view values = text.substr(equals + 1);
    const size_t colon = values.find(':');
    for (const Name& known : kNames) {
        if (known.name != name)
            continue;
        uint64_t soft = TRY(parse_limit(values.substr(0, colon)));
        uint64_t hard = soft;
        if (colon != std::string_view::npos)
            hard = TRY(parse_limit(values.substr(colon + 1)));
        if (soft > hard)
            return failure("'{}': the soft limit is above the hard one", printable(text));
        return Rlimit{known.resource, soft, hard, std::string(text)};
    }
    return failure("'{}' is not a limit that setrlimit(2) knows", printable(name));
}

}  // namespace sigil::isolation
