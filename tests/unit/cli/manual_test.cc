// Help and manual pages say the same, of every command.
#include "cli/manual.h"

#include <stdlib.h>

#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::TempDir;

std::string escaped(std::string_view name) {
    std::string text;
    for (char c : name)
        text += c == '-' ? std::string("\\-") : std::string(1, c);
    return text;
}

TEST(Manual, HasEveryOptionOfEveryCommand) {
    for (const Command& command : commands()) {
        if (!command.options)
            continue;
        const std::string page = manual_page(command);
        for (const OptionShape& option : command.options())
            EXPECT_NE(page.find("\\fB\\-\\-" + escaped(option.name) + "\\fR"), std::string::npos)
                << command.name << " --" << option.name;
    }
}

// A row of the table that forgot its options would leave them out of the manual and the shells.
TEST(Manual, EveryCommandsHelpHasItsOptionsAndTheTableTheSame) {
    for (const Command& command : commands()) {
        const std::string help = command.help();
        const std::string table = command.options ? describe_options(command.options()) : "";
        EXPECT_NE(help.find(table), std::string::npos) << command.name;
        if (table.empty()) {
            EXPECT_EQ(help.find("\n      --"), std::string::npos)
                << command.name << ": its row in cli/command.cc names no options";
        }
    }
}

TEST(Manual, APageHasThePartsOfTheHelp) {
    const HelpParts parts = take_apart(*find_command("run"));
    EXPECT_TRUE(parts.usage.starts_with("sigil run [OPTIONS]")) << parts.usage;
    EXPECT_TRUE(parts.description.starts_with("Runs a command")) << parts.description;
    EXPECT_TRUE(parts.notes.starts_with("Sizes take")) << parts.notes;
    EXPECT_TRUE(parts.examples.starts_with("  sigil run")) << parts.examples;
}

TEST(Manual, EveryCommandsHelpHasAUsageAndADescription) {
    for (const Command& command : commands()) {
        const HelpParts parts = take_apart(command);
        EXPECT_TRUE(parts.usage.starts_with(std::string("sigil ") + command.name))
            << command.name << ": " << parts.usage;
        EXPECT_FALSE(parts.description.empty()) << command.name;
    }
}

TEST(Manual, SigilsOwnPageNamesEveryCommandAndGlobalOption) {
    const std::string page = manual_page();
    for (const Command& command : commands())
        EXPECT_NE(page.find("sigil\\-" + escaped(command.name) + "\\fR(1)"), std::string::npos)
            << command.name;
    for (const OptionShape& option : global_options())
        EXPECT_NE(page.find("\\-\\-" + escaped(option.name)), std::string::npos) << option.name;
}

TEST(Manual, MandocFindsNothingToSay) {
    if (::system("command -v mandoc >/dev/null") != 0)
        GTEST_SKIP() << "mandoc is not installed";
    const TempDir directory;
    directory.write("sigil.1", manual_page());
    std::string files = directory.at("sigil.1");
    for (const Command& command : commands()) {
        const std::string name = "sigil-" + std::string(command.name) + ".1";
        directory.write(name, manual_page(command));
        files += " " + directory.at(name);
    }
    EXPECT_EQ(::system(("mandoc -T lint -W warning " + files + " >&2").c_str()), 0);
}

}  // namespace
}  // namespace sigil::cli
