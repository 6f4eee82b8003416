// The scripts of `sigil completion`, one file a shell, and the words that they are made of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/completion.h"

namespace sigil::cli {

std::string bash_script();
std::string zsh_script();
std::string fish_script();

// The containers of the default --root, one a line.
inline constexpr const char* kListContainers = "sigil list --quiet 2>/dev/null";

std::string join(const std::vector<std::string>& words, std::string_view separator = " ");
// With `before` before each of the characters in `special`.
std::string replace_each(std::string_view text, std::string_view special, std::string_view before);
// In single quotes, as bash and zsh have them.
std::string quoted(std::string_view text);
// The help text on one line.
std::string one_line(std::string_view help);
std::vector<OptionShape> options_of(const Command& command);
std::vector<std::string> command_names();
// "--memory", "-m".
std::vector<std::string> spellings(const OptionShape& option);

}  // namespace sigil::cli
