// A created container as later commands find it: its state file, and what it says now. The OCI
// runtime specification, runtime.md ("State", "Lifecycle").
//
//     ROOT/containers/ID/       mode 0700, flock(LOCK_EX) by who changes the container; who reads
//                               it takes no lock
//         state.json            written before each thing that must be removed again is made
//         config.json           the bundle's, as it was at create
//         start                 the socket that the stage waits on for its start
//
// A file is replaced by rename(2), so a reader never sees half of one. A process is known by its
// pid and its start time (proc(5), field 22): a pid that was given to another is not the
// container's.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/process.h"

namespace sigil {

// Of the specification that sigil implements.
inline constexpr const char* kOciVersion = "1.3.0";

enum class ContainerStatus : uint8_t { creating, created, running, paused, stopped };
const char* name(ContainerStatus status);

struct ContainerState {
    std::string id;
    pid_t pid = -1;           // -1: not cloned yet
    uint64_t start_time = 0;  // of the process, clock ticks after boot
    bool is_created = false;  // `create` is over: nobody sets it up any more
    std::string bundle;
    std::string rootfs;
    std::string created;  // RFC 3339, UTC
    std::string cgroup;   // from the cgroup2 mount's root: "/a/b"; empty: none of its own
    std::string unit;     // of systemd; empty: none
    bool user_unit = false;
    uid_t owner = 0;
    std::vector<std::pair<std::string, std::string>> annotations;

    [[nodiscard]] std::string to_json() const;
    static Result<ContainerState> from_json(std::string_view text);
};

// What the specification calls the state: hooks get it on stdin, `state` prints it.
std::string oci_state(const ContainerState& state, ContainerStatus status);

// The process, if it is still the container's and has not ended.
Result<std::optional<Process>> living_process(const ContainerState& state);
// The start time of a process that we know to live; nothing: it is gone.
std::optional<uint64_t> start_time_of(pid_t pid);

// One container's directory, locked unless it was only looked up.
class ContainerDirectory {
  public:
    // Makes it; an error if there is one of that name.
    static Result<ContainerDirectory> create(const std::string& root, const std::string& id);
    // Waits for whoever changes it.
    static Result<ContainerDirectory> open(const std::string& root, const std::string& id);
    // Without the lock, for who only reads, or sends a signal: a hook, and an engine while hooks
    // run, ask for the state of a container whose `create` or `start` is under way.
    static Result<ContainerDirectory> look(const std::string& root, const std::string& id);
    // Names of all that are there, sorted.
    static Result<std::vector<std::string>> list(const std::string& root);

    [[nodiscard]] Result<ContainerState> read() const;
    [[nodiscard]] Result<void> write(const ContainerState& state) const;
    [[nodiscard]] Result<std::string> read_file(const char* name) const;
    [[nodiscard]] Result<void> write_file(const char* name, std::string_view text) const;
    // With everything in it; the lock goes with it.
    Result<void> remove();

    // The socket that the stage waits on: bound and listening.
    [[nodiscard]] Result<Fd> listen() const;
    // Whether it does. Never blocks: the stage may be frozen.
    [[nodiscard]] Result<bool> is_awaited() const;
    // A connection to it; nothing: nobody waits there, the container has been started or is gone.
    [[nodiscard]] Result<std::optional<Fd>> connect() const;

  private:
    ContainerDirectory(Fd directory, Fd parent, std::string id)
        : directory_(std::move(directory)), parent_(std::move(parent)), id_(std::move(id)) {}

    [[nodiscard]] int connect_to_start(int socket) const;

    Fd directory_;
    Fd parent_;
    std::string id_;
};

// An OCI id: letters, digits, "_", "+", "-", "."; not "." or "..".
Result<void> check_container_id(std::string_view id);

}  // namespace sigil
