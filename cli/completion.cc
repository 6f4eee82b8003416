// `sigil completion`.
#include "cli/completion.h"

#include <signal.h>

#include <algorithm>
#include <array>

#include "cli/completion_shells.h"
#include "core/capabilities.h"
#include "core/parse.h"
#include "core/process.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr std::array kShells = {std::pair{std::string_view("bash"), Shell::bash},
                                std::pair{std::string_view("zsh"), Shell::zsh},
                                std::pair{std::string_view("fish"), Shell::fish}};

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(separator, at), text.size());
        parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

std::vector<std::string> capabilities() {
    std::vector<std::string> names = {"ALL"};
    for (std::string_view name : capability_names())
        names.emplace_back(name);
    return names;
}

std::vector<std::string> signals() {
    std::vector<std::string> names;
    for (int signal = 1; signal <= SIGSYS; ++signal)
        names.push_back(signal_name(signal).substr(3));
    return names;
}

// A word that stands for itself: lower case. "FILE" and "NAME[=VALUE]" stand for others.
bool is_literal(const std::string& word) {
    return !word.empty() &&
           std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; }) &&
           word != "-";
}

struct Request {
    bool wants_help = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "help", 'h', nullptr, "Show this",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

}  // namespace

std::string join(const std::vector<std::string>& words, std::string_view separator) {
    return fmt::format("{}", fmt::join(words, separator));
}

std::string replace_each(std::string_view text, std::string_view special, std::string_view before) {
    std::string escaped;
    for (char c : text) {
        if (special.find(c) != std::string_view::npos)
            escaped += before;
        escaped += c;
    }
    return escaped;
}

std::string quoted(std::string_view text) {
    std::string inside;
    for (char c : text)
        inside += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return "'" + inside + "'";
}

std::string one_line(std::string_view help) {
    std::string line(help);
    std::ranges::replace(line, '\n', ' ');
    return line;
}

std::vector<OptionShape> options_of(const Command& command) {
    return command.options ? command.options() : std::vector<OptionShape>();
}

std::vector<std::string> command_names() {
    std::vector<std::string> names;
    for (const Command& command : commands())
        names.emplace_back(command.name);
    return names;
}

std::vector<std::string> spellings(const OptionShape& option) {
    std::vector<std::string> words = {std::string("--") + option.name};
    if (option.letter)
        words.push_back({'-', option.letter});
    return words;
}

std::optional<Shell> find_shell(std::string_view name) {
    for (const auto& [known, shell] : kShells)
        if (name == known)
            return shell;
    return std::nullopt;
}

Offer offer_for_value(const OptionShape& option) {
    const std::string_view name = option.name;
    if (name == "cap-add" || name == "cap-drop")
        return {Offer::Kind::words, capabilities()};
    if (name == "restart")
        return {Offer::Kind::words, {"no", "on-failure", "always"}};
    if (name == "output")
        return {Offer::Kind::words, {"inherit", "prefix", "events", "discard"}};
    const std::string_view argument = option.argument;
    if (argument == "SIGNAL")
        return {Offer::Kind::words, signals()};
    std::vector<std::string> parts = split(argument, '|');
    if (std::ranges::all_of(parts, is_literal))
        return {Offer::Kind::words, std::move(parts)};
    if (argument == "DIR")
        return {Offer::Kind::directories, {}};
    if (std::ranges::find(parts, "FILE") != parts.end() || argument.starts_with("SRC"))
        return {Offer::Kind::files, {}};
    return {};
}

Offer offer_for_operand(const Command& command) {
    const std::string_view name = command.name;
    if (name == "help")
        return {Offer::Kind::words, command_names()};
    if (name == "completion") {
        Offer offer{Offer::Kind::words, {}};
        for (const auto& [known, shell] : kShells)
            offer.words.emplace_back(known);
        return offer;
    }
    if (name == "create")  // a new one
        return {};
    // "Usage: sigil kill [OPTIONS] ID [SIGNAL]"
    const std::string help = command.help();
    const std::string usage = help.substr(0, help.find('\n')) + " ";
    if (usage.find(" ID ") != std::string::npos)
        return {Offer::Kind::containers, {}};
    return {Offer::Kind::files, {}};
}

std::string completion_script(Shell shell) {
    switch (shell) {
        case Shell::bash:
            return bash_script();
        case Shell::zsh:
            return zsh_script();
        case Shell::fish:
            return fish_script();
    }
    return {};
}

std::vector<OptionShape> completion_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string completion_help() {
    return "Usage: sigil completion bash|zsh|fish\n"
           "\n"
           "Prints what makes the shell complete sigil's commands, their options and values. A\n"
           "package has put it where the shell looks for it; without one, it is read by hand.\n"
           "\n" +
           describe_options(completion_shapes()) +
           "\n"
           "Examples:\n"
           "  source <(sigil completion bash)\n"
           "  sigil completion zsh > ~/.zfunc/_sigil\n"
           "  sigil completion fish > ~/.config/fish/completions/sigil.fish\n";
}

Result<int> completion(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.wants_help) {
        print(completion_help());
        return 0;
    }
    if (arguments.size() != 1)
        return failure("completion: name one shell: bash, zsh or fish");
    const auto shell = find_shell(arguments[0]);
    if (!shell)
        return failure("completion: '{}' is none of bash, zsh, fish", printable(arguments[0]));
    print(completion_script(*shell));
    return 0;
}

}  // namespace sigil::cli