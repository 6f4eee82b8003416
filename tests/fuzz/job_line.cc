// Lines of `sigil run --from`.
#include <array>

#include "cli/job_lines.h"
#include "target.h"

void sigil::fuzz::run(std::string_view input) {
    static const cli::RunRequest kDefaults = [] {
        const std::array kWords = {"--from", "-", "--rootfs", "/r", "true"};
        auto request = cli::parse_run(kWords);
        return request ? std::move(*request) : cli::RunRequest{};
    }();
    if (!cli::is_blank(input))
        (void)cli::parse_job_line(input, kDefaults);
}
