#include "cli/terminal.h"

#include <unistd.h>

namespace sigil::cli {

Terminal Terminal::inspect() {
    Terminal terminal;
    terminal.group_ = ::tcgetpgrp(STDIN_FILENO);  // ENOTTY unless it controls our session
    terminal.is_shared_ = terminal.group_ >= 0 && terminal.group_ == ::getpgrp();
    return terminal;
}

void Terminal::take_back() const {
    // SIGTTOU, which the kernel sends to a background writer, is blocked.
    if (is_shared_ && ::tcgetpgrp(STDIN_FILENO) != group_)
        (void)::tcsetpgrp(STDIN_FILENO, group_);
}

}  // namespace sigil::cli
