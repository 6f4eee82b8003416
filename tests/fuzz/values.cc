// Values of options, and what is printed of them.
#include "core/parse.h"
#include "core/rlimits.h"
#include "isolation/mount_options.h"
#include "target.h"

namespace {

// What is printed holds nothing that a terminal acts on.
void check_printable(std::string_view input) {
    for (const char c : sigil::printable(input))
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            __builtin_trap();
}

}  // namespace

void sigil::fuzz::run(std::string_view input) {
    if (const auto size = parse_size(input))
        (void)format_size(*size);
    (void)parse_number(input, UINT32_MAX);
    (void)parse_number_list(input, 4096);
    (void)parse_duration(input);
    (void)parse_signal(input);
    (void)check_name(input);
    (void)parse_rlimit(input);
    check_printable(input);
    std::vector<std::string> options(1);
    for (const char c : input)
        if (c == ',')
            options.emplace_back();
        else
            options.back() += c;
    for (const bool is_bind : {false, true})
        (void)isolation::parse_mount_options(options, is_bind);
}
