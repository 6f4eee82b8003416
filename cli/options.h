// Options as a table: the parser, the help text and whatever is generated from them later read the
// same rows.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/try.h"

namespace sigil::cli {

template <typename Target>
struct Option {
    const char* section;   // the heading in the help; null: that of the row above
    const char* name;      // without "--"
    char letter;           // 0: no short form
    const char* argument;  // what its value is called; null: it takes none
    const char* help;      // one or more lines
    // Without an argument, `value` is empty or "true"; "false" takes the option back.
    Result<void> (*apply)(Target& target, std::string_view value);
    bool of_run = false;  // of the whole run, never of one container of many
};

// One occurrence of an option, matched by the parser.
struct Match {
    size_t row;
    std::string_view value;
};

struct OptionShape {
    const char* section;
    const char* name;
    char letter;
    const char* argument;
    const char* help;
};

// Reads options up to the first word that is none, or to "--". Moves `arguments` past them.
Result<std::vector<Match>> match_options(std::span<const OptionShape> shapes,
                                         std::span<const char* const>& arguments);
// The options as help text, in columns.
std::string describe_options(std::span<const OptionShape> shapes);
// The one of `known` that `word` was probably meant to be; null if none is near.
const char* nearest(std::string_view word, std::span<const char* const> known);

template <typename Target>
std::vector<OptionShape> shapes_of(std::span<const Option<Target>> options) {
    std::vector<OptionShape> shapes;
    shapes.reserve(options.size());
    for (const auto& option : options)
        shapes.push_back(
            {option.section, option.name, option.letter, option.argument, option.help});
    return shapes;
}

template <typename Target>
Result<void> parse_options(std::span<const Option<Target>> options, Target& target,
                           std::span<const char* const>& arguments) {
    const auto shapes = shapes_of(options);
    for (const Match& match : TRY(match_options(shapes, arguments))) {
        const auto& option = options[match.row];
        TRY(option.apply(target, match.value), "--{}", option.name);
    }
    return {};
}

}  // namespace sigil::cli
