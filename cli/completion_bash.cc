// bash's script: one function, whose `case`s are made from the tables.
#include "cli/completion_shells.h"

namespace sigil::cli {
namespace {

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

}  // namespace

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

}  // namespace sigil::cli
