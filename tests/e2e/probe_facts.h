// What sigil-probe prints, parsed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sigil_runner.h"

namespace sigil::e2e {

class Facts {
  public:
    explicit Facts(std::string_view text);

    // The value of a key that is there once; "(none)" where it isn't there.
    [[nodiscard]] std::string operator[](const std::string& key) const;
    [[nodiscard]] std::vector<std::string> all(const std::string& key) const;
    // Keys that start with `prefix`, without it, with their values: descriptors, namespaces.
    [[nodiscard]] std::map<std::string, std::string> below(const std::string& prefix) const;
    [[nodiscard]] std::map<std::string, std::string> descriptors() const { return below("fd."); }

    // The mount on `target`, the last if there are several, as a line of mountinfo; else "(none)".
    [[nodiscard]] std::string mount_on(const std::string& target) const;
    // Its options for this mount alone: "ro,nosuid".
    [[nodiscard]] std::vector<std::string> mount_options(const std::string& target) const;
    [[nodiscard]] bool has_mount_option(const std::string& target, const std::string& option) const;

  private:
    std::multimap<std::string, std::string> values_;
};

// Runs the probe in a container; the test fails unless it ends well.
Facts facts_of(Words options);
Facts facts_from(const Start& start);
// The start of it, for tests that change how sigil is started.
Start probe_run(Words options);

}  // namespace sigil::e2e
