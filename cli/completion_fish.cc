// fish's script: a `complete` for each option of each command.
#include "cli/completion_shells.h"

namespace sigil::cli {
namespace {

std::string quoted_for_fish(std::string_view text) {
    return "'" + replace_each(text, "\\'", "\\") + "'";
}

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

}  // namespace

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

}  // namespace sigil::cli
