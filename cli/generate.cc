// sigil-generate DIR: writes the manual pages and the completions there, as they are installed. A
// program of the build, so that what is installed is what the tables of this very build say.
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <string>

#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/report.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr mode_t kMode = 0644;

Result<void> write(const std::string& path, std::string_view text) {
    const Fd file = TRY(sys::open(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, kMode),
                        "open {}", path);
    TRY(sys::write_all(file.get(), text), "write {}", path);
    return {};
}

Result<void> generate(const std::string& directory) {
    const std::string manual = directory + "/man";
    const std::string completions = directory + "/completions";
    for (const std::string& each : {manual, completions}) {
        std::error_code failed;
        std::filesystem::create_directories(each, failed);
        if (failed)
            return failure("make {}: {}", each, failed.message());
    }
    TRY(write(manual + "/sigil.1", manual_page()));
    for (const Command& command : commands())
        TRY(write(fmt::format("{}/sigil-{}.1", manual, command.name), manual_page(command)));
    // Named as each shell looks for them.
    TRY(write(completions + "/sigil", completion_script(Shell::bash)));
    TRY(write(completions + "/_sigil", completion_script(Shell::zsh)));
    TRY(write(completions + "/sigil.fish", completion_script(Shell::fish)));
    return {};
}

}  // namespace
}  // namespace sigil::cli

int main(int count, char** words) {
    using namespace sigil;
    if (count != 2) {
        cli::print_message({}, "usage: sigil-generate DIR");
        return kExitRuntimeFailure;
    }
    auto done = cli::generate(words[1]);
    if (done)
        return 0;
    cli::print_error({}, done.error());
    return kExitRuntimeFailure;
}
