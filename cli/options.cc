#include "cli/options.h"

#include <algorithm>
#include <numeric>

#include "core/parse.h"

namespace sigil::cli {
namespace {

constexpr size_t kHelpColumn = 30;

// Levenshtein's distance.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row[b.size()];
}

tl::unexpected<Error> unknown(std::span<const OptionShape> shapes, std::string_view word) {
    std::vector<const char*> names;
    for (const OptionShape& shape : shapes)
        names.push_back(shape.name);
    if (word.starts_with("--"))
        if (const char* meant = nearest(word.substr(2), names))
            return failure("unknown option '{}'; did you mean '--{}'?", printable(word), meant);
    return failure("unknown option '{}'", printable(word));
}

struct Word {
    size_t row;
    bool has_value;
    std::string_view value;
};

Result<Word> read_word(std::span<const OptionShape> shapes, std::string_view word) {
    for (size_t row = 0; row < shapes.size(); ++row) {
        const OptionShape& shape = shapes[row];
        if (word.starts_with("--")) {
            std::string_view rest = word.substr(2);
            std::string_view name = rest.substr(0, rest.find('='));
            if (name != shape.name)
                continue;
            const bool has_value = name.size() < rest.size();
            return Word{row, has_value,
                        has_value ? rest.substr(name.size() + 1) : rest.substr(0, 0)};
        }
        if (shape.letter && word[1] == shape.letter) {
            std::string_view rest = word.substr(2);
            if (rest.starts_with('='))
                rest.remove_prefix(1);
            if (!rest.empty() && !shape.argument)
                break;
            return Word{row, word.size() > 2, rest};
        }
    }
    return unknown(shapes, word);
}

void append_help(std::string& text, const char* help) {
    for (std::string_view rest = help; !rest.empty();) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        text.append(line).append("\n");
        if (!rest.empty())
            text.append(kHelpColumn, ' ');
    }
}

}  // namespace

const char* nearest(std::string_view word, std::span<const char* const> known) {
    const char* best = nullptr;
    size_t least = std::max<size_t>(2, word.size() / 3) + 1;
    for (const char* candidate : known) {
        size_t away = distance(word, candidate);
        if (away < least) {
            least = away;
            best = candidate;
        }
    }
    return best;
}

Result<std::vector<Match>> match_options(std::span<const OptionShape> shapes,
                                         std::span<const char* const>& arguments) {
    std::vector<Match> matches;
    while (!arguments.empty()) {
        std::string_view word = arguments[0];
        if (word == "--") {
            arguments = arguments.subspan(1);
            break;
        }
        if (word.size() < 2 || word[0] != '-')
            break;
        arguments = arguments.subspan(1);
        Word found = TRY(read_word(shapes, word));
        const OptionShape& shape = shapes[found.row];
        if (!shape.argument && found.has_value)
            return failure("--{} takes no value", shape.name);
        if (shape.argument && !found.has_value) {
            if (arguments.empty())
                return failure("--{} needs a value: {}", shape.name, shape.argument);
            found.value = arguments[0];
            arguments = arguments.subspan(1);
        }
        matches.push_back({found.row, found.value});
    }
    return matches;
}

std::string describe_options(std::span<const OptionShape> shapes) {
    std::string text;
    for (const OptionShape& shape : shapes) {
        if (shape.section)
            text += fmt::format("{}{}:\n", text.empty() ? "" : "\n", shape.section);
        std::string left = shape.letter ? fmt::format("  -{}, --{}", shape.letter, shape.name)
                                        : fmt::format("      --{}", shape.name);
        if (shape.argument)
            left += fmt::format(" {}", shape.argument);
        if (left.size() + 2 > kHelpColumn)
            left += "\n" + std::string(kHelpColumn, ' ');
        else
            left.resize(kHelpColumn, ' ');
        text += left;
        append_help(text, shape.help);
    }
    return text;
}

}  // namespace sigil::cli
