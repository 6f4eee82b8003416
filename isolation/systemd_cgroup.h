// The cgroup of an OCI bundle with the systemd cgroup driver: a scope, which systemd makes and
// sigil runs the container in (https://systemd.io/CGROUP_DELEGATION). The talking is done by a
// helper, sigil-systemd-cgroup (isolation/systemd/main.cc); this finds it and runs it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"

namespace sigil::isolation {

struct SystemdUnit {
    std::string slice;  // "machine.slice"
    std::string scope;  // "sigil-web.scope"
};

// What linux.cgroupsPath means for systemd: "slice:prefix:name"; an empty slice is system.slice,
// or user.slice of a user's own systemd; without a prefix the scope is called by its name alone.
// An empty path: scope sigil-ID.
Result<SystemdUnit> systemd_unit(std::string_view cgroups_path, std::string_view id, bool is_user);

// Where a slice's cgroup is: "a-b.slice" is "/a.slice/a-b.slice", "-.slice" is "/"
// (systemd.slice(5)). An error names linux.cgroupsPath.
Result<std::string> slice_path(std::string_view slice);

// What of these limits systemd has properties for: "MemoryMax=1048576". Told to it, so that it
// doesn't undo them when it writes the scope's files again; all limits are written by
// Cgroup::apply() too.
std::vector<std::string> systemd_properties(const Resources& resources);

struct SystemdHelper {
    // Talks to the system's manager for root, to the user's own for others, and for root of a user
    // namespace (podman's and Docker's rootless mode). Beside this very
    // program, else in /usr/libexec/sigil or /usr/lib/sigil; an error names
    // --systemd-cgroup.
    static Result<SystemdHelper> find();

    std::string path;
    bool is_user = false;                                         // the user's own systemd
    std::chrono::nanoseconds timeout = std::chrono::seconds(30);  // of each call
    int interruption = -1;  // of interruption.h: gives a call up
};

// A scope that has been started. Until something else runs in its cgroup, a placeholder does, which
// ends with this object or with release(); without any process the scope goes away by itself. So
// release it once the container's process has been cloned into the cgroup, not before.
class SystemdScope {
  public:
    // is(EEXIST): there is a scope of that name, which is somebody else's.
    static Result<SystemdScope> start(const SystemdHelper& helper, const SystemdUnit& unit,
                                      const std::string& description,
                                      const std::vector<std::string>& properties);

    // From the cgroup mount's root: "/system.slice/sigil-web.scope".
    [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
    void release() { placeholder_.reset(); }

  private:
    SystemdScope(std::string cgroup, Fd placeholder)
        : cgroup_(std::move(cgroup)), placeholder_(std::move(placeholder)) {}
    std::string cgroup_;
    Fd placeholder_;  // the end of its standard input
};

// Kills what is in the scope and waits until it is gone; one that is gone already is no error.
Result<void> stop_systemd_scope(const SystemdHelper& helper, const std::string& scope);
Result<void> set_systemd_properties(const SystemdHelper& helper, const std::string& scope,
                                    const std::vector<std::string>& properties);

}  // namespace sigil::isolation
