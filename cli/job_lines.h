// A job as one line of JSON: an object whose keys are the options of `sigil run`.
//
//     {"id":"a","args":["make","test"],"env":{"CI":"1"},"memory":"64M","after":["setup"]}
//
// The values go through the table of run_options.h, so that an option is a key without more ado:
// strings and numbers are its text, true and false are for options without a value, an array gives
// an option more than once. "_" and "-" in a key are the same.
#pragma once

#include <string_view>

#include "cli/run_options.h"
#include "core/error.h"
#include "core/job.h"

namespace sigil::cli {

// Nothing but white space: a line that asks for nothing.
bool is_blank(std::string_view line);

// The command line's job is the default of each line: what a line repeats (binds, variables) comes
// after it, anything else replaces it. A job without an id has no name yet: number_job() gives one.
// Errors name the path in the JSON: "mounts[2]: options[0]: ...".
Result<Job> parse_job_line(std::string_view line, const RunRequest& defaults);

}  // namespace sigil::cli
