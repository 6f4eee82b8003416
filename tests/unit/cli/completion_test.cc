// The scripts that shells read: each option of each command is in them, and the shells themselves
// complete with them.
#include "cli/completion.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <array>

#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::TempDir;

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(text.size(), end + 1));
    }
    return lines;
}

// What a shell's command line prints, a line each.
std::vector<std::string> output_of(const std::string& command) {
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> some{};
    while (size_t count = ::fread(some.data(), 1, some.size(), pipe))
        text.append(some.data(), count);
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return split(text);
}

bool is_installed(const char* shell) {
    return ::system(("command -v " + std::string(shell) + " >/dev/null").c_str()) == 0;
}

#define NEED(shell)           \
    if (!is_installed(shell)) \
    GTEST_SKIP() << shell << " is not installed"

using Words = std::vector<std::string>;

// What bash offers for the last of these words, which are parted as readline parts them.
Words completed_by_bash(const Words& words) {
    const TempDir directory;
    directory.write("sigil", completion_script(Shell::bash));
    std::string list;
    for (const std::string& word : words)
        list += " '" + word + "'";
    directory.write("try",
                    "source " + directory.at("sigil") + "\nCOMP_WORDS=(" + list +
                        ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n" +
                        "$(complete -p sigil | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n" +
                        "[[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\\n' \"${COMPREPLY[@]}\"\n");
    Words found = output_of("bash " + directory.at("try"));
    std::ranges::sort(found);
    return found;
}

TEST(Completion, HasEveryOptionOfEveryCommandForEachShell) {
    for (const Shell shell : {Shell::bash, Shell::zsh, Shell::fish}) {
        const std::string script = completion_script(shell);
        for (const Command& command : commands()) {
            EXPECT_NE(script.find(command.name), std::string::npos) << command.name;
            if (!command.options)
                continue;
            for (const OptionShape& option : command.options()) {
                const std::string spelling = shell == Shell::fish
                                                 ? std::string(" -l ") + option.name + " "
                                                 : std::string("--") + option.name;
                EXPECT_NE(script.find(spelling), std::string::npos)
                    << command.name << " --" << option.name;
            }
        }
    }
}

TEST(Completion, BashCompletesOptions) {
    NEED("bash");
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--rootf"}), Words{"--rootfs"});
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--ro"}), (Words{"--root", "--rootfs"}));
    EXPECT_EQ(completed_by_bash({"sigil", "--v"}), Words{"--version"});
    EXPECT_EQ(completed_by_bash({"sigil", "sweep", "--dr"}), Words{"--dry-run"});
    // Values that look like operands, in one word and in the three of readline.
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--bind", "/a", ":", "/b", "--rootf"}),
              Words{"--rootfs"});
    EXPECT_EQ(
        completed_by_bash({"sigil", "run", "--memory", "=", "1G", "-e", "A", "=", "b", "--quie"}),
        Words{"--quiet"});
}

TEST(Completion, BashCompletesEveryOptionOfEveryCommandByItsWholeName) {
    NEED("bash");
    for (const Command& command : commands()) {
        if (!command.options)
            continue;
        Words names;
        for (const OptionShape& option : command.options())
            names.push_back(std::string("--") + option.name);
        std::ranges::sort(names);
        EXPECT_EQ(completed_by_bash({"sigil", command.name, "--"}), names) << command.name;
    }
}

TEST(Completion, BashCompletesCommandsAndValues) {
    NEED("bash");
    EXPECT_EQ(completed_by_bash({"sigil", "ru"}), Words{"run"});
    EXPECT_EQ(completed_by_bash({"sigil", "help", "sw"}), Words{"sweep"});
    EXPECT_EQ(completed_by_bash({"sigil", "completion", ""}), (Words{"bash", "fish", "zsh"}));
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--network", ""}), (Words{"host", "none"}));
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--network", "=", "h"}), Words{"host"});
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--network", "="}), (Words{"host", "none"}));
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--cap-drop", "SYS_PT"}), Words{"SYS_PTRACE"});
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--rootfs", "/et"}), Words{"/etc"});
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--name", "/et"}), Words{});
}

TEST(Completion, CommandsOfAContainerThatIsThereCompleteItsId) {
    for (const char* name : {"start", "kill", "delete", "state", "exec"})
        EXPECT_EQ(offer_for_operand(*find_command(name)).kind, Offer::Kind::containers) << name;
    EXPECT_EQ(offer_for_operand(*find_command("create")).kind, Offer::Kind::nothing);
    EXPECT_EQ(offer_for_operand(*find_command("run")).kind, Offer::Kind::files);
}

TEST(Completion, BashPassesOverGlobalOptionsAndTheirValues) {
    NEED("bash");
    EXPECT_EQ(completed_by_bash({"sigil", "--root", "/x", "--debug", "ru"}), Words{"run"});
    EXPECT_EQ(completed_by_bash({"sigil", "--log-format", "j"}), Words{"json"});
    EXPECT_EQ(completed_by_bash({"sigil", "--root", "/x", "sweep", "--dr"}), Words{"--dry-run"});
}

// The words of the container's command are its own.
TEST(Completion, BashOffersNoOptionsOnceTheCommandIsGiven) {
    NEED("bash");
    EXPECT_EQ(completed_by_bash({"sigil", "run", "ls", "--ro"}), Words{});
    EXPECT_EQ(completed_by_bash({"sigil", "run", "--", "--ro"}), Words{});
}

TEST(Completion, FishCompletes) {
    NEED("fish");
    const TempDir directory;
    directory.write("sigil.fish", completion_script(Shell::fish));
    auto complete = [&directory](const std::string& line) {
        Words found = output_of("HOME=" + directory.path() + " fish --no-config -c 'source " +
                                directory.at("sigil.fish") + "; complete -C \"" + line + "\"'");
        for (std::string& each : found)
            each = each.substr(0, each.find('\t'));
        return found;
    };
    EXPECT_EQ(complete("sigil run --ro"), (Words{"--root", "--rootfs"}));
    EXPECT_EQ(complete("sigil run --network "), (Words{"host", "none"}));
    EXPECT_EQ(complete("sigil ru"), Words{"run"});
    EXPECT_EQ(complete("sigil help swee"), Words{"sweep"});
    EXPECT_EQ(complete("sigil --root /x --debug ru"), Words{"run"});
}

TEST(Completion, ZshReadsItsScript) {
    NEED("zsh");
    const TempDir directory;
    directory.write("_sigil", completion_script(Shell::zsh));
    // An autoloaded function of it, and the words of run in what it is made of.
    const Words words =
        output_of("zsh -f -c 'fpath=(" + directory.path() +
                  " $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[sigil]; "
                  "autoload +X _sigil && print loaded'");
    EXPECT_EQ(words, (Words{"_sigil", "loaded"}));
    EXPECT_TRUE(output_of("zsh -n " + directory.at("_sigil")).empty());
}

TEST(Completion, OffersWhatTheArgumentIsCalled) {
    auto offer = [](const char* argument) {
        return offer_for_value({nullptr, "x", 0, argument, ""});
    };
    EXPECT_EQ(offer("DIR").kind, Offer::Kind::directories);
    EXPECT_EQ(offer("FILE").kind, Offer::Kind::files);
    EXPECT_EQ(offer("FILE|fd:N|-").kind, Offer::Kind::files);
    EXPECT_EQ(offer("SRC:DST[:ro]").kind, Offer::Kind::files);
    EXPECT_EQ(offer("NUMBER").kind, Offer::Kind::nothing);
    EXPECT_EQ(offer("NAME[=VALUE]").kind, Offer::Kind::nothing);
    EXPECT_EQ(offer("block|drop").words, (Words{"block", "drop"}));
}

}  // namespace
}  // namespace sigil::cli
