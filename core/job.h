// A container and how it is supervised among others, as plain data. Whoever reads options or a line
// of a job file fills it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/spec.h"

namespace sigil {

struct RestartPolicy {
    enum When : uint8_t {
        no,
        on_failure,  // any end but exit code 0
        always,
    };
    When when = no;
    uint64_t most = 0;  // restarts; 0: no limit
    bool operator==(const RestartPolicy&) const = default;
};

struct Job {
    Spec spec;
    RestartPolicy restart;
    std::vector<std::string> after;  // names: it starts once each of them has started
    // Files of the host. Empty: what the run says, or what sigil itself has.
    std::string stdin_path;
    std::string stdout_path;
    std::string stderr_path;
    int stop_signal = 0;  // 0: the signal that sigil itself got
    bool operator==(const Job&) const = default;
};

}  // namespace sigil
