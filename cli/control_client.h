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

// The runs below --root that answer, sorted.
Result<std::vector<std::string>> living_runs();
// The one of that name; without a name the only one that there is. An error tells which there are.
Result<std::string> only_run(std::string_view name);

class ControlClient {
  public:
    static Result<ControlClient> connect(const std::string& run);

    // Sends a request, without its line's end, and waits for the first line of the answer, which an
    // error is too.
    Result<std::string> ask(std::string_view request);
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
    explicit ControlClient(Fd socket) : socket_(std::move(socket)) {}
    Result<std::optional<std::string>> read_line(bool waits);

    Fd socket_;
    LineReader lines_;
    bool is_at_end_ = false;
};

}  // namespace sigil::cli
