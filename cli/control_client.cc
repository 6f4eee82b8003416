#include "cli/control_client.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <array>

#include "cli/globals.h"
#include "core/json_reader.h"
#include "core/parse.h"
#include "core/run_record.h"
#include "core/stream_socket.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr std::string_view kEnd = "{\"end\":true}";

// Nothing: there are none.
Result<std::optional<Fd>> open_runs() {
    const std::string path = runs_path(globals().root);
    auto opened = sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
    if (!opened && opened.error().is(ENOENT))
        return std::nullopt;
    return std::optional(TRY(std::move(opened), "open {}", path));
}

std::string socket_of(const std::string& run) {
    return fmt::format("{}/{}", run, kControlSocket);
}

}  // namespace

Result<std::vector<ControlClient>> ControlClient::connect_all() {
    std::vector<ControlClient> clients;
    const auto directory = TRY(open_runs());
    if (!directory)
        return clients;
    std::vector<std::string> names = TRY(sys::all_names(directory->get()), "list the runs");
    std::ranges::sort(names);
    for (std::string& name : names)
        if (auto socket = connect_unix(directory->get(), socket_of(name)))
            clients.push_back(ControlClient(std::move(name), std::move(*socket)));
    return clients;
}

Result<ControlClient> ControlClient::connect_only(const std::string& run) {
    if (!run.empty())
        return connect(run);
    std::vector<ControlClient> clients = TRY(connect_all());
    if (clients.empty())
        return failure("no 'sigil run' lives below {}", runs_path(globals().root));
    if (clients.size() > 1) {
        std::vector<std::string> names;
        names.reserve(clients.size());
        for (const ControlClient& client : clients)
            names.push_back(client.run());
        return failure("name a run: {}", fmt::join(names, ", "));
    }
    return std::move(clients.front());
}

Result<ControlClient> ControlClient::connect(const std::string& run) {
    TRY(check_name(run), "'{}'", printable(run));
    const auto directory = TRY(open_runs());
    auto socket = directory ? connect_unix(directory->get(), socket_of(run))
                            : Result<Fd>(tl::unexpected(Error::from_errno(ENOENT, "connect")));
    if (!socket && (socket.error().is(ENOENT) || socket.error().is(ECONNREFUSED)))
        return failure("no 'sigil run' of the name {} lives below {}", run,
                       runs_path(globals().root));
    return ControlClient(run, TRY(std::move(socket), "reach run {}", run));
}

Result<std::string> ControlClient::ask(std::string_view request) {
    TRY(sys::write_all(socket_.get(), fmt::format("{}\n", request)), "ask the supervisor");
    std::optional<std::string> answer = TRY(read_line(true));
    if (!answer)
        return failure("the supervisor is gone");
    const JsonDocument document = TRY(JsonDocument::parse(*answer), "the supervisor's answer");
    std::string error;
    TRY(document.root().read("error", error));
    if (!error.empty()) {
        TRY(document.root().read("code", refusal_));
        return failure("{}", error);
    }
    return std::move(*answer);
}

Result<std::optional<std::string>> ControlClient::next() {
    return read_line(true);
}

Result<std::optional<std::string>> ControlClient::next_now() {
    return read_line(false);
}

Result<std::optional<std::string>> ControlClient::read_line(bool waits) {
    std::array<char, 65536> bytes;
    while (!is_at_end_) {
        if (const auto line = lines_.next()) {
            if (line->text != kEnd)
                return std::string(line->text);
            is_at_end_ = true;
            break;
        }
        auto count = waits ? sys::read(socket_.get(), bytes) : receive(socket_.get(), bytes);
        if (!count && count.error().is(EINTR))
            continue;
        if (!count && count.error().is(EAGAIN))
            break;
        if (!count && !count.error().is(ECONNRESET))
            return tl::unexpected(std::move(count).error());
        if (!count || *count == 0)
            return failure("the supervisor was killed, or has dropped us as too slow");
        lines_.feed(std::span(bytes).first(*count));
    }
    return std::nullopt;
}

}  // namespace sigil::cli
