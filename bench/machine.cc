// The machine that the figures are from. No host name: the file may be published.

#include "machine.h"

#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <sstream>

#include <fmt/format.h>

#include "process.h"

namespace sigil::bench {

namespace {

std::string cpu_model() {
    std::istringstream lines(read_file("/proc/cpuinfo"));
    for (std::string line; std::getline(lines, line);) {
        const size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) {
            return line.substr(colon + 2);
        }
    }
    return "unknown";
}

std::string utc_now() {
    const time_t now = time(nullptr);
    tm parts;
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    return text;
}

}  // namespace

Machine describe_machine() {
    utsname name;
    uname(&name);
    return {utc_now(), name.release, cpu_model(), static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))};
}

void print_machine(const Machine& machine) {
    fmt::print("{}, kernel {}, {} x {}\n", machine.date, machine.kernel, machine.cpus, machine.cpu);
}

}  // namespace sigil::bench
