// config-linux.md: all of the linux object but resources and seccomp.
#include <linux/mempolicy.h>
#include <net/if.h>
#include <sys/personality.h>

#include <algorithm>
#include <string>

#include "core/spec_reader_parts.h"

namespace sigil::spec_reader {
namespace {

// ---- namespaces -------------------------------------------------------------------------------

constexpr std::array kNamespaces = {
    Named<NamespaceKind>{"mount", NamespaceKind::mount},
    Named<NamespaceKind>{"pid", NamespaceKind::pid},
    Named<NamespaceKind>{"network", NamespaceKind::network},
    Named<NamespaceKind>{"uts", NamespaceKind::uts},
    Named<NamespaceKind>{"ipc", NamespaceKind::ipc},
    Named<NamespaceKind>{"user", NamespaceKind::user},
    Named<NamespaceKind>{"cgroup", NamespaceKind::cgroup},
    Named<NamespaceKind>{"time", NamespaceKind::time},
};

Result<void> read_namespace(const Json& object, Oci& oci) {
    const Json type = TRY(object.need("type"));
    Namespace space = {.kind = TRY(find_named(type, kNamespaces, "a kind of namespace")),
                       .path = {}};
    if (oci.find(space.kind))
        return type.fail("'{}' is given twice", TRY(type.text()));
    TRY(object.read("path", space.path));
    if (!space.path.empty())
        TRY(read_absolute(object, "path", space.path));
    oci.namespaces.push_back(std::move(space));
    return {};
}

Result<void> read_time_offsets(const Json& linux_object, Oci& oci) {
    return linux_object.each_member(
        "timeOffsets", [&](std::string_view clock, const Json& value) -> Result<void> {
            TRY(value.check_object());
            if (clock != "monotonic" && clock != "boottime")
                return value.fail("a time namespace has no clock of that name");
            constexpr uint32_t kMostNanoseconds = 999'999'999;
            TimeOffset offset;
            TRY(value.read("secs", offset.seconds));
            TRY(value.read("nanosecs", offset.nanoseconds, 0U, kMostNanoseconds));
            (clock == "monotonic" ? oci.monotonic_offset : oci.boottime_offset) = offset;
            return {};
        });
}

// ---- devices ----------------------------------------------------------------------------------

constexpr std::array kDeviceTypes = {
    Named<char>{"c", 'c'},
    Named<char>{"u", 'c'},  // mknod(1): a character device that is not buffered
    Named<char>{"b", 'b'},
    Named<char>{"p", 'p'},
};

Result<void> read_device(const Json& object, std::vector<Device>& devices) {
    constexpr uint32_t kPermissions = 07777;
    Device device = {};
    const Json type = TRY(object.need("type"));
    device.type = TRY(find_named(type, kDeviceTypes, "a type of device: c, b, u or p"));
    TRY(read_absolute(object, "path", device.path));
    if (device.type != 'p') {
        device.major = TRY(object.need_whole<uint32_t>("major"));
        device.minor = TRY(object.need_whole<uint32_t>("minor"));
    }
    TRY(object.read("fileMode", device.mode));
    device.mode &= kPermissions;  // engines pass st_mode, with the type's bits
    TRY(object.read("uid", device.uid));
    TRY(object.read("gid", device.gid));
    devices.push_back(std::move(device));
    return {};
}

// Names as the kernel takes them (dev_valid_name(), net/core/dev.c).
bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
           name.find_first_of("/: \t\n\v\f\r") == std::string_view::npos;
}

Result<void> read_net_devices(const Json& linux_object, Oci& oci) {
    return linux_object.each_member(
        "netDevices", [&](std::string_view name, const Json& value) -> Result<void> {
            TRY(value.check_object());
            NetDevice device = {.host_name = std::string(name),
                                .container_name = std::string(name)};
            TRY(value.read("name", device.container_name));
            if (device.container_name.empty())
                device.container_name = name;
            for (const std::string& one : {device.host_name, device.container_name})
                if (!is_interface_name(one))
                    return value.fail("'{}' is not the name of a network device", printable(one));
            oci.net_devices.push_back(std::move(device));
            return {};
        });
}

// ---- sysctl -----------------------------------------------------------------------------------

// "net/ipv4/conf/eth0.1/x" is "net.ipv4.conf.eth0/1.x": the first of the separators is it
// (sysctl.d(5)).
std::string with_dots(std::string_view name) {
    std::string text(name);
    const size_t first = text.find_first_of("./");
    if (first == std::string::npos || text[first] == '.')
        return text;
    for (char& c : text)
        c = c == '.' ? '/' : c == '/' ? '.' : c;
    return text;
}

// A parameter that belongs to no namespace of the container would change the host's. The kernel
// has no list of which are whose; this is runc's (libcontainer/configs/validate).
Result<void> check_sysctl(const Json& value, const std::string& name, const Oci& oci) {
    constexpr std::array kIpc = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                 "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                 "kernel.shmmni", "kernel.shm_rmid_forced"};
    auto needs = [&](NamespaceKind kind, const char* what) -> Result<void> {
        if (!oci.find(kind))
            return value.fail("it would change the host: linux.namespaces has no {}", what);
        return {};
    };
    if (name.find("..") != std::string::npos || name.find("//") != std::string::npos)
        return value.fail("not the name of a kernel parameter");
    if (std::ranges::find(kIpc, name) != kIpc.end() || name.starts_with("fs.mqueue."))
        return needs(NamespaceKind::ipc, "ipc");
    if (name.starts_with("net."))
        return needs(NamespaceKind::network, "network");
    if (name == "kernel.domainname")
        return needs(NamespaceKind::uts, "uts");
    if (name == "kernel.hostname")
        return value.fail("the property hostname is for that");
    return value.fail("the parameter belongs to no namespace: it would change the host");
}

Result<void> read_sysctl(const Json& linux_object, Oci& oci) {
    return linux_object.each_member("sysctl",
                                    [&](std::string_view name, const Json& value) -> Result<void> {
                                        std::string dotted = with_dots(name);
                                        const std::string_view text = TRY(value.text());
                                        TRY(check_sysctl(value, dotted, oci));
                                        oci.sysctl.emplace_back(std::move(dotted), text);
                                        return {};
                                    });
}

// ---- the rest ---------------------------------------------------------------------------------

constexpr std::array kPropagations = {
    Named<bool>{"private", true},    Named<bool>{"rprivate", true},    Named<bool>{"slave", true},
    Named<bool>{"rslave", true},     Named<bool>{"shared", true},      Named<bool>{"rshared", true},
    Named<bool>{"unbindable", true}, Named<bool>{"runbindable", true},
};

Result<void> read_propagation(const Json& linux_object, Oci& oci) {
    const auto value = linux_object.find("rootfsPropagation");
    if (!value || TRY(value->text()).empty())
        return {};
    TRY(find_named(*value, kPropagations, "a mount propagation"));
    oci.rootfs_propagation = TRY(value->text());
    return {};
}

Result<void> read_paths(const Json& linux_object, const char* key, std::vector<std::string>& into) {
    return linux_object.each_value(key, [&](const Json& value) -> Result<void> {
        const std::string_view path = TRY(value.text());
        if (!path.starts_with('/'))
            return value.fail("'{}' is not an absolute path", printable(path));
        into.emplace_back(path);
        return {};
    });
}

constexpr std::array kDomains = {
    Named<uint64_t>{"LINUX", PER_LINUX},
    Named<uint64_t>{"LINUX32", PER_LINUX32},
};

Result<void> read_personality(const Json& linux_object, Oci& oci) {
    const auto object = TRY(linux_object.object("personality"));
    if (!object)
        return {};
    const Json domain = TRY(object->need("domain"));
    oci.personality = TRY(find_named(domain, kDomains, "an execution domain: LINUX or LINUX32"));
    // The specification has the property, and no flag for it.
    return object->each_value("flags", [&](const Json& flag) -> Result<void> {
        oci.warnings.push_back(fmt::format("{}: '{}' is not a flag of personality: ignored",
                                           flag.path(), printable(TRY(flag.text()))));
        return {};
    });
}

constexpr int kWeightedInterleave = 6;  // MPOL_WEIGHTED_INTERLEAVE of Linux 6.9
constexpr std::array kPolicyModes = {
    Named<int>{"MPOL_DEFAULT", MPOL_DEFAULT},
    Named<int>{"MPOL_BIND", MPOL_BIND},
    Named<int>{"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
    Named<int>{"MPOL_WEIGHTED_INTERLEAVE", kWeightedInterleave},
    Named<int>{"MPOL_PREFERRED", MPOL_PREFERRED},
    Named<int>{"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
    Named<int>{"MPOL_LOCAL", MPOL_LOCAL},
};
constexpr std::array kPolicyFlags = {
    Named<unsigned>{"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
    Named<unsigned>{"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
    Named<unsigned>{"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
};

Result<void> read_memory_policy(const Json& linux_object, Oci& oci) {
    const auto object = TRY(linux_object.object("memoryPolicy"));
    if (!object)
        return {};
    constexpr unsigned kMostNodes = 1024;  // MAX_NUMNODES
    MemoryPolicy policy;
    const Json mode = TRY(object->need("mode"));
    policy.mode = TRY(find_named(mode, kPolicyModes, "a mode of memory policy"));
    if (const auto nodes = object->find("nodes")) {
        const std::string_view text = TRY(nodes->text());
        policy.nodes = TRY(parse_number_list(text, kMostNodes - 1), "{}", nodes->path());
    }
    auto add_flag = [&](const Json& flag) -> Result<void> {
        policy.flags |= TRY(find_named(flag, kPolicyFlags, "a flag of memory policy"));
        return {};
    };
    TRY(object->each_value("flags", add_flag));
    // set_mempolicy(2)
    const bool takes_none = policy.mode == MPOL_DEFAULT || policy.mode == MPOL_LOCAL;
    if (takes_none && !policy.nodes.empty())
        return object->fail("{} takes no nodes", TRY(mode.text()));
    if (!takes_none && policy.mode != MPOL_PREFERRED && policy.nodes.empty())
        return object->fail("{} needs nodes", TRY(mode.text()));
    oci.memory_policy = std::move(policy);
    return {};
}

Result<void> read_intel_rdt(const Json& linux_object, Oci& oci) {
    const auto object = TRY(linux_object.object("intelRdt"));
    if (!object)
        return {};
    IntelRdt rdt;
    TRY(object->read("closID", rdt.clos_id));
    const std::string& id = rdt.clos_id;  // a directory's name; "/" is the default class
    if (id != "/" && (id == "." || id == ".." || id.find('/') != std::string::npos))
        return object->find("closID")->fail("'{}' is not a name", printable(id));
    TRY(object->read("l3CacheSchema", rdt.l3_cache_schema));
    TRY(object->read("memBwSchema", rdt.memory_bandwidth_schema));
    const std::string& bandwidth = rdt.memory_bandwidth_schema;
    if (!bandwidth.empty() &&
        (!bandwidth.starts_with("MB:") || bandwidth.find('\n') != std::string::npos))
        return object->find("memBwSchema")->fail("not one line that starts with MB:");
    auto add_line = [&](const Json& line) -> Result<void> {
        const std::string_view text = TRY(line.text());
        if (text.find('\n') != std::string_view::npos)
            return line.fail("more than one line");
        rdt.schemata.emplace_back(text);
        return {};
    };
    TRY(object->each_value("schemata", add_line));
    TRY(object->read("enableMonitoring", rdt.enable_monitoring));
    oci.intel_rdt = std::move(rdt);
    return {};
}

// "1.0.2-dev", as podman 4.3 writes it.
ZeroPids zero_pids(std::string_view version) {
    const bool is_old = version.size() < 4 || version[3] == '.';
    return is_old && version.substr(0, 3) < "1.3" ? ZeroPids::no_limit : ZeroPids::limit;
}

Result<void> read_linux_object(const Json& linux_object, Spec& spec, Oci& oci) {
    TRY(linux_object.each("namespaces",
                          [&](const Json& space) { return read_namespace(space, oci); }));
    TRY(read_id_mappings(linux_object, "uidMappings", oci.uid_mappings));
    TRY(read_id_mappings(linux_object, "gidMappings", oci.gid_mappings));
    TRY(read_time_offsets(linux_object, oci));
    TRY(linux_object.each("devices",
                          [&](const Json& device) { return read_device(device, oci.devices); }));
    TRY(linux_object.read("cgroupsPath", oci.cgroups_path));
    if (const auto resources = TRY(linux_object.object("resources")))
        TRY(read_resources_object(*resources, spec.resources, oci.device_rules,
                                  zero_pids(oci.version)));
    TRY(read_propagation(linux_object, oci));
    if (const auto filter = TRY(linux_object.object("seccomp"))) {
        auto seccomp = std::make_shared<Seccomp>();
        TRY(read_seccomp(*filter, *seccomp));
        oci.seccomp = std::move(seccomp);
    }
    TRY(read_sysctl(linux_object, oci));
    TRY(read_paths(linux_object, "maskedPaths", oci.masked_paths));
    TRY(read_paths(linux_object, "readonlyPaths", oci.readonly_paths));
    TRY(linux_object.read("mountLabel", oci.mount_label));
    TRY(read_intel_rdt(linux_object, oci));
    TRY(read_personality(linux_object, oci));
    TRY(read_net_devices(linux_object, oci));
    return read_memory_policy(linux_object, oci);
}

bool is_idmapped(const Mount& mount) {
    return std::ranges::any_of(mount.options, [](const std::string& option) {
        return option == "idmap" || option == "ridmap";
    });
}

Result<void> check_user_namespace(const Json& config, const Json& linux_object, const Spec& spec,
                                  const Oci& oci) {
    const Namespace* user = oci.find(NamespaceKind::user);
    const bool has_mappings = !oci.uid_mappings.empty() && !oci.gid_mappings.empty();
    if (!user && !(oci.uid_mappings.empty() && oci.gid_mappings.empty()))
        return linux_object.fail("uidMappings and gidMappings need a user namespace");
    // Of one to join containerd and CRI-O write both the path and the mappings that it has.
    if (user && user->path.empty() && !has_mappings)
        return linux_object.fail("a new user namespace needs uidMappings and gidMappings");
    for (const Mount& mount : spec.mounts)
        if (!user && is_idmapped(mount) && mount.uid_mappings.empty())
            return config.fail("{}: idmap without mappings needs a user namespace", mount.origin);
    return {};
}

}  // namespace

Result<void> read_id_mappings(const Json& object, const char* key, std::vector<IdMapping>& into) {
    return object.each(key, [&](const Json& mapping) -> Result<void> {
        into.push_back({.container_id = TRY(mapping.need_whole<uint32_t>("containerID")),
                        .host_id = TRY(mapping.need_whole<uint32_t>("hostID")),
                        .size = TRY(mapping.need_whole<uint32_t>("size", 1))});
        return {};
    });
}

Result<void> read_linux(const Json& root, Spec& spec, Oci& oci) {
    const auto linux_object = TRY(root.object("linux"));
    return linux_object ? read_linux_object(*linux_object, spec, oci) : Result<void>();
}

// Without the namespace each of these would be done to the host.
Result<void> check_linux(const Json& root, const Spec& spec, const Oci& oci) {
    struct Need {
        bool is_set;
        const Json* object;
        const char* key;
        NamespaceKind kind;
        const char* name;
    };
    const auto found = TRY(root.object("linux"));
    const Json linux_object = found ? *found : root;
    const Need needs[] = {
        {!spec.hostname.empty(), &root, "hostname", NamespaceKind::uts, "uts"},
        {!oci.domainname.empty(), &root, "domainname", NamespaceKind::uts, "uts"},
        {!oci.masked_paths.empty(), &linux_object, "maskedPaths", NamespaceKind::mount, "mount"},
        {!oci.readonly_paths.empty(), &linux_object, "readonlyPaths", NamespaceKind::mount,
         "mount"},
        {oci.monotonic_offset || oci.boottime_offset, &linux_object, "timeOffsets",
         NamespaceKind::time, "time"},
        {!oci.net_devices.empty(), &linux_object, "netDevices", NamespaceKind::network, "network"},
    };
    for (const Need& need : needs)
        if (need.is_set && !oci.find(need.kind))
            return need.object->find(need.key)->fail("linux.namespaces has no {}", need.name);
    return check_user_namespace(root, linux_object, spec, oci);
}

}  // namespace sigil::spec_reader
