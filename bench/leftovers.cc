#include "leftovers.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "failure.h"

namespace sigil::bench {

namespace {

namespace fs = std::filesystem;

constexpr int kRuns = 10;
constexpr int kPatienceMs = 2'000;
constexpr int kStepMs = 50;

// Field 5 of mountinfo is the place, field 1 the mount's number.
std::set<std::string> mounts() {
    std::set<std::string> result;
    std::istringstream lines(read_file("/proc/self/mountinfo"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
        if (fields.size() > 4)
            result.insert(fields[4] + " #" + fields[0]);
    }
    return result;
}

// Directories may vanish while they are walked: what can't be read isn't there.
std::set<std::string> cgroups() {
    std::set<std::string> result;
    std::vector<fs::path> open = {"/sys/fs/cgroup"};
    while (!open.empty()) {
        const fs::path directory = open.back();
        open.pop_back();
        std::error_code error;
        fs::directory_iterator entry(directory, error);
        for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
            std::error_code ignored;
            if (!entry->is_directory(ignored))
                continue;
            result.insert(entry->path());
            open.push_back(entry->path());
        }
    }
    return result;
}

std::set<std::string> processes() {
    std::set<std::string> result;
    for (pid_t child : children_of(getpid())) {
        const std::string name = read_file(fmt::format("/proc/{}/comm", child));
        result.insert(fmt::format("{} {}", child, name.substr(0, name.find('\n'))));
    }
    return result;
}

// Reading the directory takes a descriptor itself; its name is the same each time.
std::set<std::string> descriptors() {
    std::set<std::string> result;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd", error)) {
        result.insert(entry.path().filename());
    }
    return result;
}

void add_new(std::vector<std::string>& left, const std::string& what,
             const std::set<std::string>& before, const std::set<std::string>& after) {
    for (const std::string& name : after) {
        if (!before.contains(name))
            left.push_back(what + " " + name);
    }
}

}  // namespace

Snapshot take_snapshot() {
    return {mounts(), cgroups(), processes(), descriptors()};
}

LeftoverRow compare_with_now(const std::string& name, int runs, const Snapshot& before) {
    LeftoverRow row = {name, runs, 0, before, {}, {}};
    for (int waited = 0; waited <= kPatienceMs; waited += kStepMs) {
        row.orphans += reap_orphans();
        row.after = take_snapshot();
        row.left.clear();
        add_new(row.left, "mount", before.mounts, row.after.mounts);
        add_new(row.left, "cgroup", before.cgroups, row.after.cgroups);
        add_new(row.left, "process", before.processes, row.after.processes);
        add_new(row.left, "descriptor", before.descriptors, row.after.descriptors);
        if (row.left.empty())
            break;
        sleep_ms(kStepMs);
    }
    return row;
}

std::vector<LeftoverRow> look_for_leftovers(Field& field, const Runner& runner) {
    std::vector<LeftoverRow> rows;
    for (const Contestant& contestant : field.contestants()) {
        reap_orphans();
        const Snapshot before = take_snapshot();
        for (int i = 0; i < kRuns; ++i) {
            const Network network = i % 2 == 0 ? Network::kNone : Network::kHost;
            runner.time(contestant.name, field.command(contestant, network, {"/true"}));
        }
        rows.push_back(compare_with_now(contestant.name, kRuns, before));
    }
    return rows;
}

}  // namespace sigil::bench
