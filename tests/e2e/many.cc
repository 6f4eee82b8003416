#include "many.h"

#include <algorithm>

#include "machine.h"

namespace sigil::e2e {

unsigned scaled(unsigned count, unsigned in_vm) {
    return is_slow() ? in_vm : count;
}

std::string numbered(const std::string& name, unsigned number) {
    return name + "-" + std::to_string(number);
}

size_t count_events(const std::string& path, const std::string& event) {
    const std::string part = "\"event\":\"" + event + "\"";
    const auto lines = lines_of(read_file(path));
    return static_cast<size_t>(std::ranges::count_if(
        lines, [&](const auto& line) { return line.find(part) != std::string::npos; }));
}

Words Outputs::with(const Words& options) const {
    Words all = {"--name",   "web",   "--quiet",   "--events", events,
                 "--report", reports, "--log-dir", logs};
    all.insert(all.end(), options.begin(), options.end());
    return all;
}

std::string Outputs::log(const std::string& id) const {
    return read_file(logs + "/" + id + ".log");
}

bool Outputs::await(const std::string& event, size_t count) const {
    return eventually([&] { return count_events(events, event) >= count; });
}

ManyRun run_many(const Words& options, const Words& command) {
    Outputs outputs;
    Finished finished = run(outputs.with(options), command);
    EventLog events(outputs.events);
    return {std::move(outputs), std::move(finished), std::move(events)};
}

ManyRun run_many_script(const Words& options, const std::string& script) {
    return run_many(options, {"/bin/sh", "-c", script});
}

}  // namespace sigil::e2e
