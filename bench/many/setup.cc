#include "many/setup.h"

#include <cstdlib>
#include <sstream>

#include "failure.h"

namespace sigil::bench {

namespace {

constexpr int kStepMs = 100;
constexpr int kPatienceSteps = 50;

// Objects in use, as far as SLUB counts: those in a CPU's own slabs all count as used.
long network_namespaces() {
    std::istringstream lines(read_file("/proc/slabinfo"));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("net_namespace "))
            return std::atol(line.c_str() + sizeof "net_namespace");
    }
    return 0;
}

}  // namespace

bool Setup::has(const std::string& name, Section& section) const {
    if (field.find(name) == nullptr) {
        for (const Skipped& skipped : field.skipped()) {
            if (skipped.name == name)
                section.notes.push_back(fmt::format("{} skipped: {}", name, skipped.reason));
        }
        return false;
    }
    if (is_sigil(name) && !missing_option.empty()) {
        section.notes.push_back(fmt::format("{} FAILED: `sigil run` of {} knows no option {}", name,
                                            field.find(name)->program, missing_option));
        section.failed = true;
        return false;
    }
    return true;
}

std::string find_missing_option(const Runner& runner, const std::string& sigil) {
    const std::string help = runner.output_of({sigil, "run", "--help"});
    for (const char* option : {"--count", "--jobs", "--from", "--events", "--launchers", "--output",
                               "--quiet", "--stop-timeout"}) {
        if (help.find(option) == std::string::npos)
            return option;
    }
    return "";
}

Command sigil_words(const Setup& setup, Network network, bool init, const Command& more) {
    Command words = {setup.options.sigil,
                     "run",
                     "--rootfs",
                     setup.workspace.rootfs(),
                     "--network",
                     to_string(network),
                     "--output",
                     "discard",
                     "--stop-timeout",
                     "0",
                     "--quiet"};
    if (!init)
        words.push_back("--no-init");
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Command floor_words(const Setup& setup, Network network, int threads, const Command& more) {
    Command words = {setup.options.floor_many, "--net", to_string(network), "--threads",
                     std::to_string(threads)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

rapidjson::Document run_floor(const Setup& setup, const Command& command) {
    const std::string output = setup.runner.output_or_fail(command);
    rapidjson::Document document;
    document.Parse(output.c_str());
    if (document.HasParseError())
        fail("sigil-floor-many printed no JSON: {}", output);
    return document;
}

void settle() {
    sleep_ms(kStepMs);
    long before = network_namespaces();
    for (int i = 0; i < kPatienceSteps; ++i) {
        sleep_ms(kStepMs);
        const long now = network_namespaces();
        if (now >= before)
            return;
        before = now;
    }
}

}  // namespace sigil::bench
