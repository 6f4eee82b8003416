// The commands, one file each, as a table.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/options.h"
#include "core/error.h"

namespace sigil::cli {

using Arguments = std::span<const char* const>;

struct Command {
    const char* name;
    const char* summary;
    std::string (*help)();
    // Returns the exit code.
    Result<int> (*run)(Arguments arguments);
    // What the command reads, in the help's order: its manual page and the completions of shells
    // are made from this; null: it has no options.
    std::vector<OptionShape> (*options)() = nullptr;
    // It only prints: it works where there is no /proc, as in the chroot of a package's build.
    bool only_prints = false;
};

std::span<const Command> commands();
// The command of that name, or null.
const Command* find_command(std::string_view name);

// The options of no command, which stand before it.
std::vector<OptionShape> global_options();
// What stands below the list of commands in the help, and in sigil's own manual page.
std::string_view examples();

// One row for each file of a command.
std::string run_help();
Result<int> run(Arguments arguments);
std::vector<OptionShape> run_shapes();
std::string spec_help();
Result<int> spec(Arguments arguments);
std::vector<OptionShape> spec_shapes();
std::string logs_help();
Result<int> logs(Arguments arguments);
std::vector<OptionShape> logs_shapes();
std::string stats_help();
Result<int> stats(Arguments arguments);
std::vector<OptionShape> stats_shapes();
std::string top_help();
Result<int> top(Arguments arguments);
std::vector<OptionShape> top_shapes();
std::string sweep_help();
Result<int> sweep(Arguments arguments);
std::vector<OptionShape> sweep_shapes();
std::string doctor_help();
Result<int> doctor(Arguments arguments);
std::vector<OptionShape> doctor_shapes();
std::string features_help();
Result<int> features(Arguments arguments);
std::vector<OptionShape> features_shapes();
std::string completion_help();
Result<int> completion(Arguments arguments);
std::vector<OptionShape> completion_shapes();

// For output that the user asked for; sigil's messages go to stderr (report.h).
void print(std::string_view text);

}  // namespace sigil::cli
