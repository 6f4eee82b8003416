// zsh's script: an `_arguments` for each command.
#include "cli/completion_shells.h"

namespace sigil::cli {
namespace {

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

}  // namespace

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

}  // namespace sigil::cli
