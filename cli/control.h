// What a supervisor answers on ROOT/runs/NAME/control. A request is a JSON object on a line; so is
// each line of the answer. What cannot be answered gets {"error":"...","code":"..."}, one of the
// codes below, and the connection is closed.
//
//     {"do":"status"}               {"ok":true,"run":"web","pid":7,...,"containers":[...]}
//     {"do":"status","after":"b"}   the same of the containers whose names come after "b"
//     {"do":"events"}               {"ok":true}, then each event as --events has it
//     {"do":"logs","id":"a"}        {"ok":true,"directory":"/logs"}: it is in DIRECTORY/a.log
//     {"do":"logs","id":"a","follow":true}
//                                   the same; or where no log is kept {"ok":true} and then
//                                   {"stream":"stdout","text":"..."} for each line
//
// What follows ends with {"end":true}: with the run, or of logs with the container. Without it the
// supervisor was killed, or it has dropped a client that did not read.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cli/events.h"
#include "cli/run_options.h"
#include "cli/streams.h"
#include "core/json_reader.h"
#include "loop/fleet.h"
#include "loop/line_server.h"

namespace sigil::cli {

inline constexpr const char* kBadRequest = "bad-request";
inline constexpr const char* kNoContainer = "no-container";  // none of that id, or it has ended
inline constexpr const char* kNoLog = "no-log";              // it is there, but its log is not kept
inline constexpr const char* kRefused = "refused";  // too many are connected, or another user

class Control final : private loop::LineServer::Client, private EventStream::Tap {
  public:
    // All outlive it.
    struct Sources {
        const RunRequest& request;
        const loop::Fleet& fleet;
        JobStreams* streams;  // null: every stream is inherited
        EventStream& events;
        const std::string& run;  // how others call it
    };

    Control(loop::Reactor& reactor, const Sources& sources);

    void listen(Fd socket) { server_.listen(std::move(socket)); }
    // A line that a container has written.
    void output(const std::string& name, loop::Stream stream, std::string_view line);
    // Something of that container is over: who follows its output is told if all is.
    void check_end(const std::string& name);
    // The run is over.
    void finish();

  private:
    enum class Follows : uint8_t { nothing, events, log, output };
    struct Peer {
        Follows follows = Follows::nothing;
        std::string id;  // whose
    };

    void request(loop::Token token, std::string_view line) override;
    void overlong(loop::Token token) override;
    void flushed(loop::Token) override {}
    void left(loop::Token token) override;

    Result<void> answer(loop::Token token, const Json& request);
    Result<void> answer_status(loop::Token token, const Json& request);
    Result<void> answer_logs(loop::Token token, const Json& request);
    [[nodiscard]] bool is_over(const std::string& name) const;
    void follow(loop::Token token, Peer peer);
    void update_taps();
    template <typename Is>
    [[nodiscard]] std::vector<loop::Token> those(Is is) const;
    void told(std::string_view line) override;
    void refuse(loop::Token token, const char* code, std::string_view why);

    Sources sources_;
    loop::LineServer server_;
    std::unordered_map<uint64_t, Peer> peers_;  // those that follow something
};

}  // namespace sigil::cli
