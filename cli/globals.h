// What stands before the command on the command line, and holds for all of them: runc's words.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"
#include "core/error.h"

namespace sigil::cli {

enum class LogFormat : unsigned char { text, json };

struct Globals {
    std::string root;                        // of what is kept about containers
    std::string log;                         // a file that gets each message too; empty: none
    LogFormat log_format = LogFormat::text;  // of that file, or else of stderr
    bool debug = false;
    bool systemd_cgroup = false;
};

// Those of this process. Set once, before the command runs.
const Globals& globals();

// Reads them off the front of the arguments.
Result<void> read_globals(Arguments& arguments);
std::vector<OptionShape> globals_shapes();

// Also `sigil run --log-format`.
Result<LogFormat> parse_log_format(std::string_view text);
void set_log_format(LogFormat format);

enum class Level : unsigned char { error, warning, info, debug };
// {"level":"error","msg":"...","time":"..."}, as logrus has it, without a newline; "id" is the
// container, if it is about one.
std::string message_json(Level level, std::string_view name, std::string_view message);
// Into the --log file, if there is one: for an engine, which shows its last error to its user.
void log(Level level, std::string_view message);

}  // namespace sigil::cli
