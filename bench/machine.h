// The machine that the figures are from.

#pragma once

#include <string>

namespace sigil::bench {

struct Machine {
    std::string date;  // UTC, ISO 8601
    std::string kernel;
    std::string cpu;
    int cpus = 0;
};

Machine describe_machine();

// "DATE, kernel 6.18, 2 x CPU"
void print_machine(const Machine& machine);

}  // namespace sigil::bench
