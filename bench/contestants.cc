#include "contestants.h"

#include <unistd.h>

#include <algorithm>

#include "bundle.h"
#include "failure.h"

namespace sigil::bench {

namespace {

struct Candidate {
    const char* name;
    Kind kind;
    std::string program;
    bool required;
    bool has_version;
};

std::vector<Candidate> candidates(const FieldOptions& options) {
    return {
        {"floor", Kind::kFloor, options.floor, true, false},
        {"floor-bare", Kind::kFloor, options.floor + "-bare", false, false},
        {"sigil", Kind::kSigil, options.sigil, true, true},
        {"sigil-no-init", Kind::kSigilNoInit, options.sigil, true, true},
        {"bwrap", Kind::kBubblewrap, "bwrap", false, true},
        {"crun", Kind::kOci, "crun", false, true},
        {"runc", Kind::kOci, "runc", false, true},
    };
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

Command join(Command left, const Command& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Command sigil_command(const Contestant& contestant, Network network, const Workspace& workspace,
                      const Command& guest) {
    Command command = {contestant.program, "run",
                       "--root",           workspace.state() + "/" + contestant.name,
                       "--rootfs",         workspace.rootfs(),
                       "--network",        to_string(network)};
    if (contestant.kind == Kind::kSigilNoInit)
        command.push_back("--no-init");
    command.push_back("--");
    return join(command, guest);
}

// As close as its options get: bwrap masks and protects no paths, and binds the host's /sys with
// the cgroups in it. It keeps a PID 1 of its own, which reaps, as sigil does.
Command bubblewrap_command(const Contestant& contestant, Network network, const std::string& rootfs,
                           const Command& guest) {
    Command command = {contestant.program, "--unshare-pid", "--unshare-uts", "--unshare-ipc",
                       "--unshare-cgroup"};
    if (network == Network::kNone)
        command.push_back("--unshare-net");
    command = join(command, {"--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--mqueue",
                             "/dev/mqueue", "--ro-bind", "/sys", "/sys", "--die-with-parent",
                             "--hostname", "sigil"});
    return join(command, guest);
}

}  // namespace

bool FieldOptions::wants(const std::string& name) const {
    return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

std::vector<Command> guests() {
    return {{"/true"},
            {"/pause"},
            {"/stamp", "/stamps", "0"},
            {"/stamp", "/stamps", "1", "stay"},
            {"/catch", "/caught"}};
}

Field::Field(const FieldOptions& options, const Workspace& workspace, const Runner& runner)
    : workspace_(workspace) {
    find_all(options, runner);
    for (Network network : {Network::kNone, Network::kHost}) {
        for (const Command& guest : guests()) {
            write_bundle(bundle(network, guest), workspace.rootfs(), guest,
                         network == Network::kNone);
        }
    }
}

void Field::find_all(const FieldOptions& options, const Runner& runner) {
    std::vector<std::string> unknown = options.only;
    for (const Candidate& candidate : candidates(options)) {
        std::erase(unknown, candidate.name);
        if (!options.wants(candidate.name))
            continue;
        const std::string program = find_program(candidate.program);
        if (program.empty() && candidate.required) {
            fail("{} is not at {} (--{} PATH names it, --only leaves it out)", candidate.name,
                 candidate.program, candidate.kind == Kind::kFloor ? "floor" : "sigil");
        }
        if (program.empty()) {
            skipped_.push_back({candidate.name, candidate.program + " is not installed"});
            continue;
        }
        const std::string version =
            candidate.has_version ? first_line(runner.output_of({program, "--version"})) : "";
        contestants_.push_back({candidate.name, candidate.kind, program, version});
    }
    if (!unknown.empty())
        fail("--only: there is no contestant {}", unknown.front());
    if (contestants_.empty())
        fail("no contestant is left");
}

const Contestant* Field::find(const std::string& name) const {
    for (const Contestant& contestant : contestants_) {
        if (contestant.name == name)
            return &contestant;
    }
    return nullptr;
}

Command Field::command(const Contestant& contestant, Network network, const Command& guest) {
    switch (contestant.kind) {
        case Kind::kFloor:
            return join({contestant.program, "--net", to_string(network), workspace_.rootfs()},
                        guest);
        case Kind::kSigil:
        case Kind::kSigilNoInit:
            return sigil_command(contestant, network, workspace_, guest);
        case Kind::kBubblewrap:
            return bubblewrap_command(contestant, network, workspace_.rootfs(), guest);
        case Kind::kOci:
            return oci_command(contestant, network, guest);
    }
    fail("{} has no command line", contestant.name);
}

Command Field::oci_command(const Contestant& contestant, Network network, const Command& guest) {
    const std::string name = fmt::format("sigil-bench-{}-{}", getpid(), ++containers_);
    return {
        contestant.program,     "--root", workspace_.state() + "/" + contestant.name, "run", "-b",
        bundle(network, guest), name};
}

std::string Field::bundle(Network network, const Command& guest) const {
    return workspace_.file(
        fmt::format("bundle-{}-{}-{}", to_string(network), guest.front().substr(1), guest.size()));
}

}  // namespace sigil::bench
