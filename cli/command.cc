#include "cli/command.h"

#include <unistd.h>

#include <array>

#include "cli/options.h"
#include "core/parse.h"
#include "core/sys.h"

namespace sigil::cli {
namespace {

std::string version_text() {
    return "sigil " SIGIL_VERSION "\n";
}

std::string top_help() {
    std::string text =
        "sigil: a Linux container runtime\n"
        "\n"
        "Usage: sigil COMMAND [OPTIONS] [ARGUMENTS]\n"
        "\n"
        "Commands:\n";
    for (const Command& command : commands())
        text += fmt::format("  {:<10} {}\n", command.name, command.summary);
    text +=
        "\n"
        "'sigil COMMAND --help' tells more about a command.\n"
        "\n"
        "Examples:\n"
        "  sigil run --rootfs ./rootfs -- /bin/sh\n"
        "  sigil run --rootfs ./rootfs --memory 64M --timeout 10s --report - -- /app\n";
    return text;
}

std::string help_help() {
    return "Usage: sigil help [COMMAND]\n\nShows what a command does, and its options.\n";
}

Result<int> help(Arguments arguments) {
    if (arguments.empty() || std::string_view(arguments[0]) == "help") {
        print(top_help());
        return 0;
    }
    const Command* command = find_command(arguments[0]);
    if (!command)
        return failure("'{}' is not a command", printable(arguments[0]));
    print(command->help());
    return 0;
}

std::string version_help() {
    return "Usage: sigil version\n\nShows the version.\n";
}

Result<int> version(Arguments) {
    print(version_text());
    return 0;
}

constexpr std::array kCommands = {
    Command{"run", "Run a command in a new container and wait for it", run_help, run},
    Command{"sweep", "Remove what killed supervisors left", sweep_help, sweep},
    Command{"help", "Show help for a command", help_help, help},
    Command{"version", "Show the version", version_help, version},
};

}  // namespace

std::span<const Command> commands() {
    return kCommands;
}

const Command* find_command(std::string_view name) {
    for (const Command& command : kCommands)
        if (name == command.name)
            return &command;
    return nullptr;
}

void print(std::string_view text) {
    (void)sys::write_all(STDOUT_FILENO, text);
}

}  // namespace sigil::cli
