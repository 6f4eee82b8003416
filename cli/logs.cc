// `sigil logs`: what a container of a `sigil run` has written.
#include <unistd.h>

#include <array>

#include "cli/command.h"
#include "cli/control.h"
#include "cli/control_client.h"
#include "cli/globals.h"
#include "cli/log_reader.h"
#include "cli/report.h"
#include "core/json_reader.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;

struct Request {
    bool follow = false;
    std::string run;
};

constexpr std::array kOptions = {
    Option<Request>{"Options", "follow", 'f', nullptr, "Go on with what it writes, until it ends",
                    [](Request& r, Text v) -> Result<void> {
                        r.follow = v != "false";
                        return {};
                    }},
    Option<Request>{nullptr, "run", 0, "NAME",
                    "The run that it is of; default: the one that has an ID of\nthat name",
                    [](Request& r, Text v) -> Result<void> {
                        r.run = v;
                        return {};
                    }},
};

// A run that has answered.
struct Found {
    ControlClient client;
    std::string answer;
};

std::string question(const std::string& id, bool follow) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "do", "logs");
    add(json, "id", id);
    json.Key("follow");
    json.Bool(follow);
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

Result<std::vector<ControlClient>> runs_to_ask(const std::string& run) {
    if (run.empty())
        return ControlClient::connect_all();
    std::vector<ControlClient> one;
    one.push_back(TRY(ControlClient::connect(run)));
    return one;
}

// Each run is asked; the error is that of the only one, or that none has it.
Result<Found> find(const std::string& id, const Request& request) {
    std::vector<ControlClient> clients = TRY(runs_to_ask(request.run));
    ControlClient* found = nullptr;
    std::string found_answer;
    std::optional<Error> error;
    for (ControlClient& client : clients) {
        auto answer = client.ask(question(id, request.follow));
        if (!answer) {
            if (clients.size() == 1 || client.refusal() != kNoContainer)
                error = std::move(answer).error();
            continue;
        }
        if (found)
            return failure("runs {} and {} both have a container {}: name one by --run",
                           found->run(), client.run(), id);
        found = &client;
        found_answer = std::move(*answer);
    }
    if (found)
        return Found{std::move(*found), std::move(found_answer)};
    if (error)
        return tl::unexpected(std::move(*error));
    return failure(
        "no 'sigil run' that lives has a container {}; the log of one that has ended is in its "
        "--log-dir",
        id);
}

void put(std::string_view text) {
    (void)sys::write_all(STDOUT_FILENO, text);
}

Result<void> show_file(Found& found, const std::string& id, const std::string& directory,
                       bool follow) {
    LogReader reader = TRY(LogReader::open(directory, id));
    for (;;) {
        // Whether it has ended is asked first: what it wrote before that is there then.
        if (follow)
            (void)TRY(found.client.next_now(), "run {}", found.client.run());
        const bool is_last = !follow || found.client.is_at_end();
        if (!TRY(reader.read(put)))
            print_message(id, "some of the log was rotated away before it was read",
                          Level::warning);
        if (is_last)
            return {};
        TRY(reader.wait(found.client.fd()));
    }
}

Result<void> show_lines(Found& found) {
    while (auto line = TRY(found.client.next(), "run {}", found.client.run())) {
        const JsonDocument document = TRY(JsonDocument::parse(*line), "run {}", found.client.run());
        std::string stream;
        std::string text;
        TRY(document.root().read("stream", stream));
        TRY(document.root().read("text", text));
        (void)sys::write_all(stream == "stderr" ? STDERR_FILENO : STDOUT_FILENO, text + "\n");
    }
    return {};
}

}  // namespace

std::vector<OptionShape> logs_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string logs_help() {
    return "Usage: sigil logs [OPTIONS] ID\n"
           "\n"
           "Shows what a container of a 'sigil run' that lives has written: from its files in\n"
           "--log-dir, those that were rotated away from first; where no log is kept, with\n"
           "--follow what comes from now on.\n"
           "\n" +
           describe_options(logs_shapes());
}

Result<int> logs(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (arguments.size() != 1)
        return failure("logs: name one container");
    const std::string id = arguments[0];
    TRY(check_name(id), "logs: '{}'", printable(id));
    Found found = TRY(find(id, request));
    std::string directory;
    const JsonDocument answer =
        TRY(JsonDocument::parse(found.answer), "run {}", found.client.run());
    TRY(answer.root().read("directory", directory));
    if (directory.empty())
        TRY(show_lines(found));
    else
        TRY(show_file(found, id, directory, request.follow));
    return 0;
}

}  // namespace sigil::cli
