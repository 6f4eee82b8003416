// Who takes part, and the command line with which each makes the same container.

#pragma once

#include <string>
#include <vector>

#include "options.h"
#include "process.h"
#include "workspace.h"

namespace sigil::bench {

enum class Network { kNone, kHost };

inline const char* to_string(Network network) {
    return network == Network::kNone ? "none" : "host";
}

enum class Kind { kFloor, kSigil, kSigilNoInit, kBubblewrap, kOci };

struct Contestant {
    std::string name;
    Kind kind;
    std::string program;
    std::string version;
};

struct Skipped {
    std::string name;
    std::string reason;
};

class Field {
  public:
    // Finds the programs and writes the peers' bundles. A peer that isn't installed is skipped;
    // sigil and the floor have to be there, if they weren't left out by --only.
    Field(const Options& options, const Workspace& workspace, const Runner& runner);

    const std::vector<Contestant>& contestants() const { return contestants_; }
    const std::vector<Skipped>& skipped() const { return skipped_; }

    // The guest is "/true" or "/pause". OCI runtimes want another name for each container: each
    // call gives one.
    Command command(const Contestant& contestant, Network network, const std::string& guest);

  private:
    void find(const Options& options, const Runner& runner);
    Command oci_command(const Contestant& contestant, Network network, const std::string& guest);
    std::string bundle(Network network, const std::string& guest) const;

    const Workspace& workspace_;
    std::vector<Contestant> contestants_;
    std::vector<Skipped> skipped_;
    int containers_ = 0;
};

}  // namespace sigil::bench
