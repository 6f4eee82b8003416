// A container as plain data: what the user asked for, checked for form but not yet against the
// machine. Whoever reads options or JSON fills it; isolation turns it into a launch plan.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/oci.h"
#include "core/seccomp_program.h"

namespace sigil {

enum class Network : uint8_t {
    none,  // a namespace of its own, with only a loopback
    host,  // the supervisor's
};

// Whose numbers the container's users are.
enum class UserNamespace : uint8_t {
    host,       // the supervisor's
    automatic,  // of a range that no other container has
    mapped,     // of Spec::uid_mappings and gid_mappings
};

// As OCI's mounts: type, source, destination and options; isolation/mount_options knows the words.
struct Mount {
    std::string type;    // "bind", "tmpfs", or any filesystem of the kernel
    std::string source;  // for a bind, a path of the host
    std::string target;  // absolute, inside the container
    std::vector<std::string> options;
    std::string origin;  // what asked for it, for errors: "--bind /a:/b", "mounts[2]"
    // Of an idmapped mount ("idmap", "ridmap"); both empty: those of the container's own user
    // namespace.
    std::vector<IdMapping> uid_mappings;
    std::vector<IdMapping> gid_mappings;
    bool operator==(const Mount&) const = default;
};

// A device of the host that the container gets.
struct HostDevice {
    std::string source;  // its path on the host
    Device node;         // what it is; its path is the container's, below /dev
    DeviceRule rule;     // what may be done with it
    std::string origin;  // what asked for it, for errors: "--device /dev/fuse"
    bool operator==(const HostDevice&) const = default;
};

struct Rlimit {
    int resource;  // RLIMIT_*
    uint64_t soft;
    uint64_t hard;
    std::string origin;  // what asked for it, for errors: "--ulimit core=0", "process.rlimits[1]"
    bool operator==(const Rlimit&) const = default;
};

// cgroup v2 limits. Nothing set: nothing is written.
struct Resources {
    std::optional<uint64_t> memory;       // memory.max, bytes; UINT64_MAX: no limit
    std::optional<uint64_t> memory_high;  // memory.high, bytes
    // Memory and swap together, bytes; swap alone where memory has no limit; UINT64_MAX: no limit.
    std::optional<uint64_t> memory_swap;
    // An update fails rather than set `memory` below what is in use.
    bool check_memory = false;
    std::optional<uint64_t> cpu_quota;   // cpu.max, microseconds a period; UINT64_MAX: no limit
    std::optional<uint64_t> cpu_period;  // its period, microseconds; nothing: 100 ms
    std::optional<uint64_t> pids;        // pids.max; UINT64_MAX: no limit
    std::string cpuset_cpus;             // cpuset.cpus
    std::vector<std::string> io_max;     // lines of io.max
    bool oom_group = false;              // memory.oom.group
    struct File {
        std::string name;
        std::string value;
        std::string origin = "--cgroup-set";  // for errors; "linux.resources.cpu.shares"
        // Where there is no file of that name: if `may_be_missing`, nothing is written, else
        // `other_value` to `other_name`; with neither, that is an error.
        bool may_be_missing = false;
        std::string other_name;
        std::string other_value;
        bool operator==(const File&) const = default;
    };
    std::vector<File> files;  // written as they stand, in order, after all of the above
    // Of a bundle: where its JSON has them, for errors ("linux.resources"; empty: the JSON is
    // nothing else). Then, as OCI's runtimes do, swap is left alone unless `memory_swap` is set.
    std::optional<std::string> json_path;
    bool operator==(const Resources&) const = default;
};

struct Spec {
    // Of a bundle: what only config.json can say; then its mounts are all of `mounts`, the
    // namespaces those that it lists, and `capabilities`, `user`, `network` and `init` mean
    // nothing. Null: sigil's own container, with its own mounts.
    std::shared_ptr<const Oci> oci;

    std::string name;
    std::string hostname;
    std::string rootfs;  // a directory of the host
    bool read_only_root = false;
    std::vector<Mount> mounts;
    std::vector<HostDevice> devices;  // beside the standard ones
    // Nothing is masked or read-only in /proc, /sys and the cgroup filesystem, device nodes work
    // anywhere, and its cgroup has no device rules.
    bool privileged = false;

    std::vector<std::string> args;
    std::vector<std::string> env;  // NAME=value
    std::string cwd = "/";
    std::string user;  // UID[:GID] or names of the container's own passwd and group; empty: root
    std::vector<Rlimit> rlimits;
    std::vector<int> passed_fds;
    uint64_t capabilities = 0;  // bit n: capability n
    bool no_new_privileges = true;
    std::shared_ptr<const SeccompProgram> seccomp;  // null: every system call is allowed
    bool init = true;                               // PID 1 is sigil's init, the command its child
    bool signal_group = false;                      // the init signals the command's process group
    // The command stays in the terminal's foreground group, so that the user's shell sees one job.
    bool shares_terminal = false;
    // A terminal of its own, in the container's devpts: the command's streams and its session's.
    // The master comes with the launch's outcome.
    std::optional<ConsoleSize> terminal;

    Network network = Network::none;
    UserNamespace user_namespace = UserNamespace::host;
    std::vector<IdMapping> uid_mappings;
    std::vector<IdMapping> gid_mappings;
    std::string cgroup_parent;  // absolute, or relative to the supervisor's own; empty: chosen
    Resources resources;

    std::optional<std::chrono::nanoseconds> timeout;  // from the command's start
    std::chrono::nanoseconds stop_timeout = std::chrono::seconds(10);
    bool operator==(const Spec&) const = default;
};

}  // namespace sigil
