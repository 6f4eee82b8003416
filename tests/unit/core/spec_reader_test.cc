// config.json to Spec: for each property what it becomes, and what is said of a wrong one.
#include "core/spec_reader.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "core/config_text.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::config_with;
using testing::message_of;
using Strings = std::vector<std::string>;
using namespace std::chrono_literals;

Result<Spec> read_with(std::string_view patch) {
    return read_config(config_with(patch), "/bundle");
}

// ---- what is right ----------------------------------------------------------------------------

struct Right {
    const char* patch;
    bool (*is_read)(const Spec& spec, const Oci& oci);
};

class SpecReaderTakes : public ::testing::TestWithParam<Right> {};

TEST_P(SpecReaderTakes, What) {
    const auto spec = read_with(GetParam().patch);
    ASSERT_TRUE(spec) << message_of(spec);
    ASSERT_TRUE(spec->oci);
    EXPECT_TRUE(GetParam().is_read(*spec, *spec->oci)) << GetParam().patch;
    EXPECT_EQ(spec->oci->warnings, Strings{});
}

#define RIGHT(patch, condition)                          \
    Right {                                              \
        patch, [](const Spec& s, const Oci& o) -> bool { \
            (void)s, (void)o;                            \
            return condition;                            \
        }                                                \
    }

constexpr uint64_t bit(int number) {
    return uint64_t{1} << number;
}

INSTANTIATE_TEST_SUITE_P(
    Top, SpecReaderTakes,
    ::testing::Values(
        RIGHT("{}", o.version == "1.3.0" && !s.init && s.hostname.empty() && s.mounts.empty()),
        RIGHT(R"({"ociVersion":"1.0.2-dev"})", o.version == "1.0.2-dev"),
        RIGHT(R"({"ociVersion":"1.99.0"})", o.version == "1.99.0"),
        RIGHT("{}", s.rootfs == "/bundle/rootfs" && !s.read_only_root),
        RIGHT(R"({"root":{"path":"/abs","readonly":true}})",
              s.rootfs == "/abs" && s.read_only_root),
        RIGHT(R"({"root":{"path":"../up"}})", s.rootfs == "/bundle/../up"),
        RIGHT(R"({"hostname":"web","domainname":"example.org"})",
              s.hostname == "web" && o.domainname == "example.org"),
        RIGHT(R"({"annotations":{"a.b/c":"1","d":""}})",
              o.annotations.size() == 2 && o.annotations[0].first == "a.b/c" &&
                  o.annotations[0].second == "1" && o.annotations[1].second.empty()),
        RIGHT(R"({"solaris":7,"windows":[],"vm":{},"zos":"","unknown":{"a":[1,{}]}})",
              s.args == Strings{"true"}),
        RIGHT(R"({"process":{"commandLine":5,"user":{"username":5}}})", o.process.uid == 0),
        RIGHT(R"({"linux":null})", o.namespaces.empty() && o.device_rules.empty())));

INSTANTIATE_TEST_SUITE_P(
    Mounts, SpecReaderTakes,
    ::testing::Values(
        RIGHT(R"({"mounts":[{"destination":"/proc","type":"proc","source":"proc"}]})",
              s.mounts.size() == 1 && s.mounts[0].target == "/proc" && s.mounts[0].type == "proc" &&
                  s.mounts[0].source == "proc" && s.mounts[0].origin == "mounts[0]" &&
                  s.mounts[0].options.empty()),
        RIGHT(R"({"mounts":[{"destination":"/a","type":"tmpfs"},
                            {"destination":"/b","type":"none","source":"data",
                             "options":["rbind","ro"]}]})",
              s.mounts[0].source.empty() && s.mounts[1].type == "bind" &&
                  s.mounts[1].source == "/bundle/data" && s.mounts[1].origin == "mounts[1]" &&
                  s.mounts[1].options == (Strings{"rbind", "ro"})),
        RIGHT(R"({"mounts":[{"destination":"/b","source":"/data","options":["bind"]}]})",
              s.mounts[0].type == "bind" && s.mounts[0].source == "/data"),
        RIGHT(R"({"mounts":[{"destination":"/b","type":"bind","source":"/data"}]})",
              s.mounts[0].type == "bind"),
        RIGHT(R"({"mounts":[{"destination":"/b","source":"/d","options":["bind","idmap"],
                  "uidMappings":[{"containerID":0,"hostID":1000,"size":1}],
                  "gidMappings":[{"containerID":1,"hostID":2000,"size":3}]}]})",
              s.mounts[0].uid_mappings.size() == 1 && s.mounts[0].uid_mappings[0].host_id == 1000 &&
                  s.mounts[0].gid_mappings[0].container_id == 1 &&
                  s.mounts[0].gid_mappings[0].host_id == 2000 &&
                  s.mounts[0].gid_mappings[0].size == 3)));

INSTANTIATE_TEST_SUITE_P(
    Process, SpecReaderTakes,
    ::testing::Values(
        RIGHT(R"({"process":{"cwd":"/srv","args":["a","","c"]}})",
              s.cwd == "/srv" && s.args == (Strings{"a", "", "c"})),
        RIGHT(R"({"process":{"env":["A=1","B=","A=2","C=x=y"]}})",
              s.env == (Strings{"B=", "A=2", "C=x=y"})),
        RIGHT(R"({"process":{"user":{"uid":1,"gid":4294967295,"umask":63,
                                     "additionalGids":[5,6]}}})",
              o.process.uid == 1 && o.process.gid == UINT32_MAX && o.process.umask == 077U &&
                  o.process.additional_gids == (std::vector<uint32_t>{5, 6})),
        RIGHT("{}", !o.process.umask && o.process.capabilities.bounding == 0 &&
                        !s.no_new_privileges && !o.process.oom_score_adj && !o.process.terminal),
        RIGHT(R"({"process":{"capabilities":{"bounding":["CAP_KILL","CAP_CHOWN"],
                 "effective":["CAP_KILL"],"inheritable":["CAP_MKNOD"],"permitted":["CAP_KILL"],
                 "ambient":["cap_bpf"]}}})",
              o.process.capabilities.bounding == (bit(CAP_KILL) | bit(CAP_CHOWN)) &&
                  o.process.capabilities.effective == bit(CAP_KILL) &&
                  o.process.capabilities.inheritable == bit(CAP_MKNOD) &&
                  o.process.capabilities.permitted == bit(CAP_KILL) &&
                  o.process.capabilities.ambient == bit(CAP_BPF)),
        RIGHT(R"({"process":{"rlimits":[{"type":"RLIMIT_NOFILE","soft":1,"hard":2},
                     {"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]}})",
              s.rlimits.size() == 2 && s.rlimits[0].resource == RLIMIT_NOFILE &&
                  s.rlimits[0].soft == 1 && s.rlimits[0].hard == 2 &&
                  s.rlimits[1].resource == RLIMIT_CORE && s.rlimits[1].hard == RLIM_INFINITY &&
                  s.rlimits[1].origin == "process.rlimits[1]"),
        RIGHT(R"({"process":{"noNewPrivileges":true}})", s.no_new_privileges),
        RIGHT(R"({"process":{"oomScoreAdj":-1000}})", o.process.oom_score_adj == -1000),
        RIGHT(R"({"process":{"apparmorProfile":"p","selinuxLabel":"l"}})",
              o.process.apparmor_profile == "p" && o.process.selinux_label == "l"),
        RIGHT(R"({"process":{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":7}}})",
              o.process.io_priority == uint32_t{IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7)}),
        RIGHT(R"({"process":{"ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":0}}})",
              o.process.io_priority == 3U << 13),
        RIGHT(R"({"process":{"scheduler":{"policy":"SCHED_BATCH","nice":-20,
                 "flags":["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_UTIL_CLAMP_MAX"]}}})",
              o.process.scheduler->policy == 3 && o.process.scheduler->nice == -20 &&
                  o.process.scheduler->flags == 0x41),
        RIGHT(R"({"process":{"scheduler":{"policy":"SCHED_RR","priority":99}}})",
              o.process.scheduler->policy == 2 && o.process.scheduler->priority == 99),
        RIGHT(R"({"process":{"scheduler":{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,
                                          "period":3}}})",
              o.process.scheduler->policy == 6 && o.process.scheduler->runtime == 1 &&
                  o.process.scheduler->deadline == 2 && o.process.scheduler->period == 3),
        RIGHT(R"({"process":{"execCPUAffinity":{"initial":"0-3,7","final":"1"}}})",
              o.process.cpu_affinity_initial == "0-3,7" && o.process.cpu_affinity_final == "1"),
        RIGHT(R"({"process":{"terminal":true,"consoleSize":{"height":25,"width":80}}})",
              o.process.terminal&& o.process.console_size->height == 25 &&
                  o.process.console_size->width == 80),
        RIGHT(R"({"process":{"terminal":false,"consoleSize":{"height":25}}})",
              !o.process.terminal && !o.process.console_size)));

INSTANTIATE_TEST_SUITE_P(
    Hooks, SpecReaderTakes,
    ::testing::Values(
        RIGHT(R"({"hooks":{"prestart":[{"path":"/a"}],"createRuntime":[{"path":"/b"}],
                           "createContainer":[{"path":"/c"}],"startContainer":[{"path":"/d"}],
                           "poststart":[{"path":"/e"}],"poststop":[{"path":"/f"},{"path":"/g"}]}})",
              o.hooks.prestart[0].path == "/a" && o.hooks.create_runtime[0].path == "/b" &&
                  o.hooks.create_container[0].path == "/c" &&
                  o.hooks.start_container[0].path == "/d" && o.hooks.poststart[0].path == "/e" &&
                  o.hooks.poststop.size() == 2 &&
                  o.hooks.poststop[1].origin == "hooks.poststop[1]"),
        RIGHT(R"({"hooks":{"poststop":[{"path":"/a","args":["x","y"],"env":["K=v"],
                                        "timeout":30}]}})",
              o.hooks.poststop[0].args == (Strings{"x", "y"}) &&
                  o.hooks.poststop[0].env == Strings{"K=v"} && o.hooks.poststop[0].timeout == 30s),
        RIGHT(R"({"hooks":{"poststop":[{"path":"/a"}]}})", !o.hooks.poststop[0].timeout),
        RIGHT(R"({"hooks":null})", o.hooks.prestart.empty())));

// ---- what is wrong ----------------------------------------------------------------------------

struct Wrong {
    const char* patch;
    const char* error;  // after "config.json: "
};

class SpecReaderRefuses : public ::testing::TestWithParam<Wrong> {};

TEST_P(SpecReaderRefuses, What) {
    EXPECT_EQ(message_of(read_with(GetParam().patch)),
              std::string("config.json: ") + GetParam().error)
        << GetParam().patch;
}

INSTANTIATE_TEST_SUITE_P(
    Top, SpecReaderRefuses,
    ::testing::Values(
        Wrong{R"({"ociVersion":null})", "ociVersion: is missing"},
        Wrong{R"({"ociVersion":1})", "ociVersion: not a string"},
        Wrong{R"({"ociVersion":"2.0.0"})",
              "ociVersion: '2.0.0' is not a version 1 of the runtime specification"},
        Wrong{R"({"ociVersion":"1."})",
              "ociVersion: '1.' is not a version 1 of the runtime specification"},
        Wrong{R"({"ociVersion":"10.0.0"})",
              "ociVersion: '10.0.0' is not a version 1 of the runtime specification"},
        Wrong{R"({"root":null})", "root: is missing"},
        Wrong{R"({"root":"rootfs"})", "root: not an object"},
        Wrong{R"({"root":{"path":null}})", "root.path: is missing"},
        Wrong{R"({"root":{"path":""}})", "root.path: is empty"},
        Wrong{R"({"root":{"path":"a\u0000b"}})", "root.path: a NUL byte in a string"},
        Wrong{R"({"root":{"readonly":"yes"}})", "root.readonly: neither true nor false"},
        Wrong{R"({"process":null})", "process: is missing"},
        Wrong{R"({"process":[]})", "process: not an object"},
        Wrong{R"({"hostname":7})", "hostname: not a string"},
        Wrong{R"({"hostname":"h","linux":{"namespaces":[]}})",
              "hostname: linux.namespaces has no uts"},
        Wrong{R"({"domainname":{}})", "domainname: not a string"},
        Wrong{R"({"domainname":"d","linux":null})", "domainname: linux.namespaces has no uts"},
        Wrong{R"({"annotations":[]})", "annotations: not an object"},
        Wrong{R"({"annotations":{"a.b":1}})", "annotations[\"a.b\"]: not a string"},
        Wrong{R"({"annotations":{"":"x"}})", "annotations[\"\"]: a key is empty"}));

INSTANTIATE_TEST_SUITE_P(
    Mounts, SpecReaderRefuses,
    ::testing::Values(
        Wrong{R"({"mounts":{}})", "mounts: not an array"},
        Wrong{R"({"mounts":["/a"]})", "mounts[0]: not an object"},
        Wrong{R"({"mounts":[{"type":"proc"}]})", "mounts[0].destination: is missing"},
        Wrong{R"({"mounts":[{"destination":""}]})", "mounts[0].destination: is empty"},
        Wrong{R"({"mounts":[{"destination":"/a"}]})",
              "mounts[0]: neither a type nor an option 'bind' or 'rbind'"},
        Wrong{R"({"mounts":[{"destination":"/a","type":1}]})", "mounts[0].type: not a string"},
        Wrong{R"({"mounts":[{"destination":"/a","type":"t","source":1}]})",
              "mounts[0].source: not a string"},
        Wrong{R"({"mounts":[{"destination":"/a","options":["bind"]}]})",
              "mounts[0]: a bind without a source"},
        Wrong{R"({"mounts":[{"destination":"/a","type":"t","options":"ro"}]})",
              "mounts[0].options: not an array"},
        Wrong{R"({"mounts":[{"destination":"/a","type":"t"},
                            {"destination":"/a","type":"t","options":["ro",1]}]})",
              "mounts[1].options[1]: not a string"},
        Wrong{R"({"mounts":[{"destination":"/a","type":"t",
                             "uidMappings":[{"containerID":0,"hostID":0,"size":1}]}]})",
              "mounts[0]: uidMappings and gidMappings must be given together"},
        Wrong{R"({"mounts":[{"destination":"/a","type":"t","gidMappings":[{"containerID":0}]}]})",
              "mounts[0].gidMappings[0].hostID: is missing"},
        Wrong{R"({"mounts":[{"destination":"/a","source":"/b","options":["bind","idmap"]}]})",
              "mounts[0]: idmap without mappings needs a user namespace"}));

INSTANTIATE_TEST_SUITE_P(
    Process, SpecReaderRefuses,
    ::testing::Values(
        Wrong{R"({"process":{"cwd":null}})", "process.cwd: is missing"},
        Wrong{R"({"process":{"cwd":"srv"}})", "process.cwd: 'srv' is not an absolute path"},
        Wrong{R"({"process":{"args":null}})", "process.args: is missing"},
        Wrong{R"({"process":{"args":[]}})", "process.args: is empty: the first is the program"},
        Wrong{R"({"process":{"args":[""]}})", "process.args: the first, the program, is empty"},
        Wrong{R"({"process":{"args":["a",2]}})", "process.args[1]: not a string"},
        Wrong{R"({"process":{"args":["a\u0000"]}})", "process.args[0]: a NUL byte in a string"},
        Wrong{R"({"process":{"env":"A=1"}})", "process.env: not an array"},
        Wrong{R"({"process":{"env":["A=1","B"]}})", "process.env[1]: 'B' is not NAME=value"},
        Wrong{R"({"process":{"env":["=1"]}})", "process.env[0]: '=1' is not NAME=value"},
        Wrong{R"({"process":{"user":"root"}})", "process.user: not an object"},
        Wrong{R"({"process":{"user":{"uid":-1}}})",
              "process.user.uid: -1 is not from 0 to 4294967295"},
        Wrong{R"({"process":{"user":{"gid":"0"}}})", "process.user.gid: not a number"},
        Wrong{R"({"process":{"user":{"umask":512}}})",
              "process.user.umask: 512 is not from 0 to 511"},
        Wrong{R"({"process":{"user":{"additionalGids":[1,4294967296]}}})",
              "process.user.additionalGids[1]: 4294967296 is not from 0 to 4294967295"},
        Wrong{R"({"process":{"capabilities":[]}})", "process.capabilities: not an object"},
        Wrong{R"({"process":{"capabilities":{"ambient":"CAP_KILL"}}})",
              "process.capabilities.ambient: not an array"},
        Wrong{R"({"process":{"capabilities":{"effective":[1]}}})",
              "process.capabilities.effective[0]: not a string"},
        Wrong{R"({"process":{"noNewPrivileges":1}})",
              "process.noNewPrivileges: neither true nor false"},
        Wrong{R"({"process":{"oomScoreAdj":1001}})",
              "process.oomScoreAdj: 1001 is not from -1000 to 1000"},
        Wrong{R"({"process":{"apparmorProfile":1}})", "process.apparmorProfile: not a string"},
        Wrong{R"({"process":{"selinuxLabel":1}})", "process.selinuxLabel: not a string"},
        Wrong{R"({"process":{"terminal":0}})", "process.terminal: neither true nor false"},
        Wrong{R"({"process":{"terminal":true,"consoleSize":{"height":1}}})",
              "process.consoleSize.width: is missing"},
        Wrong{R"({"process":{"terminal":true,"consoleSize":{"height":65536,"width":1}}})",
              "process.consoleSize.height: 65536 is not from 0 to 65535"},
        Wrong{R"({"process":{"execCPUAffinity":{"initial":"3-1"}}})",
              "process.execCPUAffinity.initial: '3-1' ends before it begins"},
        Wrong{R"({"process":{"execCPUAffinity":{"final":"all"}}})",
              "process.execCPUAffinity.final: 'all' is not a number"}));

INSTANTIATE_TEST_SUITE_P(
    Limits, SpecReaderRefuses,
    ::testing::Values(
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1},
                                        {"type":"RLIMIT_FOO","soft":1,"hard":1}]}})",
              "process.rlimits[1].type: 'RLIMIT_FOO' is not a resource limit"},
        Wrong{R"({"process":{"rlimits":[{"type":"nofile","soft":1,"hard":1}]}})",
              "process.rlimits[0].type: 'nofile' is not a resource limit"},
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_nofile","soft":1,"hard":1}]}})",
              "process.rlimits[0].type: 'RLIMIT_nofile' is not a resource limit"},
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1},
                                        {"type":"RLIMIT_CORE","soft":1,"hard":1}]}})",
              "process.rlimits[1].type: RLIMIT_CORE is given twice"},
        Wrong{R"({"process":{"rlimits":[{"soft":1,"hard":1}]}})",
              "process.rlimits[0].type: is missing"},
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":1}]}})",
              "process.rlimits[0].hard: is missing"},
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":-1,"hard":1}]}})",
              "process.rlimits[0].soft: -1 is not from 0 to 18446744073709551615"},
        Wrong{R"({"process":{"rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]}})",
              "process.rlimits[0]: the soft limit is above the hard one"},
        Wrong{R"({"process":{"ioPriority":{"priority":1}}})",
              "process.ioPriority.class: is missing"},
        Wrong{R"({"process":{"ioPriority":{"class":"BE","priority":1}}})",
              "process.ioPriority.class: 'BE' is not a class of I/O priority"},
        Wrong{R"({"process":{"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}}})",
              "process.ioPriority.priority: 8 is not from 0 to 7"},
        Wrong{R"({"process":{"scheduler":{"nice":1}}})", "process.scheduler.policy: is missing"},
        Wrong{R"({"process":{"scheduler":{"policy":"FIFO"}}})",
              "process.scheduler.policy: 'FIFO' is not a scheduling policy"},
        Wrong{R"({"process":{"scheduler":{"policy":"SCHED_OTHER","nice":20}}})",
              "process.scheduler.nice: 20 is not from -20 to 19"},
        Wrong{R"({"process":{"scheduler":{"policy":"SCHED_OTHER","flags":["X"]}}})",
              "process.scheduler.flags[0]: 'X' is not a scheduling flag"},
        Wrong{R"({"process":{"scheduler":{"policy":"SCHED_OTHER","priority":1}}})",
              "process.scheduler: a priority is for SCHED_FIFO and SCHED_RR"},
        Wrong{R"({"process":{"scheduler":{"policy":"SCHED_RR","runtime":1}}})",
              "process.scheduler: runtime, deadline and period are for SCHED_DEADLINE"}));

INSTANTIATE_TEST_SUITE_P(
    Hooks, SpecReaderRefuses,
    ::testing::Values(Wrong{R"({"hooks":[]})", "hooks: not an object"},
                      Wrong{R"({"hooks":{"prestart":{}}})", "hooks.prestart: not an array"},
                      Wrong{R"({"hooks":{"poststart":[{}]}})",
                            "hooks.poststart[0].path: is missing"},
                      Wrong{R"({"hooks":{"poststop":[{"path":"/a"},{"path":"bin/true"}]}})",
                            "hooks.poststop[1].path: 'bin/true' is not an absolute path"},
                      Wrong{R"({"hooks":{"createRuntime":[{"path":"/a","args":[1]}]}})",
                            "hooks.createRuntime[0].args[0]: not a string"},
                      Wrong{R"({"hooks":{"createContainer":[{"path":"/a","env":1}]}})",
                            "hooks.createContainer[0].env: not an array"},
                      Wrong{R"({"hooks":{"startContainer":[{"path":"/a","timeout":0}]}})",
                            "hooks.startContainer[0].timeout: 0 is not from 1 to 2147483647"}));

// ---- warnings ---------------------------------------------------------------------------------

TEST(SpecReader, WarnsOfCapabilitiesThatItDoesNotKnow) {
    const auto spec = read_with(
        R"({"process":{"capabilities":{"bounding":["CAP_KILL","CAP_FUTURE","KILL","CAP_ALL"]}}})");
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(spec->oci->process.capabilities.bounding, bit(CAP_KILL));
    EXPECT_EQ(
        spec->oci->warnings,
        (Strings{"process.capabilities.bounding[1]: 'CAP_FUTURE' is not a capability: ignored",
                 "process.capabilities.bounding[2]: 'KILL' is not a capability: ignored",
                 "process.capabilities.bounding[3]: 'CAP_ALL' is not a capability: ignored"}));
}

TEST(SpecReader, TakesARelativeDestinationAsFromTheRoot) {
    const auto spec = read_with(R"({"mounts":[{"destination":"data","type":"tmpfs"}]})");
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(spec->mounts[0].target, "/data");
    EXPECT_EQ(spec->oci->warnings,
              Strings{"mounts[0].destination: 'data' is not absolute: taken as from /"});
}

// ---- the file ---------------------------------------------------------------------------------

TEST(ReadBundle, ReadsTheFileOfTheBundle) {
    const testing::TempDir bundle;
    bundle.write("config.json", config_with("{}"));
    const auto spec = read_bundle(bundle.path());
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(spec->rootfs, bundle.at("rootfs"));
    EXPECT_EQ(read_bundle(bundle.path() + "/")->rootfs, bundle.at("rootfs"));
}

TEST(ReadBundle, TellsWhyItCannotBeRead) {
    const testing::TempDir bundle;
    const std::string file = bundle.at("config.json");
    EXPECT_EQ(message_of(read_bundle(bundle.path())),
              "open " + file + ": No such file or directory");
    EXPECT_TRUE(read_bundle(bundle.path()).error().is(ENOENT));
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_EQ(message_of(read_bundle(bundle.path())), "open " + file + ": not a regular file");
    std::filesystem::remove(file);
    bundle.write("config.json", "{");
    EXPECT_EQ(message_of(read_bundle(bundle.path())),
              "config.json: line 1, column 2: missing a name for object member");
}

TEST(ReadBundle, RefusesAFileThatIsTooLarge) {
    const testing::TempDir bundle;
    bundle.write("config.json", "{}");
    std::filesystem::resize_file(bundle.at("config.json"), (64U << 20) + 1);
    EXPECT_EQ(message_of(read_bundle(bundle.path())),
              "open " + bundle.at("config.json") + ": larger than 67108864 bytes");
}

TEST(ReadConfig, RefusesWhatIsNoObject) {
    EXPECT_EQ(message_of(read_config("[]", "/b")), "config.json: not a JSON object");
    EXPECT_EQ(message_of(read_config("", "/b")),
              "config.json: line 1, column 1: the document is empty");
}

// ---- process.json -----------------------------------------------------------------------------

TEST(ReadProcess, ReplacesTheProcessAlone) {
    const auto container = read_with(
        R"({"hostname":"h","process":{"env":["A=1"],"noNewPrivileges":true,"terminal":true,
            "rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":1}],
            "capabilities":{"bounding":["CAP_KILL"]}}})");
    ASSERT_TRUE(container) << message_of(container);
    const auto spec = read_process(R"({"cwd":"/x","args":["ls"],"user":{"uid":7}})", *container);
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(spec->args, Strings{"ls"});
    EXPECT_EQ(spec->cwd, "/x");
    EXPECT_EQ(spec->env, Strings{});
    EXPECT_FALSE(spec->no_new_privileges);
    EXPECT_TRUE(spec->rlimits.empty());
    EXPECT_EQ(spec->oci->process.uid, 7U);
    EXPECT_EQ(spec->oci->process.capabilities.bounding, 0U);
    EXPECT_FALSE(spec->oci->process.terminal);
    EXPECT_EQ(spec->hostname, "h");
    EXPECT_EQ(spec->oci->namespaces.size(), 5U);
    EXPECT_EQ(container->args, Strings{"true"});  // the container's own is as it was
    EXPECT_EQ(container->oci->process.uid, 0U);
}

TEST(ReadProcess, NamesPropertiesFromTheProcessOn) {
    const Spec container = *read_with("{}");
    EXPECT_EQ(message_of(read_process(R"({"cwd":"/","args":["a"],"rlimits":[{}]})", container)),
              "rlimits[0].type: is missing");
    EXPECT_EQ(message_of(read_process(R"({"args":["a"]})", container)), "cwd: is missing");
    EXPECT_EQ(message_of(read_process("7", container)), "not a JSON object");
}

}  // namespace
}  // namespace sigil
