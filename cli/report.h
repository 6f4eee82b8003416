// What sigil tells: messages on stderr, and the JSON report of --report.
#pragma once

#include <string>
#include <string_view>

#include "cli/globals.h"
#include "core/error.h"
#include "core/fd.h"
#include "core/json_writer.h"
#include "core/spec.h"
#include "loop/fleet.h"
#include "loop/supervisor.h"

namespace sigil::cli {

// "sigil: web: message"; without a name, "sigil: message". After "<3>" and the like where stderr is
// the journal (sd-daemon(3)); as JSON where --log-format says so and it isn't that of a --log file.
std::string describe_message(std::string_view name, std::string_view message,
                             Level level = Level::error);
void print_message(std::string_view name, std::string_view message, Level level = Level::error);
void print_error(std::string_view name, const Error& error);

// "out of memory: ...": which limit fired, how many processes died, the peak.
std::string describe_out_of_memory(const loop::Outcome& outcome);

// The members of a report but the id; those of a summary.
void add_report(JsonWriter& json, const loop::Outcome& outcome);
void add_memory(JsonWriter& json, const loop::Outcome& outcome);
// "log": what of it is lost; nothing where that is not known.
void add_lost_output(JsonWriter& json, const std::optional<loop::LostOutput>& lost);
void add_summary(JsonWriter& json, const loop::Summary& summary, loop::Time elapsed);

// Whether a short write would not wait.
bool takes_more(int fd);

// One JSON object, without a newline.
std::string report_json(std::string_view name, const loop::Outcome& outcome);

}  // namespace sigil::cli
