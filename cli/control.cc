#include "cli/control.h"

#include <unistd.h>

#include "cli/report.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr size_t kMostInAnAnswer = 1000;
constexpr std::string_view kEnd = "{\"end\":true}\n";

std::string taken(rapidjson::StringBuffer& buffer) {
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

std::string error_line(const char* code, std::string_view why) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "error", printable(why));
    add(json, "code", code);
    json.EndObject();
    return taken(buffer);
}

void add_flag(JsonWriter& json, const char* key, bool value) {
    json.Key(key);
    json.Bool(value);
}

void add_job(JsonWriter& json, const loop::JobFacts& job, loop::Time now) {
    json.StartObject();
    add(json, "id", job.name);
    add(json, "state", job.state);
    add(json, "pid", int64_t{job.pid});
    add(json, "restarts", static_cast<int64_t>(job.restarts));
    if (job.started_at != loop::Time{})
        add(json, "uptime_us", (now - job.started_at).count() / 1000);
    json.EndObject();
}

}  // namespace

Control::Control(loop::Reactor& reactor, const Sources& sources)
    : sources_(sources),
      server_(
          reactor, *this, loop::Source::control,
          {.only_own_user = true,
           .refusal = error_line(kRefused, "too many are connected, or you are another user")}) {}

void Control::request(loop::Token token, std::string_view line) {
    auto document = JsonDocument::parse(line);
    if (!document)
        return refuse(token, kBadRequest, document.error().message());
    if (auto answered = answer(token, document->root()); !answered)
        refuse(token, kBadRequest, answered.error().message());
}

void Control::overlong(loop::Token token) {
    refuse(token, kBadRequest, "the request is longer than 4096 bytes");
}

Result<void> Control::answer(loop::Token token, const Json& request) {
    if (peers_.contains(token.pack()))
        return failure("it follows something already");
    const Json asked = TRY(request.need("do"));
    const std::string_view what = TRY(asked.text());
    if (what == "status")
        return answer_status(token, request);
    if (what == "logs")
        return answer_logs(token, request);
    if (what != "events")
        return failure("do: '{}' is none of status, events, logs", printable(what));
    server_.send(token, "{\"ok\":true}\n");
    follow(token, {Follows::events, {}});
    return {};
}

Result<void> Control::answer_status(loop::Token token, const Json& request) {
    std::string after;
    TRY(request.read("after", after));
    const loop::Fleet& fleet = sources_.fleet;
    const auto jobs = fleet.jobs(after, kMostInAnAnswer);
    const loop::Time now = sys::monotonic_now();
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add_flag(json, "ok", true);
    add(json, "run", sources_.run);
    add(json, "pid", int64_t{::getpid()});
    add(json, "running", static_cast<int64_t>(fleet.running()));
    add(json, "ended", static_cast<int64_t>(fleet.ended()));
    add(json, "restarts", static_cast<int64_t>(fleet.summary().restarts));
    add(json, "out_of_memory", static_cast<int64_t>(fleet.summary().out_of_memory));
    add(json, "followers", static_cast<int64_t>(peers_.size()));
    json.Key("containers");
    json.StartArray();
    for (const loop::JobFacts& job : jobs)
        add_job(json, job, now);
    json.EndArray();
    add_flag(json, "more", jobs.size() == kMostInAnAnswer);
    json.EndObject();
    server_.send(token, taken(buffer));
    return {};
}

Result<void> Control::answer_logs(loop::Token token, const Json& request) {
    const Json whose = TRY(request.need("id"));
    const std::string id(TRY(whose.text()));
    bool follows = false;
    TRY(request.read("follow", follows));
    TRY(check_name(id), "id");
    JobStreams* streams = sources_.streams;
    const bool has_log = streams && streams->has_log(id);
    if (!has_log && !sources_.fleet.job(id))
        return refuse(token, kNoContainer,
                      fmt::format("there is no container {} in run {}", id, sources_.run)),
               Result<void>();
    const bool is_live = streams && streams->output() && streams->log_directory().empty();
    if (!has_log && !(is_live && follows))
        return refuse(token, kNoLog,
                      fmt::format("run {} keeps no log of {}: give it --log-dir{}", sources_.run,
                                  id, is_live ? ", or follow what comes by -f" : "")),
               Result<void>();
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add_flag(json, "ok", true);
    if (has_log)
        add(json, "directory", streams->log_directory());
    json.EndObject();
    server_.send(token, taken(buffer));
    if (!follows)
        return {};
    follow(token, {has_log ? Follows::log : Follows::output, id});
    check_end(id);
    return {};
}

void Control::refuse(loop::Token token, const char* code, std::string_view why) {
    server_.send(token, error_line(code, why));
    server_.close(token);
}

// ---- those who follow ---------------------------------------------------------------------------

void Control::follow(loop::Token token, Peer peer) {
    peers_.insert_or_assign(token.pack(), std::move(peer));
    update_taps();
}

void Control::left(loop::Token token) {
    if (peers_.erase(token.pack()) > 0)
        update_taps();
}

// What nobody follows is not made.
void Control::update_taps() {
    bool are_events = false;
    bool is_output = false;
    for (const auto& [token, peer] : peers_) {
        are_events = are_events || peer.follows == Follows::events;
        is_output = is_output || peer.follows == Follows::output;
    }
    if (sources_.streams && sources_.streams->output())
        sources_.streams->output()->tap(is_output);
    sources_.events.tap(are_events ? this : nullptr);
}

// A list of their own: one that is dropped by what it is sent leaves the map at once.
template <typename Is>
std::vector<loop::Token> Control::those(Is is) const {
    std::vector<loop::Token> found;
    for (const auto& [token, peer] : peers_)
        if (is(peer))
            found.push_back(loop::Token::unpack(token));
    return found;
}

void Control::told(std::string_view line) {
    for (const loop::Token token :
         those([](const Peer& peer) { return peer.follows == Follows::events; }))
        server_.send(token, line);
}

void Control::output(const std::string& name, loop::Stream stream, std::string_view line) {
    const auto followers = those(
        [&name](const Peer& peer) { return peer.follows == Follows::output && peer.id == name; });
    if (followers.empty())
        return;
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "stream", loop::name(stream));
    add(json, "text", printable(line));
    json.EndObject();
    const std::string text = taken(buffer);
    for (const loop::Token token : followers)
        server_.send(token, text);
}

bool Control::is_over(const std::string& name) const {
    loop::Output* output = sources_.streams ? sources_.streams->output() : nullptr;
    return !sources_.fleet.job(name) && !(output && output->is_pending(name));
}

void Control::check_end(const std::string& name) {
    const auto followers = those(
        [&name](const Peer& peer) { return peer.follows != Follows::events && peer.id == name; });
    if (followers.empty() || !is_over(name))
        return;
    for (const loop::Token token : followers) {
        server_.send(token, kEnd);
        server_.close(token);
    }
}

void Control::finish() {
    for (const loop::Token token : those([](const Peer&) { return true; }))
        server_.send(token, kEnd);
    server_.shut();
}

}  // namespace sigil::cli
