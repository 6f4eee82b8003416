// Manual pages, from the same texts and tables as the help: what --help says is what man(1) says.
#pragma once

#include <string>

#include "cli/command.h"

namespace sigil::cli {

// sigil-run(1) and the like. A help text is, in this order: lines of usage, paragraphs, the options
// as describe_options() has them, more paragraphs, examples.
std::string manual_page(const Command& command);
// sigil(1).
std::string manual_page();

// A help text in its parts.
struct HelpParts {
    std::string usage;        // lines, each from "sigil" on
    std::string description;  // paragraphs
    std::string notes;        // paragraphs below the options
    std::string examples;     // lines, indented
};
HelpParts take_apart(const Command& command);

}  // namespace sigil::cli
