// sigil: the command line. What a command returns is the exit code; an Error is printed once, here.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <string_view>

#include "cli/command.h"
#include "cli/globals.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/own_program.h"
#include "core/parse.h"
#include "core/sys.h"

namespace sigil::cli {
namespace {

// A caller may have closed 0, 1 or 2: what sigil opens must not land there, nor reach the
// container.
Result<void> fill_standard_descriptors() {
    // One call that tells of all three at once, by POLLNVAL, and waits for none.
    std::array<pollfd, 3> standard = {
        {{STDIN_FILENO, 0, 0}, {STDOUT_FILENO, 0, 0}, {STDERR_FILENO, 0, 0}}};
    const int ready = ::poll(standard.data(), standard.size(), 0);
    auto is_closed = [](const pollfd& entry) { return (entry.revents & POLLNVAL) != 0; };
    if (ready >= 0 && std::ranges::none_of(standard, is_closed))
        return {};
    for (;;) {
        Fd probe = TRY(sys::open(AT_FDCWD, "/dev/null", O_RDWR), "open /dev/null");
        if (probe.get() > STDERR_FILENO)
            return {};
        (void)probe.release();
    }
}

Result<int> dispatch(Arguments arguments) {
    const bool is_ours = TRY(check_own_program());  // before anything of the arguments is heeded
    if (arguments.empty()) {
        TRY(find_command("help")->run({}));
        return kExitRuntimeFailure;
    }
    std::string_view word = arguments[0];
    if (word == "--help" || word == "-h")
        word = "help";
    else if (word == "--version" || word == "-V" || word == "-v")
        word = "version";
    else
        TRY(read_globals(arguments));
    if (arguments.empty())
        return failure("the command is missing; see 'sigil --help'");
    if (word != "help" && word != "version")
        word = arguments[0];
    Arguments rest = arguments.subspan(1);
    const Command* command = find_command(word);
    if (!command) {
        std::vector<const char*> names;
        for (const Command& known : commands())
            names.push_back(known.name);
        if (const char* meant = nearest(word, names))
            return failure("'{}' is not a command; did you mean '{}'?", printable(word), meant);
        return failure("'{}' is not a command; see 'sigil --help'", printable(word));
    }
    if (!rest.empty() &&
        (std::string_view(rest[0]) == "--help" || std::string_view(rest[0]) == "-h")) {
        print(command->help());
        return 0;
    }
    if (!is_ours && !command->only_prints)
        return failure("/proc is not mounted, or is not of this pid namespace");
    TRY(fill_standard_descriptors());
    return command->run(rest);
}

// Without memory there is nothing to clean up with: the containers die with us, and what stays is
// written down for the sweep.
[[noreturn]] void end_without_memory() {
    constexpr std::string_view kMessage = "sigil: out of memory\n";
    (void)!::write(STDERR_FILENO, kMessage.data(), kMessage.size());
    ::_exit(kExitRuntimeFailure);
}

}  // namespace
}  // namespace sigil::cli

int main(int count, char** words) {
    using namespace sigil;
    std::set_new_handler(cli::end_without_memory);
    auto code = cli::dispatch(
        std::span(const_cast<const char* const*>(words), static_cast<size_t>(count)).subspan(1));
    if (code)
        return *code;
    cli::log(cli::Level::error, code.error().message());
    cli::print_error({}, code.error());
    return code.error().exit_code();
}
