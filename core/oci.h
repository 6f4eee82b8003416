// What only a bundle's config.json can say of a container: the OCI runtime specification 1.3.0,
// config.md and config-linux.md. Spec holds what it has in common with `sigil run`; this is the
// rest, as plain data. core/spec_reader fills it, isolation turns it into a launch plan.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sigil {

enum class NamespaceKind : uint8_t { mount, pid, network, uts, ipc, user, cgroup, time };

struct Namespace {
    NamespaceKind kind;
    std::string path;  // of one to join; empty: a new one
};

struct IdMapping {
    uint32_t container_id;
    uint32_t host_id;
    uint32_t size;
    bool operator==(const IdMapping&) const = default;
};

// A node to be made in the container (config-linux.md, "Devices").
struct Device {
    std::string path;
    char type;  // 'c', 'b', 'p' ('u' is read as 'c')
    uint32_t major = 0;
    uint32_t minor = 0;
    uint32_t mode = 0666;
    uint32_t uid = 0;
    uint32_t gid = 0;
    bool operator==(const Device&) const = default;
};

// Who may do what with a device: the last rule that matches wins (config-linux.md, "Allowed Device
// list").
struct DeviceRule {
    bool allow = false;
    char type = 'a';                // 'a', 'b', 'c'
    std::optional<uint32_t> major;  // nothing: any
    std::optional<uint32_t> minor;
    bool read = true;
    bool write = true;
    bool make_node = true;
    bool operator==(const DeviceRule&) const = default;
};

// config-linux.md, "Seccomp". Names are as written there; isolation/seccomp knows them.
struct Seccomp {
    struct Argument {
        uint32_t index = 0;
        uint64_t value = 0;
        uint64_t value_two = 0;
        std::string op;  // "SCMP_CMP_EQ"

        bool operator==(const Argument&) const = default;
    };
    struct Rule {
        std::vector<std::string> names;
        std::string action;  // "SCMP_ACT_ALLOW"
        std::optional<uint32_t> error;
        std::vector<Argument> arguments;

        bool operator==(const Rule&) const = default;
    };
    std::string default_action;
    std::optional<uint32_t> default_error;
    std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64"
    std::vector<std::string> flags;          // "SECCOMP_FILTER_FLAG_LOG"
    std::string listener_path;               // a Unix socket that gets the notify descriptor
    std::string listener_metadata;
    std::vector<Rule> rules;

    bool operator==(const Seccomp&) const = default;
};

struct Hook {
    std::string path;
    std::vector<std::string> args;  // argv, its first word too; empty: the path alone
    std::vector<std::string> env;
    std::optional<std::chrono::seconds> timeout;
    std::string origin;  // "hooks.poststart[0]", for errors
};

// config.md, "POSIX-platform Hooks".
struct Hooks {
    std::vector<Hook> prestart;
    std::vector<Hook> create_runtime;
    std::vector<Hook> create_container;
    std::vector<Hook> start_container;
    std::vector<Hook> poststart;
    std::vector<Hook> poststop;
};

// Bit n: capability n.
struct CapabilitySets {
    uint64_t bounding = 0;
    uint64_t effective = 0;
    uint64_t inheritable = 0;
    uint64_t permitted = 0;
    uint64_t ambient = 0;
};

// In characters; 0: as the kernel has it.
struct ConsoleSize {
    uint16_t height = 0;
    uint16_t width = 0;
    bool operator==(const ConsoleSize&) const = default;
};

// sched_setattr(2); policy, flags and io class are the kernel's numbers.
struct Scheduler {
    uint32_t policy = 0;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0;
    uint64_t deadline = 0;
    uint64_t period = 0;
};

struct TimeOffset {
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
};

// set_mempolicy(2).
struct MemoryPolicy {
    int mode = 0;        // MPOL_*
    unsigned flags = 0;  // MPOL_F_*
    std::vector<unsigned> nodes;
};

struct NetDevice {
    std::string host_name;
    std::string container_name;
};

struct IntelRdt {
    std::string clos_id;  // "/": the default one; empty: the container's id
    std::string l3_cache_schema;
    std::string memory_bandwidth_schema;
    std::vector<std::string> schemata;
    bool enable_monitoring = false;
};

// config.md, "Process": beside what Spec has (args, env, cwd, rlimits, no_new_privileges).
struct OciProcess {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> additional_gids;
    std::optional<uint32_t> umask;
    CapabilitySets capabilities;  // not said: none at all
    std::optional<int> oom_score_adj;
    std::string apparmor_profile;
    std::string selinux_label;
    std::optional<uint32_t> io_priority;  // ioprio_set(2): class << 13 | level
    std::optional<Scheduler> scheduler;
    std::string cpu_affinity_initial;  // lists as of cpuset(7): before and after the cgroup is
    std::string cpu_affinity_final;    // entered
    bool terminal = false;
    std::optional<ConsoleSize> console_size;
};

struct Oci {
    OciProcess process;
    std::string version;  // ociVersion
    // What was read otherwise than it is written, or not at all, as the specification allows: to be
    // told to the user, each a sentence with its path.
    std::vector<std::string> warnings;
    std::string domainname;
    std::vector<std::pair<std::string, std::string>> annotations;
    Hooks hooks;

    std::vector<Namespace> namespaces;
    std::vector<IdMapping> uid_mappings;
    std::vector<IdMapping> gid_mappings;
    std::optional<TimeOffset> monotonic_offset;
    std::optional<TimeOffset> boottime_offset;
    std::vector<Device> devices;
    std::vector<DeviceRule> device_rules;  // empty: the default ones
    std::vector<std::pair<std::string, std::string>> sysctl;
    std::shared_ptr<const Seccomp> seccomp;
    std::string rootfs_propagation;  // "private", "rslave", ...; empty: as the kernel has it
    std::vector<std::string> masked_paths;
    std::vector<std::string> readonly_paths;
    std::string mount_label;
    std::optional<uint64_t> personality;  // personality(2)
    std::vector<NetDevice> net_devices;
    std::optional<MemoryPolicy> memory_policy;
    std::optional<IntelRdt> intel_rdt;
    std::string cgroups_path;  // as written

    [[nodiscard]] const Namespace* find(NamespaceKind kind) const {
        for (const Namespace& space : namespaces)
            if (space.kind == kind)
                return &space;
        return nullptr;
    }
};

}  // namespace sigil
