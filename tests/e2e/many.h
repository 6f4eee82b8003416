// Runs of many containers, and where they write what.
#pragma once

#include <string>

#include "events.h"
#include "fixture.h"

namespace sigil::e2e {

inline const Words kStubborn = {"/bin/probe", "ignore", "TERM", "INT"};
inline const Words kSleeper = {"/bin/sleep", "100000"};

// Fewer where everything takes 20 times longer.
unsigned scaled(unsigned count, unsigned in_vm);
// "NAME-NUMBER"
std::string numbered(const std::string& name, unsigned number);
// How many of an event the file of events has so far.
size_t count_events(const std::string& path, const std::string& event);

// Where one run writes what.
struct Outputs {
    std::string directory = make_directory_outside();
    std::string events = directory + "/events";
    std::string reports = directory + "/reports";
    std::string logs = directory + "/logs";

    // The options for them, and those of the test.
    [[nodiscard]] Words with(const Words& options) const;
    [[nodiscard]] std::string log(const std::string& id) const;
    // Waits until so many of an event have been told.
    [[nodiscard]] bool await(const std::string& event, size_t count) const;
};

struct ManyRun {
    Outputs outputs;
    Finished finished;
    EventLog events;
};

ManyRun run_many(const Words& options, const Words& command);
ManyRun run_many_script(const Words& options, const std::string& script);

}  // namespace sigil::e2e
