// What the options for many containers, and for their output, do with their text. A failure says
// what was wrong with the text; the caller names the option.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/run_options.h"
#include "core/error.h"
#include "core/job.h"

namespace sigil::cli {

// 1 to `limit`.
Result<uint64_t> parse_count(std::string_view text, uint64_t limit);
// "no", "on-failure", "on-failure:3", "always".
Result<RestartPolicy> parse_restart(std::string_view text);
Result<void> add_after(Job& job, std::string_view name);
// Any text but an empty one.
Result<std::string> parse_path(std::string_view text);
Result<Output> parse_output(std::string_view text);
Result<LogPolicy> parse_log_policy(std::string_view text);
Result<loop::RingChoice> parse_ring(std::string_view text);
// "unix:PATH", "9100", "127.0.0.1:9100", "[::1]:9100".
Result<MetricsAddress> parse_metrics(std::string_view text);
Result<Notify> parse_notify(std::string_view text);
// An open descriptor above 2.
Result<int> parse_notification_fd(std::string_view text);

// Options that make no sense together, or without each other.
Result<void> check_run(const RunRequest& request);

}  // namespace sigil::cli
