// The commands, one file each, as a table.
#pragma once

#include <span>
#include <string>

#include "core/error.h"

namespace sigil::cli {

using Arguments = std::span<const char* const>;

struct Command {
    const char* name;
    const char* summary;
    std::string (*help)();
    // Returns the exit code.
    Result<int> (*run)(Arguments arguments);
};

std::span<const Command> commands();
// The command of that name, or null.
const Command* find_command(std::string_view name);

// One row for each file of a command.
std::string run_help();
Result<int> run(Arguments arguments);
std::string sweep_help();
Result<int> sweep(Arguments arguments);

// For output that the user asked for; sigil's messages go to stderr (report.h).
void print(std::string_view text);

}  // namespace sigil::cli
