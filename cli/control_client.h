// The other end of a supervisor's control socket (control.h): finds those that live, asks, and
// follows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/line_reader.h"
#include "core/error.h"
#include "core/fd.h"

namespace sigil::cli {

class ControlClient {
  public:
    static Result<ControlClient> connect(const std::string& run);
    // To the runs below --root that answer, sorted by their names.
    static Result<std::vector<ControlClient>> connect_all();
    // To the one of that name; without a name to the only one that there is. An error tells which
    // there are.
    static Result<ControlClient> connect_only(const std::string& run);

    // Whose supervisor it is.
    [[nodiscard]] const std::string& run() const { return run_; }
    // Sends a request, without its line's end, and waits for the first line of the answer. An error
    // there is one here, and refusal() is its code.
    Result<std::string> ask(std::string_view request);
    [[nodiscard]] const std::string& refusal() const { return refusal_; }
    // The next line of what it follows; nothing at the end. An error: the supervisor has gone
    // without having told the end.
    Result<std::optional<std::string>> next();
    // A line that has come already, as next(); nothing: none has, or it was the end, and
    // is_at_end() tells which.
    Result<std::optional<std::string>> next_now();
    [[nodiscard]] bool is_at_end() const { return is_at_end_; }
    // To be polled for more.
    [[nodiscard]] int fd() const { return socket_.get(); }

  private:
    ControlClient(std::string run, Fd socket) : run_(std::move(run)), socket_(std::move(socket)) {}
    Result<std::optional<std::string>> read_line(bool waits);

    std::string run_;
    Fd socket_;
    LineReader lines_;
    std::string refusal_;
    bool is_at_end_ = false;
};

}  // namespace sigil::cli
