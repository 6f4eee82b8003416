// What sigil tells: messages on stderr, and the JSON report of --report.
#pragma once

#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"
#include "loop/supervisor.h"

namespace sigil::cli {

// "sigil: web: message"; without a name, "sigil: message".
void print_message(std::string_view name, std::string_view message);
void print_error(std::string_view name, const Error& error);

// "out of memory: ...": which limit fired, how many processes died, the peak.
std::string describe_out_of_memory(const loop::Outcome& outcome);

// What sigil exits with after this end.
int exit_code(const loop::Outcome& outcome);

// Where --report goes: opened before the container starts, so that a path that can't be written is
// an error while nothing has happened yet; written once, at the end.
class ReportFile {
  public:
    // "FILE", "fd:N", or "-" for stdout.
    static Result<ReportFile> open(std::string_view target);
    Result<void> write(const Spec& spec, const loop::Outcome& outcome);

  private:
    Fd file_;
    bool is_regular_ = false;
};

// One JSON object, without a newline.
std::string report_json(const Spec& spec, const loop::Outcome& outcome);

}  // namespace sigil::cli
