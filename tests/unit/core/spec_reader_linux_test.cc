// The linux object of config.json, all but its resources: what each property becomes, and what is
// said of a wrong one.
#include <linux/mempolicy.h>
#include <sys/personality.h>

#include <gtest/gtest.h>

#include "core/config_text.h"
#include "core/spec_reader.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::config_with;
using testing::message_of;
using Strings = std::vector<std::string>;
using Pair = std::pair<std::string, std::string>;

struct Right {
    const char* patch;  // of the linux object
    bool (*is_read)(const Oci& oci);
};
struct Wrong {
    const char* patch;
    const char* error;  // after "config.json: linux"
};

Result<Spec> read_linux(std::string_view patch) {
    return read_config(config_with(fmt::format(R"({{"linux":{}}})", patch)), "/bundle");
}

class LinuxReaderTakes : public ::testing::TestWithParam<Right> {};
class LinuxReaderRefuses : public ::testing::TestWithParam<Wrong> {};

TEST_P(LinuxReaderTakes, What) {
    const auto spec = read_linux(GetParam().patch);
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_TRUE(GetParam().is_read(*spec->oci)) << GetParam().patch;
    EXPECT_EQ(spec->oci->warnings, Strings{});
}

TEST_P(LinuxReaderRefuses, What) {
    EXPECT_EQ(message_of(read_linux(GetParam().patch)),
              std::string("config.json: linux") + GetParam().error)
        << GetParam().patch;
}

#define RIGHT(patch, condition)                               \
    Right {                                                   \
        patch, [](const Oci& o) -> bool { return condition; } \
    }

// ---- namespaces -------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(
    Namespaces, LinuxReaderTakes,
    ::testing::Values(
        RIGHT(R"({"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"network"},
                  {"type":"uts"},{"type":"ipc"},{"type":"cgroup"},{"type":"time"}]})",
              o.namespaces.size() == 7 && o.find(NamespaceKind::mount) &&
                  o.find(NamespaceKind::pid) && o.find(NamespaceKind::network) &&
                  o.find(NamespaceKind::uts) && o.find(NamespaceKind::ipc) &&
                  o.find(NamespaceKind::cgroup) && o.find(NamespaceKind::time) &&
                  !o.find(NamespaceKind::user)),
        RIGHT(R"({"namespaces":[{"type":"network","path":"/run/netns/a"},
                                {"type":"ipc","path":""}]})",
              o.find(NamespaceKind::network)->path == "/run/netns/a" &&
                  o.find(NamespaceKind::ipc)->path.empty()),
        RIGHT(R"({"namespaces":[{"type":"user"}],
                  "uidMappings":[{"containerID":0,"hostID":1000,"size":1},
                                 {"containerID":1,"hostID":100000,"size":65536}],
                  "gidMappings":[{"containerID":2,"hostID":3,"size":4}]})",
              o.uid_mappings.size() == 2 && o.uid_mappings[0].container_id == 0 &&
                  o.uid_mappings[0].host_id == 1000 && o.uid_mappings[1].size == 65536 &&
                  o.gid_mappings[0].container_id == 2 && o.gid_mappings[0].host_id == 3 &&
                  o.gid_mappings[0].size == 4),
        RIGHT(R"({"namespaces":[{"type":"user","path":"/proc/1/ns/user"}]})",
              o.find(NamespaceKind::user) && o.uid_mappings.empty()),
        RIGHT(R"({"namespaces":[{"type":"time"}],
                  "timeOffsets":{"monotonic":{"secs":-5,"nanosecs":999999999},
                                 "boottime":{"secs":172800}}})",
              o.monotonic_offset->seconds == -5 && o.monotonic_offset->nanoseconds == 999999999 &&
                  o.boottime_offset->seconds == 172800 && o.boottime_offset->nanoseconds == 0)));

INSTANTIATE_TEST_SUITE_P(
    Namespaces, LinuxReaderRefuses,
    ::testing::Values(
        Wrong{"[]", ": not an object"}, Wrong{R"({"namespaces":{}})", ".namespaces: not an array"},
        Wrong{R"({"namespaces":["pid"]})", ".namespaces[0]: not an object"},
        Wrong{R"({"namespaces":[{"path":"/a"}]})", ".namespaces[0].type: is missing"},
        Wrong{R"({"namespaces":[{"type":"pid"},{"type":"net"}]})",
              ".namespaces[1].type: 'net' is not a kind of namespace"},
        Wrong{R"({"namespaces":[{"type":"pid"},{"type":"pid","path":"/a"}]})",
              ".namespaces[1].type: 'pid' is given twice"},
        Wrong{R"({"namespaces":[{"type":"pid","path":"ns/pid"}]})",
              ".namespaces[0].path: 'ns/pid' is not an absolute path"},
        Wrong{R"({"namespaces":[{"type":"user"}]})",
              ": a new user namespace needs uidMappings and gidMappings"},
        Wrong{R"({"namespaces":[{"type":"user"}],
                  "uidMappings":[{"containerID":0,"hostID":0,"size":1}]})",
              ": a new user namespace needs uidMappings and gidMappings"},
        Wrong{R"({"uidMappings":[{"containerID":0,"hostID":0,"size":1}]})",
              ": uidMappings and gidMappings need a user namespace"},
        Wrong{R"({"uidMappings":[{"hostID":0,"size":1}]})",
              ".uidMappings[0].containerID: is missing"},
        Wrong{R"({"gidMappings":[{"containerID":0,"hostID":0,"size":0}]})",
              ".gidMappings[0].size: 0 is not from 1 to 4294967295"},
        Wrong{R"({"timeOffsets":{"realtime":{}}})",
              ".timeOffsets.realtime: a time namespace has no clock of that name"},
        Wrong{R"({"timeOffsets":{"boottime":5}})", ".timeOffsets.boottime: not an object"},
        Wrong{R"({"timeOffsets":{"boottime":{"secs":"1"}}})",
              ".timeOffsets.boottime.secs: not a number"},
        Wrong{R"({"timeOffsets":{"monotonic":{"nanosecs":1000000000}}})",
              ".timeOffsets.monotonic.nanosecs: 1000000000 is not from 0 to 999999999"},
        Wrong{R"({"timeOffsets":{"monotonic":{"secs":1}}})",
              ".timeOffsets: linux.namespaces has no time"}));

// ---- devices ----------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(
    Devices, LinuxReaderTakes,
    ::testing::Values(
        RIGHT(R"({"devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,
                              "fileMode":438,"uid":1,"gid":2},
                             {"path":"/dev/sda","type":"b","major":8,"minor":0},
                             {"path":"/dev/fifo","type":"p"},
                             {"path":"/dev/u","type":"u","major":1,"minor":2}]})",
              o.devices.size() == 4 && o.devices[0].path == "/dev/fuse" &&
                  o.devices[0].type == 'c' && o.devices[0].major == 10 &&
                  o.devices[0].minor == 229 && o.devices[0].mode == 0666 && o.devices[0].uid == 1 &&
                  o.devices[0].gid == 2 && o.devices[1].type == 'b' && o.devices[1].mode == 0666 &&
                  o.devices[2].type == 'p' && o.devices[3].type == 'c' && o.devices[3].minor == 2),
        RIGHT(R"({"devices":[{"path":"/dev/a","type":"c","major":1,"minor":3,
                              "fileMode":8592}]})",  // 020620, as stat(2) has it
              o.devices[0].mode == 0620),
        RIGHT(R"({"netDevices":{"eth1":{"name":"eth0"},"vlan%d":{},"veth1":{"name":""}}})",
              o.net_devices.size() == 3 && o.net_devices[0].host_name == "eth1" &&
                  o.net_devices[0].container_name == "eth0" &&
                  o.net_devices[1].container_name == "vlan%d" &&
                  o.net_devices[2].container_name == "veth1")));

INSTANTIATE_TEST_SUITE_P(
    Devices, LinuxReaderRefuses,
    ::testing::Values(
        Wrong{R"({"devices":{}})", ".devices: not an array"},
        Wrong{R"({"devices":[{"path":"/a"}]})", ".devices[0].type: is missing"},
        Wrong{R"({"devices":[{"path":"/a","type":"x"}]})",
              ".devices[0].type: 'x' is not a type of device: c, b, u or p"},
        Wrong{R"({"devices":[{"type":"p"}]})", ".devices[0].path: is missing"},
        Wrong{R"({"devices":[{"type":"p","path":"dev/a"}]})",
              ".devices[0].path: 'dev/a' is not an absolute path"},
        Wrong{R"({"devices":[{"type":"c","path":"/a","minor":1}]})",
              ".devices[0].major: is missing"},
        Wrong{R"({"devices":[{"type":"b","path":"/a","major":1}]})",
              ".devices[0].minor: is missing"},
        Wrong{R"({"devices":[{"type":"b","path":"/a","major":-1,"minor":0}]})",
              ".devices[0].major: -1 is not from 0 to 4294967295"},
        Wrong{R"({"devices":[{"type":"p","path":"/a","fileMode":"0666"}]})",
              ".devices[0].fileMode: not a number"},
        Wrong{R"({"devices":[{"type":"p","path":"/a","uid":-1}]})",
              ".devices[0].uid: -1 is not from 0 to 4294967295"},
        Wrong{R"({"devices":[{"type":"p","path":"/a","gid":true}]})",
              ".devices[0].gid: not a number"},
        Wrong{R"({"netDevices":[]})", ".netDevices: not an object"},
        Wrong{R"({"netDevices":{"eth0":"eth1"}})", ".netDevices.eth0: not an object"},
        Wrong{R"({"netDevices":{"eth0":{"name":"a/b"}}})",
              ".netDevices.eth0: 'a/b' is not the name of a network device"},
        Wrong{R"({"netDevices":{"sixteen_letters_":{}}})",
              ".netDevices.sixteen_letters_: 'sixteen_letters_' is not the name of a network "
              "device"},
        Wrong{R"({"netDevices":{"eth0":{}},"namespaces":[{"type":"mount"}]})",
              ".netDevices: linux.namespaces has no network"}));

// ---- seccomp ----------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(
    Seccomp, LinuxReaderTakes,
    ::testing::Values(
        RIGHT("{}", !o.seccomp), RIGHT(R"({"seccomp":null})", !o.seccomp),
        RIGHT(R"({"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
                  "architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
                  "listenerPath":"/run/s","listenerMetadata":"m"}})",
              o.seccomp->default_action == "SCMP_ACT_ERRNO" && o.seccomp->default_error == 38U &&
                  o.seccomp->architectures == Strings{"SCMP_ARCH_X86_64"} &&
                  o.seccomp->flags == Strings{"SECCOMP_FILTER_FLAG_LOG"} &&
                  o.seccomp->listener_path == "/run/s" && o.seccomp->listener_metadata == "m" &&
                  o.seccomp->rules.empty()),
        RIGHT(R"({"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
                   {"names":["read","write"],"action":"SCMP_ACT_ERRNO","errnoRet":1,
                    "args":[{"index":5,"value":18446744073709551615,"valueTwo":2,
                             "op":"SCMP_CMP_MASKED_EQ"}]},
                   {"names":["clone"],"action":"SCMP_ACT_KILL"}]}})",
              o.seccomp->rules.size() == 2 &&
                  o.seccomp->rules[0].names == (Strings{"read", "write"}) &&
                  o.seccomp->rules[0].action == "SCMP_ACT_ERRNO" &&
                  o.seccomp->rules[0].error == 1U && o.seccomp->rules[0].arguments[0].index == 5 &&
                  o.seccomp->rules[0].arguments[0].value == UINT64_MAX &&
                  o.seccomp->rules[0].arguments[0].value_two == 2 &&
                  o.seccomp->rules[0].arguments[0].op == "SCMP_CMP_MASKED_EQ" &&
                  !o.seccomp->rules[1].error && o.seccomp->rules[1].arguments.empty() &&
                  !o.seccomp->default_error)));

INSTANTIATE_TEST_SUITE_P(
    Seccomp, LinuxReaderRefuses,
    ::testing::Values(
        Wrong{R"({"seccomp":[]})", ".seccomp: not an object"},
        Wrong{R"({"seccomp":{}})", ".seccomp.defaultAction: is missing"},
        Wrong{R"({"seccomp":{"defaultAction":""}})", ".seccomp.defaultAction: is empty"},
        Wrong{R"({"seccomp":{"defaultAction":"A","defaultErrnoRet":-1}})",
              ".seccomp.defaultErrnoRet: -1 is not from 0 to 4294967295"},
        Wrong{R"({"seccomp":{"defaultAction":"A","architectures":"X"}})",
              ".seccomp.architectures: not an array"},
        Wrong{R"({"seccomp":{"defaultAction":"A","flags":[0]}})",
              ".seccomp.flags[0]: not a string"},
        Wrong{R"({"seccomp":{"defaultAction":"A","listenerMetadata":"m"}})",
              ".seccomp.listenerMetadata: needs a listenerPath"},
        Wrong{R"({"seccomp":{"defaultAction":"A","listenerPath":1}})",
              ".seccomp.listenerPath: not a string"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":{}}})",
              ".seccomp.syscalls: not an array"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"action":"A"}]}})",
              ".seccomp.syscalls[0].names: is missing"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":[],"action":"A"}]}})",
              ".seccomp.syscalls[0].names: is empty"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":["a"]}]}})",
              ".seccomp.syscalls[0].action: is missing"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":["a"],"action":"A",
                  "errnoRet":"1"}]}})",
              ".seccomp.syscalls[0].errnoRet: not a number"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":["a"],"action":"A",
                  "args":[{"index":6,"value":0,"op":"E"}]}]}})",
              ".seccomp.syscalls[0].args[0].index: 6 is not from 0 to 5"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":["a"],"action":"A",
                  "args":[{"index":0,"op":"E"}]}]}})",
              ".seccomp.syscalls[0].args[0].value: is missing"},
        Wrong{R"({"seccomp":{"defaultAction":"A","syscalls":[{"names":["a"],"action":"A",
                  "args":[{"index":0,"value":0}]}]}})",
              ".seccomp.syscalls[0].args[0].op: is missing"}));

// ---- sysctl -----------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(
    Sysctl, LinuxReaderTakes,
    ::testing::Values(RIGHT(R"({"sysctl":{"net.ipv4.ip_forward":"1","kernel.shm_rmid_forced":"0",
                            "fs.mqueue.msg_max":"5","kernel.domainname":"d"}})",
                            o.sysctl.size() == 4 &&
                                o.sysctl[0] == Pair("net.ipv4.ip_forward", "1") &&
                                o.sysctl[3] == Pair("kernel.domainname", "d")),
                      RIGHT(R"({"sysctl":{"net/ipv4/conf/eth0.1/rp_filter":"1"}})",
                            o.sysctl[0] == Pair("net.ipv4.conf.eth0/1.rp_filter", "1"))));

INSTANTIATE_TEST_SUITE_P(
    Sysctl, LinuxReaderRefuses,
    ::testing::Values(
        Wrong{R"({"sysctl":[]})", ".sysctl: not an object"},
        Wrong{R"({"sysctl":{"net.a":1}})", ".sysctl[\"net.a\"]: not a string"},
        Wrong{R"({"sysctl":{"kernel.hostname":"x"}})",
              ".sysctl[\"kernel.hostname\"]: the property hostname is for that"},
        Wrong{R"({"sysctl":{"vm.swappiness":"1"}})",
              ".sysctl[\"vm.swappiness\"]: the parameter belongs to no namespace: it would change "
              "the host"},
        Wrong{R"({"sysctl":{"":"1"}})",
              ".sysctl[\"\"]: the parameter belongs to no namespace: it would change the host"},
        Wrong{R"({"sysctl":{"net/../kernel/panic":"1"}})",
              ".sysctl[\"net/../kernel/panic\"]: not the name of a kernel parameter"},
        Wrong{R"({"sysctl":{"net.a//b":"1"}})",
              ".sysctl[\"net.a//b\"]: not the name of a kernel parameter"},
        Wrong{R"({"sysctl":{"net.a":"1"},"namespaces":[{"type":"ipc"}]})",
              ".sysctl[\"net.a\"]: it would change the host: linux.namespaces has no network"},
        Wrong{R"({"sysctl":{"kernel.sem":"1"},"namespaces":[]})",
              ".sysctl[\"kernel.sem\"]: it would change the host: linux.namespaces has no ipc"},
        Wrong{R"({"sysctl":{"kernel.domainname":"1"},"namespaces":[]})",
              ".sysctl[\"kernel.domainname\"]: it would change the host: linux.namespaces has no "
              "uts"}));

// ---- the rest ---------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(
    Rest, LinuxReaderTakes,
    ::testing::Values(
        RIGHT(R"({"cgroupsPath":"system.slice:docker:1234"})",
              o.cgroups_path == "system.slice:docker:1234"),
        RIGHT(R"({"rootfsPropagation":"rslave"})", o.rootfs_propagation == "rslave"),
        RIGHT(R"({"rootfsPropagation":""})", o.rootfs_propagation.empty()),
        RIGHT(R"({"maskedPaths":["/proc/kcore","/sys/firmware"],"readonlyPaths":["/proc/sys"]})",
              o.masked_paths == (Strings{"/proc/kcore", "/sys/firmware"}) &&
                  o.readonly_paths == Strings{"/proc/sys"}),
        RIGHT(R"({"mountLabel":"l"})", o.mount_label == "l"),
        RIGHT(R"({"personality":{"domain":"LINUX32","flags":[]}})",
              o.personality == uint64_t{PER_LINUX32}),
        RIGHT(R"({"personality":{"domain":"LINUX"}})", o.personality == uint64_t{PER_LINUX}),
        RIGHT(
            R"({"intelRdt":{"closID":"guaranteed","l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=20",
                  "schemata":["L2:0=f","MB:0=20"],"enableMonitoring":true,"enableCMT":5}})",
            o.intel_rdt->clos_id == "guaranteed" && o.intel_rdt->l3_cache_schema == "L3:0=f" &&
                o.intel_rdt->memory_bandwidth_schema == "MB:0=20" &&
                o.intel_rdt->schemata == (Strings{"L2:0=f", "MB:0=20"}) &&
                o.intel_rdt->enable_monitoring),
        RIGHT(R"({"intelRdt":{"closID":"/"}})", o.intel_rdt->clos_id == "/"),
        RIGHT(R"({"intelRdt":{}})", o.intel_rdt&& o.intel_rdt->clos_id.empty()),
        RIGHT(R"({"memoryPolicy":{"mode":"MPOL_INTERLEAVE","nodes":"2-3",
                                  "flags":["MPOL_F_STATIC_NODES"]}})",
              o.memory_policy->mode == MPOL_INTERLEAVE &&
                  o.memory_policy->nodes == (std::vector<unsigned>{2, 3}) &&
                  o.memory_policy->flags == MPOL_F_STATIC_NODES),
        RIGHT(R"({"memoryPolicy":{"mode":"MPOL_LOCAL"}})",
              o.memory_policy->mode == MPOL_LOCAL && o.memory_policy->nodes.empty()),
        RIGHT(R"({"memoryPolicy":{"mode":"MPOL_PREFERRED"}})",
              o.memory_policy->mode == MPOL_PREFERRED),
        RIGHT("{}", !o.personality && !o.intel_rdt && !o.memory_policy && !o.monotonic_offset)));

INSTANTIATE_TEST_SUITE_P(
    Rest, LinuxReaderRefuses,
    ::testing::Values(
        Wrong{R"({"cgroupsPath":1})", ".cgroupsPath: not a string"},
        Wrong{R"({"rootfsPropagation":"both"})",
              ".rootfsPropagation: 'both' is not a mount propagation"},
        Wrong{R"({"maskedPaths":["/a","b"]})", ".maskedPaths[1]: 'b' is not an absolute path"},
        Wrong{R"({"maskedPaths":["/a"],"namespaces":[]})",
              ".maskedPaths: linux.namespaces has no mount"},
        Wrong{R"({"readonlyPaths":"/a"})", ".readonlyPaths: not an array"},
        Wrong{R"({"readonlyPaths":["/a"],"namespaces":[]})",
              ".readonlyPaths: linux.namespaces has no mount"},
        Wrong{R"({"mountLabel":[]})", ".mountLabel: not a string"},
        Wrong{R"({"personality":{}})", ".personality.domain: is missing"},
        Wrong{R"({"personality":{"domain":"BSD"}})",
              ".personality.domain: 'BSD' is not an execution domain: LINUX or LINUX32"},
        Wrong{R"({"intelRdt":{"closID":"a/b"}})", ".intelRdt.closID: 'a/b' is not a name"},
        Wrong{R"({"intelRdt":{"closID":".."}})", ".intelRdt.closID: '..' is not a name"},
        Wrong{R"({"intelRdt":{"memBwSchema":"L3:0=1"}})",
              ".intelRdt.memBwSchema: not one line that starts with MB:"},
        Wrong{R"({"intelRdt":{"memBwSchema":"MB:0=1\nMB:1=1"}})",
              ".intelRdt.memBwSchema: not one line that starts with MB:"},
        Wrong{R"({"intelRdt":{"schemata":["L2:0=1\nL3:0=1"]}})",
              ".intelRdt.schemata[0]: more than one line"},
        Wrong{R"({"intelRdt":{"enableMonitoring":1}})",
              ".intelRdt.enableMonitoring: neither true nor false"},
        Wrong{R"({"memoryPolicy":{"nodes":"0"}})", ".memoryPolicy.mode: is missing"},
        Wrong{R"({"memoryPolicy":{"mode":"MPOL_BOUND"}})",
              ".memoryPolicy.mode: 'MPOL_BOUND' is not a mode of memory policy"},
        Wrong{R"({"memoryPolicy":{"mode":"MPOL_BIND","nodes":"1024"}})",
              ".memoryPolicy.nodes: 1024 is more than 1023"},
        Wrong{R"({"memoryPolicy":{"mode":"MPOL_BIND"}})", ".memoryPolicy: MPOL_BIND needs nodes"},
        Wrong{R"({"memoryPolicy":{"mode":"MPOL_LOCAL","nodes":"0"}})",
              ".memoryPolicy: MPOL_LOCAL takes no nodes"},
        Wrong{R"({"memoryPolicy":{"mode":"MPOL_BIND","nodes":"0","flags":["X"]}})",
              ".memoryPolicy.flags[0]: 'X' is not a flag of memory policy"}));

TEST(LinuxReader, WarnsOfFlagsOfPersonality) {
    const auto spec = read_linux(R"({"personality":{"domain":"LINUX","flags":["X"]}})");
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(spec->oci->warnings,
              Strings{"linux.personality.flags[0]: 'X' is not a flag of personality: ignored"});
}

}  // namespace
}  // namespace sigil
