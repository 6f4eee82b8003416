#include "counts.h"

#include <algorithm>
#include <cctype>
#include <fstream>

#include "failure.h"

namespace sigil::bench {

namespace {

// runc's threads make a different number each time, crun retries its rmdir.
constexpr int kRuns = 5;

// One line is one entry into the kernel, except "<... name resumed>", which ends one that another
// process's line cut in two, and "+++" and "---", which are exits and signals. strace's own table
// (-c) would leave out calls that never return: exit_group, and those that an exit cuts short.
bool is_call(const std::string& line) {
    const size_t text = line.find_first_not_of("0123456789 ");
    return text != std::string::npos &&
           (std::isalpha(static_cast<unsigned char>(line[text])) || line[text] == '_');
}

int count_lines(const std::string& path) {
    std::ifstream file(path);
    int calls = 0;
    for (std::string line; std::getline(file, line);)
        calls += is_call(line) ? 1 : 0;
    if (calls == 0)
        fail("strace wrote no calls to {}", path);
    return calls;
}

CountRow count_one(Field& field, const Contestant& contestant, Network network,
                   const Runner& runner, const Workspace& workspace) {
    const std::string trace = workspace.file("trace");
    std::vector<int> counts;
    for (int i = 0; i < kRuns; ++i) {
        Command command = {find_program("strace"), "-f", "-qq", "-o", trace, "--"};
        const Command traced = field.command(contestant, network, {"/true"});
        command.insert(command.end(), traced.begin(), traced.end());
        runner.time(contestant.name + " below strace", command);
        counts.push_back(count_lines(trace));
    }
    std::sort(counts.begin(), counts.end());
    return {contestant.name, network, counts.front(), counts[kRuns / 2], counts.back(), 0};
}

void compare(CountSection& section) {
    for (const CountRow& floor : section.rows) {
        if (floor.name != "floor")
            continue;
        for (CountRow& row : section.rows) {
            if (row.network == floor.network)
                row.to_floor = double(row.median) / floor.median;
        }
    }
    for (const CountRow& row : section.rows) {
        if (!row.name.starts_with("sigil") || row.to_floor == 0)
            continue;
        section.bars.push_back({fmt::format("{} ({})", row.name, to_string(row.network)), "floor",
                                row.to_floor, kCallsToFloor});
    }
}

}  // namespace

CountSection count_system_calls(Field& field, const Runner& runner, const Workspace& workspace) {
    CountSection section;
    const std::string strace = find_program("strace");
    if (strace.empty()) {
        section.skipped = "strace is not installed";
        return section;
    }
    const std::string version = runner.output_of({strace, "--version"});
    section.strace = version.substr(0, version.find('\n'));
    for (Network network : {Network::kNone, Network::kHost}) {
        for (const Contestant& contestant : field.contestants()) {
            section.rows.push_back(count_one(field, contestant, network, runner, workspace));
        }
    }
    compare(section);
    return section;
}

}  // namespace sigil::bench
