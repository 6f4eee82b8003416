#include "cli/oci/create_options.h"

#include <fcntl.h>

#include <array>

#include "cli/oci/verb.h"
#include "core/parse.h"

namespace sigil::cli::oci {
namespace {

const std::array kOptions = {
    Option<CreateOptions>{"Options", "bundle", 'b', "DIR",
                          "The bundle; default: the current directory",
                          [](CreateOptions& r, Text v) -> Result<void> {
                              r.bundle = v;
                              return {};
                          }},
    SIGIL_TEXT(CreateOptions, "pid-file", 0, "FILE", "Write the process id of the container there",
               pid_file),
    SIGIL_TEXT(CreateOptions, "console-socket", 0, "SOCKET",
               "A Unix socket that gets the terminal's master", console_socket),
    SIGIL_TEXT(CreateOptions, "pidfd-socket", 0, "SOCKET",
               "A Unix socket that gets a pidfd of the container's process", pidfd_socket),
    Option<CreateOptions>{nullptr, "preserve-fds", 0, "N",
                          "Pass N descriptors from 3 on to the command",
                          [](CreateOptions& r, Text v) -> Result<void> {
                              constexpr uint64_t kMost = 1 << 20;
                              r.preserve_fds = static_cast<unsigned>(TRY(parse_number(v, kMost)));
                              return {};
                          }},
    SIGIL_FLAG(CreateOptions, "no-pivot", 0,
               "Move the root instead of pivot_root: where the root is a ramdisk", no_pivot),
    SIGIL_FLAG(CreateOptions, "no-new-keyring", 0, "Keep the session keyring", no_new_keyring),
};

}  // namespace

std::span<const Option<CreateOptions>> create_options() {
    return kOptions;
}

Result<void> check_preserved(unsigned count) {
    constexpr int kFirst = 3;
    for (unsigned index = 0; index < count; ++index)
        if (const int fd = kFirst + static_cast<int>(index); ::fcntl(fd, F_GETFD) < 0)
            return failure("--preserve-fds {}: descriptor {} is not open", count, fd);
    return {};
}

}  // namespace sigil::cli::oci
