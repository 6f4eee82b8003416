// Who takes part, and the command line with which each makes the same container.

#pragma once

#include <string>
#include <vector>

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

// Where the programs are, and who is wanted.
struct FieldOptions {
    std::string sigil;
    std::string floor;
    std::vector<std::string> only;

    // Whether `only` is empty or names it.
    bool wants(const std::string& name) const;
};

struct Skipped {
    std::string name;
    std::string reason;
};

// What runs inside: `true`, `pause`, `stamp` in its two ways, writing into the rootfs's /stamps
// (stamp.cc), and `catch`, writing into /caught (catch.cc).
std::vector<Command> guests();

class Field {
  public:
    // Finds the programs and writes the peers' bundles. A peer that isn't installed is skipped;
    // sigil and the floor have to be there, if they weren't left out by --only.
    Field(const FieldOptions& options, const Workspace& workspace, const Runner& runner);

    const std::vector<Contestant>& contestants() const { return contestants_; }
    const std::vector<Skipped>& skipped() const { return skipped_; }

    // The guest is one of guests(). OCI runtimes want another name for each container: each call
    // gives one.
    Command command(const Contestant& contestant, Network network, const Command& guest);

    // The bundle of an OCI runtime for one of guests().
    std::string bundle(Network network, const Command& guest) const;

    // Null if it takes no part.
    const Contestant* find(const std::string& name) const;

  private:
    void find_all(const FieldOptions& options, const Runner& runner);
    Command oci_command(const Contestant& contestant, Network network, const Command& guest);

    const Workspace& workspace_;
    std::vector<Contestant> contestants_;
    std::vector<Skipped> skipped_;
    int containers_ = 0;
};

}  // namespace sigil::bench
