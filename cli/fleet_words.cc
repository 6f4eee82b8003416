#include "cli/fleet_words.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core/parse.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr size_t kLongestName = 64;

Result<void> check_one(const RunRequest& request) {
    const char* wrong = request.jobs        ? "--jobs"
                        : request.fail_fast ? "--fail-fast"
                        : request.warm > 0  ? "--warm"
                        : request.launchers ? "--launchers"
                                            : nullptr;
    if (wrong)
        return failure("{}: it is for many containers: give --count or --from", wrong);
    return {};
}

// The terminal is all of the command's streams.
Result<void> check_tty(const RunRequest& request) {
    if (!request.tty)
        return request.detach_keys ? failure("--detach-keys: it needs --tty") : Result<void>();
    const Job& job = request.job;
    const bool is_elsewhere =
        request.output != Output::automatic && request.output != Output::inherit;
    const char* other = request.count                           ? "--count"
                        : request.from                          ? "--from"
                        : !job.stdin_path.empty()               ? "--stdin"
                        : !job.stdout_path.empty()              ? "--stdout"
                        : !job.stderr_path.empty()              ? "--stderr"
                        : request.log_dir                       ? "--log-dir"
                        : is_elsewhere                          ? "--output"
                        : job.restart.when != RestartPolicy::no ? "--restart"
                                                                : nullptr;
    if (other)
        return failure("--tty: not with {}: it is one container's, and all of its streams", other);
    return {};
}

Result<void> check_many(const RunRequest& request) {
    if (request.count && request.from)
        return failure("--count: the lines of --from say how many there are: give one of the two");
    if (request.count) {
        const std::string& base = request.job.spec.name;
        const std::string last = fmt::format("{}-{}", base, *request.count);
        if (last.size() > kLongestName)
            return failure("--name: with --count the last one's name is '{}': longer than {}", last,
                           kLongestName);
    }
    return {};
}

Result<void> check_output(const RunRequest& request) {
    const Output output = request.output;
    if (output == Output::events && !request.events)
        return failure("--output events: it needs --events");
    if (output == Output::inherit && request.log_dir)
        return failure("--log-dir: with --output inherit, sigil sees nothing that it could log");
    if (request.log_max_size && !request.log_dir)
        return failure("--log-max-size: it needs --log-dir");
    if (request.log_max_files && !request.log_max_size)
        return failure("--log-max-files: it needs --log-max-size");
    const bool is_read = request.log_max_size || output == Output::prefix ||
                         output == Output::events ||
                         (output == Output::automatic && request.is_many() && !request.log_dir);
    if (request.log_policy == LogPolicy::drop && !is_read)
        return failure(
            "--log-policy drop: it needs output that goes through sigil: --output prefix or "
            "events, or --log-max-size");
    if (request.events == "-" && request.report == "-")
        return failure("--report: --events goes to stdout already");
    return {};
}

}  // namespace

Result<uint64_t> parse_count(std::string_view text, uint64_t limit) {
    const uint64_t count = TRY(parse_number(text, limit));
    if (count == 0)
        return failure("0 is less than 1");
    return count;
}

Result<RestartPolicy> parse_restart(std::string_view text) {
    if (text == "no")
        return RestartPolicy{};
    if (text == "always")
        return RestartPolicy{.when = RestartPolicy::always};
    constexpr std::string_view kOnFailure = "on-failure";
    if (text == kOnFailure)
        return RestartPolicy{.when = RestartPolicy::on_failure};
    if (text.starts_with(kOnFailure) && text[kOnFailure.size()] == ':')
        return RestartPolicy{
            .when = RestartPolicy::on_failure,
            .most = TRY(parse_count(text.substr(kOnFailure.size() + 1), UINT32_MAX))};
    return failure("'{}' is none of no, on-failure[:N], always", printable(text));
}

Result<void> add_after(Job& job, std::string_view name) {
    TRY(check_name(name));
    job.after.emplace_back(name);
    return {};
}

Result<std::string> parse_path(std::string_view text) {
    if (text.empty())
        return failure("the path is empty");
    return std::string(text);
}

Result<Output> parse_output(std::string_view text) {
    if (text == "inherit")
        return Output::inherit;
    if (text == "prefix")
        return Output::prefix;
    if (text == "events")
        return Output::events;
    if (text == "discard")
        return Output::discard;
    return failure("'{}' is none of inherit, prefix, events, discard", printable(text));
}

Result<LogPolicy> parse_log_policy(std::string_view text) {
    if (text != "block" && text != "drop")
        return failure("'{}' is neither block nor drop", printable(text));
    return text == "block" ? LogPolicy::block : LogPolicy::drop;
}

Result<loop::RingChoice> parse_ring(std::string_view text) {
    if (text == "auto")
        return loop::RingChoice::automatic;
    if (text == "uring")
        return loop::RingChoice::uring;
    if (text == "epoll")
        return loop::RingChoice::epoll;
    return failure("'{}' is none of auto, uring, epoll", printable(text));
}

Result<MetricsAddress> parse_metrics(std::string_view text) {
    constexpr std::string_view kUnix = "unix:";
    constexpr const char* kLoopback = "127.0.0.1";
    if (text.starts_with(kUnix))
        return MetricsAddress{.path = TRY(parse_path(text.substr(kUnix.size()))), .host = {}};
    const size_t colon = text.rfind(':');
    std::string_view host =
        colon == std::string_view::npos ? std::string_view(kLoopback) : text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    const uint64_t port = TRY(parse_number(text.substr(colon + 1), UINT16_MAX));
    if (port == 0)
        return failure("port 0 is none");
    if (host.empty())
        return failure("'{}': the address is missing", printable(text));
    return MetricsAddress{
        .path = {}, .host = std::string(host), .port = static_cast<uint16_t>(port)};
}

Result<Notify> parse_notify(std::string_view text) {
    if (text == "sigil")
        return Notify::sigil;
    if (text == "container")
        return Notify::container;
    if (text == "ignore")
        return Notify::ignore;
    return failure("'{}' is none of sigil, container, ignore", printable(text));
}

Result<int> parse_notification_fd(std::string_view text) {
    const auto fd = static_cast<int>(TRY(parse_number(text, INT32_MAX)));
    if (fd <= STDERR_FILENO)
        return failure("0, 1 and 2 are the command's");
    if (::fcntl(fd, F_GETFD) < 0)
        return failure("descriptor {} is not open", fd);
    return fd;
}

Result<void> check_run(const RunRequest& request) {
    if (!request.job.after.empty() && !request.from)
        return failure("--after: it names a container of --from, which is not given");
    TRY(check_tty(request));
    if (request.is_many())
        TRY(check_many(request));
    else
        TRY(check_one(request));
    return check_output(request);
}

}  // namespace sigil::cli
