// What makes bash, zsh and fish complete sigil's words: generated from the tables of commands and
// options, so that no script can lag behind them.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace sigil::cli {

enum class Shell : uint8_t { bash, zsh, fish };

// "bash", "zsh", "fish"; nothing: another.
std::optional<Shell> find_shell(std::string_view name);
std::string completion_script(Shell shell);

// What a shell offers where a word is to be given.
struct Offer {
    enum class Kind : uint8_t { nothing, words, files, directories, containers };
    Kind kind = Kind::nothing;
    std::vector<std::string> words;
};

// For the value of an option that takes one: by what the help calls it ("DIR", "FILE|-",
// "block|drop"), and for a few by their names.
Offer offer_for_value(const OptionShape& option);
// For the first word after a command's options.
Offer offer_for_operand(const Command& command);

}  // namespace sigil::cli
