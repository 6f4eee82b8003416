// The report of `sigil run --report`, parsed strictly.
#pragma once

#include <string>
#include <string_view>

#include <rapidjson/document.h>

#include "sigil_runner.h"

namespace sigil::e2e {

// One JSON object and a newline in valid UTF-8, or a failed test and an empty object.
rapidjson::Document parse_report(std::string_view text);

struct Reported {
    Finished finished;
    rapidjson::Document report;

    [[nodiscard]] std::string text(const char* key) const;
    [[nodiscard]] int64_t number(const char* key) const;
    [[nodiscard]] bool is_null(const char* key) const;
    [[nodiscard]] std::string cause() const { return text("cause"); }
};

// Runs with `--report FILE` and reads it.
Reported run_reported(Words options, Words command);
// The path of a new file for a report.
std::string new_report_path();
// Reads the report of a run that has ended.
Reported read_report(Finished finished, const std::string& path);

}  // namespace sigil::e2e
