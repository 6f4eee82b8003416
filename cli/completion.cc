// `sigil completion`.
#include "cli/completion.h"

#include <signal.h>

#include <algorithm>
#include <array>

#include "core/capabilities.h"
#include "core/parse.h"
#include "core/process.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr std::array kShells = {std::pair{std::string_view("bash"), Shell::bash},
                                std::pair{std::string_view("zsh"), Shell::zsh},
                                std::pair{std::string_view("fish"), Shell::fish}};

// Those of the default --root.
constexpr const char* kListContainers = "sigil list --quiet 2>/dev/null";

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(separator, at), text.size());
        parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

std::string join(const std::vector<std::string>& words, std::string_view separator = " ") {
    return fmt::format("{}", fmt::join(words, separator));
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

// ---- words of a shell ---------------------------------------------------------------------------

std::string replace_each(std::string_view text, std::string_view special, std::string_view before) {
    std::string escaped;
    for (char c : text) {
        if (special.find(c) != std::string_view::npos)
            escaped += before;
        escaped += c;
    }
    return escaped;
}

// In single quotes, as bash and zsh have them.
std::string quoted(std::string_view text) {
    std::string inside;
    for (char c : text)
        inside += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return "'" + inside + "'";
}

std::string quoted_for_fish(std::string_view text) {
    return "'" + replace_each(text, "\\'", "\\") + "'";
}

// The first sentence or so of a help text, on one line.
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

// "--memory", "-m".
std::vector<std::string> spellings(const OptionShape& option) {
    std::vector<std::string> words = {std::string("--") + option.name};
    if (option.letter)
        words.push_back({'-', option.letter});
    return words;
}

// ---- bash ---------------------------------------------------------------------------------------

// "COMMAND:--memory|COMMAND:-m", a pattern of `case`.
std::string bash_pattern(std::string_view command, const OptionShape& option) {
    std::vector<std::string> patterns;
    for (const std::string& spelling : spellings(option))
        patterns.push_back(fmt::format("{}:{}", command, spelling));
    return join(patterns, "|");
}

std::string bash_offer(const Offer& offer) {
    switch (offer.kind) {
        case Offer::Kind::nothing:
            return ":";
        case Offer::Kind::words:
            return fmt::format("_sigil_words {}", quoted(join(offer.words)));
        case Offer::Kind::files:
            return "_sigil_files -f";
        case Offer::Kind::directories:
            return "_sigil_files -d";
        case Offer::Kind::containers:
            return "_sigil_containers";
    }
    return {};
}

constexpr std::string_view kBashStart =
    R"sh(# bash completion for sigil, as 'sigil completion bash' prints it.

_sigil_words()
{
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_sigil_files()
{
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen "$1" -- "$cur"))
}

_sigil_containers()
{
    _sigil_words "$(sigil list --quiet 2>/dev/null)"
}

# Fails for an option without a value; else `offer` is what completes it.
_sigil_value()
{
    case "$1" in
)sh";

constexpr std::string_view kBashMiddle =
    R"(        *) return 1 ;;
    esac
}

_sigil_operand()
{
    case "$1" in
)";

constexpr std::string_view kBashOptions =
    R"(        *) _sigil_files -f ;;
    esac
}

_sigil_options()
{
    case "$1" in
)";

// readline takes "--name=value" for three words, and so "a:b".
constexpr std::string_view kBashEnd =
    R"(    esac
}

_sigil()
{
    local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}
    local command= operands= at offer
    COMPREPLY=()
    if [[ $cur == = ]]; then
        cur=
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((at = 1; at < COMP_CWORD; ++at)); do
        case "${COMP_WORDS[at]}" in
            --) [[ $command ]] && operands=1 ;;
            [=:]) ((++at)) ;;
            -*)
                # Its value is no word of ours.
                if _sigil_value "$command:${COMP_WORDS[at]}" && [[ ${COMP_WORDS[at+1]} != = ]]; then
                    ((++at))
                fi
                ;;
            *) if [[ $command ]]; then operands=1; else command=${COMP_WORDS[at]}; fi ;;
        esac
        [[ $operands ]] && break
    done
    if [[ ! $operands ]] && _sigil_value "$command:$option"; then
        "${offer[@]}"
    elif [[ $operands ]]; then
        _sigil_files -f
    elif [[ $cur == -* ]]; then
        _sigil_options "$command"
    else
        _sigil_operand "$command"
    fi
}

complete -F _sigil sigil
)";

std::string bash_values(std::string_view command, const std::vector<OptionShape>& options) {
    std::string text;
    for (const OptionShape& option : options)
        if (option.argument)
            text += fmt::format("        {}) offer=({}) ;;\n", bash_pattern(command, option),
                                bash_offer(offer_for_value(option)));
    return text;
}

std::string bash_options(std::string_view command, const std::vector<OptionShape>& options) {
    std::vector<std::string> words;
    words.reserve(options.size());
    for (const OptionShape& option : options)
        words.push_back(std::string("--") + option.name);
    return fmt::format("        {}) _sigil_words {} ;;\n", command.empty() ? "''" : command,
                       quoted(join(words)));
}

std::string bash_script() {
    std::string values = bash_values("", global_options());
    std::string operands = bash_offer({Offer::Kind::words, command_names()});
    operands = fmt::format("        '') {} ;;\n", operands);
    std::string options = bash_options("", global_options());
    for (const Command& command : commands()) {
        values += bash_values(command.name, options_of(command));
        operands += fmt::format("        {}) {} ;;\n", command.name,
                                bash_offer(offer_for_operand(command)));
        options += bash_options(command.name, options_of(command));
    }
    std::string script(kBashStart);
    script.append(values).append(kBashMiddle).append(operands).append(kBashOptions);
    return script.append(options).append(kBashEnd);
}

// ---- zsh ----------------------------------------------------------------------------------------

std::string zsh_action(const Offer& offer) {
    switch (offer.kind) {
        case Offer::Kind::nothing:
            return " ";
        case Offer::Kind::words:
            return "(" + join(offer.words) + ")";
        case Offer::Kind::files:
            return "_files";
        case Offer::Kind::directories:
            return "_files -/";
        case Offer::Kind::containers:
            return fmt::format("($({}))", kListContainers);
    }
    return {};
}

// '*'{-m+,--memory=}'[help]:SIZE: ': each may come again, its value apart or joined.
std::string zsh_option(const OptionShape& option) {
    const bool takes = option.argument != nullptr;
    std::string names = fmt::format("--{}{}", option.name, takes ? "=" : "");
    if (option.letter)
        names = fmt::format("{{-{}{},{}}}", option.letter, takes ? "+" : "", names);
    std::string rest = fmt::format("[{}]", replace_each(one_line(option.help), "[]\\", "\\"));
    if (takes)
        rest += fmt::format(":{}:{}", replace_each(option.argument, ":\\", "\\"),
                            zsh_action(offer_for_value(option)));
    return fmt::format("'*'{}{}", names, quoted(rest));
}

std::string zsh_operand(const Command& command) {
    return quoted("1:argument:" + zsh_action(offer_for_operand(command))) + " '*:argument:_files'";
}

std::string zsh_arguments(const std::vector<OptionShape>& options, std::string_view indent) {
    std::string text;
    for (const OptionShape& option : options)
        text += fmt::format(" \\\n{}{}", indent, zsh_option(option));
    return text;
}

std::string zsh_script() {
    std::string text =
        "#compdef sigil\n"
        "# zsh completion for sigil, as 'sigil completion zsh' prints it.\n"
        "\n"
        "_sigil() {\n"
        "    local curcontext=$curcontext state line\n"
        "    local -a commands\n"
        "    commands=(\n";
    for (const Command& command : commands())
        text += fmt::format(
            "        {}\n",
            quoted(fmt::format("{}:{}", command.name, replace_each(command.summary, ":\\", "\\"))));
    text += "    )\n    _arguments -C -S" + zsh_arguments(global_options(), "        ") +
            " \\\n        '1: :->command' '*:: :->arguments' && return\n"
            "    case $state in\n"
            "        command) _describe command commands ;;\n"
            "        arguments)\n"
            "            case $words[1] in\n";
    for (const Command& command : commands())
        text += fmt::format(
            "                {})\n                    _arguments -S -A '-*'{} \\\n"
            "                        {} ;;\n",
            command.name, zsh_arguments(options_of(command), "                        "),
            zsh_operand(command));
    return text +
           "            esac ;;\n"
           "    esac\n"
           "}\n"
           "\n"
           "# Sourced, it says what it completes; autoloaded, it is called.\n"
           "if [[ $funcstack[1] == _sigil ]]; then\n"
           "    _sigil \"$@\"\n"
           "else\n"
           "    compdef _sigil sigil\n"
           "fi\n";
}

// ---- fish ---------------------------------------------------------------------------------------

std::string fish_offer(const Offer& offer) {
    switch (offer.kind) {
        case Offer::Kind::nothing:
            return "";
        case Offer::Kind::words:
            return " -a " + quoted_for_fish(join(offer.words));
        case Offer::Kind::files:
            return " -F";
        case Offer::Kind::directories:
            return " -a '(__fish_complete_directories)'";
        case Offer::Kind::containers:
            return fmt::format(" -a '({})'", kListContainers);
    }
    return {};
}

// Without -x, fish offers files beside.
std::string fish_value(const Offer& offer) {
    return (offer.kind == Offer::Kind::files ? " -r" : " -x") + fish_offer(offer);
}

std::string fish_option(const std::string& condition, const OptionShape& option) {
    std::string line = fmt::format("complete -c sigil -n {} -l {}", condition, option.name);
    if (option.letter)
        line += fmt::format(" -s {}", option.letter);
    if (option.argument)
        line += fish_value(offer_for_value(option));
    return line + fmt::format(" -d {}\n", quoted_for_fish(one_line(option.help)));
}

std::string fish_script() {
    std::vector<std::string> with_value;
    for (const OptionShape& option : global_options())
        if (option.argument)
            for (const std::string& spelling : spellings(option))
                with_value.push_back(spelling);
    std::string text =
        "# fish completion for sigil, as 'sigil completion fish' prints it.\n"
        "\n"
        "# Succeeds if the command given so far is the one named; without a name, if there is "
        "none.\n"
        "function __sigil_command\n"
        "    set -l words (commandline -opc)\n"
        "    set -e words[1]\n"
        "    while set -q words[1]\n"
        "        switch $words[1]\n";
    if (!with_value.empty())
        text +=
            fmt::format("            case {}\n                set -e words[1]\n", join(with_value));
    text +=
        "            case '-*'\n"
        "            case '*'\n"
        "                test \"$words[1]\" = \"$argv[1]\"\n"
        "                return\n"
        "        end\n"
        "        set -e words[1]\n"
        "    end\n"
        "    test -z \"$argv[1]\"\n"
        "end\n"
        "\n"
        "complete -c sigil -f\n";
    for (const OptionShape& option : global_options())
        text += fish_option("__sigil_command", option);
    for (const Command& command : commands()) {
        const std::string condition = fmt::format("'__sigil_command {}'", command.name);
        text += fmt::format("complete -c sigil -n __sigil_command -a {} -d {}\n", command.name,
                            quoted_for_fish(command.summary));
        text += fmt::format("complete -c sigil -n {}{}\n", condition,
                            fish_offer(offer_for_operand(command)));
        for (const OptionShape& option : options_of(command))
            text += fish_option(condition, option);
    }
    return text;
}

// ---- the command --------------------------------------------------------------------------------

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
