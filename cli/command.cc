#include "cli/command.h"

#include <unistd.h>

#include <array>

#include "cli/globals.h"
#include "cli/oci/verbs.h"
#include "cli/options.h"
#include "core/parse.h"
#include "core/sys.h"

namespace sigil::cli {
namespace {

std::string version_text() {
    return "sigil " SIGIL_VERSION "\n";
}

std::string main_help() {
    std::string text =
        "sigil: a Linux container runtime\n"
        "\n"
        "Usage: sigil [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n"
        "\n"
        "Commands:\n";
    for (const Command& command : commands())
        text += fmt::format("  {:<10} {}\n", command.name, command.summary);
    text += "\n" + describe_options(global_options());
    text += "\n'sigil COMMAND --help' tells more about a command.\n\nExamples:\n";
    return text.append(examples());
}

std::string help_help() {
    return "Usage: sigil help [COMMAND]\n\nShows what a command does, and its options.\n";
}

Result<int> help(Arguments arguments) {
    if (arguments.empty() || std::string_view(arguments[0]) == "help") {
        print(main_help());
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
    Command{"run", "Run a command in a new container and wait for it", run_help, run, run_shapes},
    Command{"create", "Create a container of an OCI bundle; 'start' has it run", oci::create_help,
            oci::create, oci::create_shapes},
    Command{"start", "Have a created container run", oci::start_help, oci::start},
    Command{"exec", "Run a command in a container that runs", oci::exec_help, oci::exec,
            oci::exec_shapes},
    Command{"list", "Show the containers", oci::list_help, oci::list, oci::list_shapes},
    Command{"state", "Show the state of a container", oci::state_help, oci::state},
    Command{"ps", "Show the processes of a container", oci::ps_help, oci::ps, oci::ps_shapes},
    Command{"kill", "Send a signal to a container", oci::kill_help, oci::kill, oci::kill_shapes},
    Command{"pause", "Stop the processes of a container", oci::pause_help, oci::pause},
    Command{"resume", "Have a paused container go on", oci::resume_help, oci::resume},
    Command{"update", "Change the limits of a container", oci::update_help, oci::update,
            oci::update_shapes},
    Command{"events", "Tell what a container uses, or what happens in a run", oci::events_help,
            oci::events, oci::events_shapes},
    Command{"top", "Show what the containers use, as a live table", top_help, top, top_shapes},
    Command{"stats", "Show what containers use, once", stats_help, stats, stats_shapes},
    Command{"logs", "Show what a container of a run has written", logs_help, logs, logs_shapes},
    Command{"delete", "Remove what is left of a container", oci::delete_help, oci::delete_container,
            oci::delete_shapes},
    Command{"spec", "Write a config.json to start a bundle from", spec_help, spec, spec_shapes,
            true},
    Command{"sweep", "Remove what killed supervisors left", sweep_help, sweep, sweep_shapes},
    Command{"doctor", "Tell what of sigil works on this host, and what mends the rest", doctor_help,
            doctor, doctor_shapes},
    Command{"features", "Print what of the OCI runtime specification sigil knows", features_help,
            features, features_shapes, true},
    Command{"completion", "Print what makes a shell complete sigil's words", completion_help,
            completion, completion_shapes, true},
    Command{"help", "Show help for a command", help_help, help, nullptr, true},
    Command{"version", "Show the version", version_help, version, nullptr, true},
};

}  // namespace

std::span<const Command> commands() {
    return kCommands;
}

std::vector<OptionShape> global_options() {
    std::vector<OptionShape> shapes = globals_shapes();
    shapes.push_back({nullptr, "help", 'h', nullptr, "Show this"});
    shapes.push_back({nullptr, "version", 'V', nullptr, "Show the version"});
    return shapes;
}

std::string_view examples() {
    return "  sigil run --rootfs ./rootfs -- /bin/sh\n"
           "  sigil run --rootfs ./rootfs --memory 64M --timeout 10s --report - -- /app\n";
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
