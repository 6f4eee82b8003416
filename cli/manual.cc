#include "cli/manual.h"

#include <algorithm>

namespace sigil::cli {
namespace {

constexpr std::string_view kExamples = "Examples:\n";

// Text as roff prints it: "\" is its escape, "-" alone would be a hyphen, and a line that starts
// with "." or "'" would be a request (groff_char(7), "Fundamental character set").
std::string escape(std::string_view text) {
    std::string escaped;
    for (char c : text) {
        if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n'))
            escaped += "\\&";
        if (c == '\\')
            escaped += "\\e";
        else if (c == '-')
            escaped += "\\-";
        else if (c == '\'')
            escaped += "\\(aq";
        else if (c == '^')
            escaped += "\\(ha";
        else if (c == '~')
            escaped += "\\(ti";
        else if (c == '`')
            escaped += "\\(ga";
        else
            escaped += c;
    }
    return escaped;
}

std::string_view take_line(std::string_view& rest) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
}

std::string upper(std::string_view text) {
    std::string all(text);
    std::ranges::transform(all, all.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    });
    return all;
}

// The text without blank lines at its ends.
std::string trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of('\n')));
    const size_t last = text.find_last_not_of('\n');
    return last == std::string_view::npos ? "" : std::string(text.substr(0, last + 1)) + "\n";
}

// Lines as they stand.
std::string literal(std::string_view text) {
    std::string page = ".nf\n";
    while (!text.empty()) {
        std::string_view line = take_line(text);
        line.remove_prefix(std::min<size_t>(line.find_first_not_of(' '), 2));
        page += escape(line) + "\n";
    }
    return page + ".fi\n";
}

// Paragraphs that are filled; lines that are indented are kept as they are.
std::string paragraphs(std::string_view text) {
    std::string page;
    std::string kept;
    bool is_new = false;
    auto flush = [&page, &kept] {
        if (!kept.empty())
            page += ".IP\n" + literal(kept);
        kept.clear();
    };
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        if (line.starts_with(' ')) {
            kept.append(line).append("\n");
            continue;
        }
        is_new = is_new || !kept.empty();
        flush();
        if (line.empty()) {
            is_new = true;
            continue;
        }
        if (is_new && !page.empty())
            page += ".PP\n";
        is_new = false;
        page += escape(line) + "\n";
    }
    flush();
    return page;
}

std::string options(const std::vector<OptionShape>& shapes) {
    std::string page;
    // One heading says no more than "OPTIONS" does.
    const bool has_headings =
        std::ranges::count_if(shapes, [](const OptionShape& s) { return s.section; }) > 1;
    for (const OptionShape& shape : shapes) {
        if (shape.section && has_headings)
            page += fmt::format(".SS {}\n", escape(shape.section));
        page += ".TP\n";
        if (shape.letter)
            page += fmt::format("\\fB\\-{}\\fR, ", shape.letter);
        page += fmt::format("\\fB\\-\\-{}\\fR", escape(shape.name));
        if (shape.argument)
            page += fmt::format(" \\fI{}\\fR", escape(shape.argument));
        page += "\n" + escape(shape.help) + "\n";
    }
    return page;
}

std::string heading(std::string_view title, std::string_view summary) {
    return fmt::format(
        ".\\\" Made from the program's own help: not to be edited.\n"
        ".TH {} 1 {} \"sigil {}\" \"User Commands\"\n"
        ".SH NAME\n{} \\- {}\n",
        escape(upper(title)), SIGIL_DATE, SIGIL_VERSION, escape(title), escape(summary));
}

std::string synopsis(std::string_view usage) {
    std::string page = ".SH SYNOPSIS\n.nf\n";
    while (!usage.empty()) {
        const std::string_view line = take_line(usage);
        // "sigil run", then what goes with it.
        size_t words = line.find(' ');
        if (words != std::string_view::npos && line.substr(words + 1).find_first_of("[A") != 0)
            words = std::min(line.find(' ', words + 1), line.size());
        words = std::min(words, line.size());
        page += fmt::format("\\fB{}\\fR{}\n", escape(line.substr(0, words)),
                            escape(line.substr(words)));
    }
    return page + ".fi\n";
}

std::string section(std::string_view title, std::string_view body) {
    return body.empty() ? "" : fmt::format(".SH {}\n{}", title, body);
}

constexpr std::string_view kDescription =
    "Starts containers and supervises them from one thread.\n"
    "Each command has a manual page of its own.\n";

constexpr std::string_view kExitStatus =
    ".TP\n0\nDone; the container's command ended with 0.\n"
    ".TP\n125\nsigil itself failed, or an option is wrong: the message names it.\n"
    ".TP\n126\nThe command cannot be executed.\n"
    ".TP\n127\nThe command is not there.\n"
    ".TP\n128+n\nSignal n killed the command.\n"
    ".TP\nany other\nThe command\\(aqs own.\n";

constexpr std::string_view kFiles =
    ".TP\n\\fI/run/sigil\\fR\n"
    "What is to be removed if sigil is killed; see \\fBsigil\\-sweep\\fR(1).\n";

}  // namespace

HelpParts take_apart(const Command& command) {
    constexpr std::string_view kUsage = "Usage: ";
    const std::string help = command.help();
    std::string_view rest = help;
    HelpParts parts;
    while (rest.starts_with(kUsage) || rest.starts_with(' ')) {
        std::string_view line = take_line(rest);
        line.remove_prefix(std::min(line.size(), kUsage.size()));
        parts.usage.append(line).append("\n");
    }
    if (const size_t at = rest.find(kExamples); at != std::string_view::npos) {
        parts.examples = trimmed(rest.substr(at + kExamples.size()));
        rest = rest.substr(0, at);
    }
    const std::string table = command.options ? describe_options(command.options()) : "";
    const size_t at = table.empty() ? std::string_view::npos : rest.find(table);
    if (at == std::string_view::npos) {
        parts.description = trimmed(rest);
        return parts;
    }
    parts.description = trimmed(rest.substr(0, at));
    parts.notes = trimmed(rest.substr(at + table.size()));
    return parts;
}

std::string manual_page(const Command& command) {
    const HelpParts parts = take_apart(command);
    const std::string examples = parts.examples.empty() ? "" : literal(parts.examples);
    return heading(fmt::format("sigil-{}", command.name), command.summary) + synopsis(parts.usage) +
           section("DESCRIPTION", paragraphs(parts.description)) +
           section("OPTIONS", command.options ? options(command.options()) : "") +
           section("NOTES", paragraphs(parts.notes)) + section("EXAMPLES", examples) +
           section("SEE ALSO", "\\fBsigil\\fR(1)\n");
}

std::string manual_page() {
    std::string table;
    std::string others;
    for (const Command& command : commands()) {
        const std::string reference = fmt::format("\\fBsigil\\-{}\\fR(1)", escape(command.name));
        table += fmt::format(".TP\n{}\n{}\n", reference, escape(command.summary));
        others += (others.empty() ? "" : ",\n") + reference;
    }
    return heading("sigil", "run and supervise Linux containers") +
           synopsis("sigil [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n") +
           section("DESCRIPTION", kDescription) + section("OPTIONS", options(global_options())) +
           section("COMMANDS", table) + section("EXIT STATUS", kExitStatus) +
           section("FILES", kFiles) + section("EXAMPLES", literal(examples())) +
           section("SEE ALSO", others + "\n");
}

}  // namespace sigil::cli
