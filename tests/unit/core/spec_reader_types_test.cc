// Each property of config.json, given a value of another type: an error that names it. One
// configuration that has them all is taken apart value by value, so that a property that is added
// to it is tested with no line here.
#include <functional>

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "core/spec_reader.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using rapidjson::Document;
using rapidjson::Value;
using testing::message_of;

// Lengths are 1 where one element says all.
constexpr const char* kEverything = R"({
  "ociVersion": "1.3.0",
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "h", "domainname": "d",
  "annotations": {"org.example.key": "v"},
  "mounts": [{"destination": "/a", "type": "bind", "source": "/b", "options": ["rbind", "idmap"],
              "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
              "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]}],
  "hooks": {"prestart": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}],
            "createRuntime": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}],
            "createContainer": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}],
            "startContainer": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}],
            "poststart": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}],
            "poststop": [{"path": "/a", "args": ["a"], "env": ["A=b"], "timeout": 5}]},
  "process": {
    "terminal": true, "consoleSize": {"height": 25, "width": 80},
    "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [5]},
    "args": ["a"], "env": ["A=b"], "cwd": "/",
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                     "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"],
                     "ambient": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}],
    "noNewPrivileges": true, "oomScoreAdj": 5, "apparmorProfile": "p", "selinuxLabel": "l",
    "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
    "scheduler": {"policy": "SCHED_DEADLINE", "nice": 0, "priority": 0, "flags": ["SCHED_FLAG_RECLAIM"],
                  "runtime": 10, "deadline": 20, "period": 30},
    "execCPUAffinity": {"initial": "0", "final": "1"}},
  "linux": {
    "namespaces": [{"type": "mount"}, {"type": "pid", "path": "/p"}, {"type": "network"},
                   {"type": "uts"}, {"type": "ipc"}, {"type": "user"}, {"type": "cgroup"},
                   {"type": "time"}],
    "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
    "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
    "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 2},
                    "boottime": {"secs": 1, "nanosecs": 2}},
    "devices": [{"type": "c", "path": "/dev/a", "major": 1, "minor": 2, "fileMode": 438, "uid": 1,
                 "gid": 2}],
    "netDevices": {"eth0": {"name": "eth1"}},
    "cgroupsPath": "/a",
    "rootfsPropagation": "slave",
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1,
                "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "listenerPath": "/l", "listenerMetadata": "m",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                              "args": [{"index": 0, "value": 1, "valueTwo": 2,
                                        "op": "SCMP_CMP_EQ"}]}]},
    "sysctl": {"kernel.msgmax": "1"},
    "maskedPaths": ["/m"], "readonlyPaths": ["/r"], "mountLabel": "l",
    "intelRdt": {"closID": "c", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20",
                 "schemata": ["L3:0=f"], "enableMonitoring": true},
    "personality": {"domain": "LINUX"},
    "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
    "resources": {
      "devices": [{"allow": true, "type": "c", "major": 1, "minor": 2, "access": "rwm"}],
      "memory": {"limit": 10, "swap": 20, "reservation": 5, "checkBeforeUpdate": true,
                 "disableOOMKiller": false},
      "cpu": {"shares": 5, "quota": 20, "period": 30, "burst": 5, "cpus": "0", "mems": "0",
              "idle": 0, "realtimeRuntime": 0, "realtimePeriod": 0},
      "pids": {"limit": 5},
      "blockIO": {"weight": 10,
                  "weightDevice": [{"major": 1, "minor": 2, "weight": 10}],
                  "throttleReadBpsDevice": [{"major": 1, "minor": 2, "rate": 3}],
                  "throttleWriteBpsDevice": [{"major": 1, "minor": 2, "rate": 3}],
                  "throttleReadIOPSDevice": [{"major": 1, "minor": 2, "rate": 3}],
                  "throttleWriteIOPSDevice": [{"major": 1, "minor": 2, "rate": 3}]},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 3}],
      "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 4}},
      "unified": {"memory.high": "5"}}}})";

std::string text_of(const Document& document) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer writer(buffer);
    document.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

// As core/json_reader.h writes it.
std::string member_path(const std::string& parent, const std::string& key) {
    if (key.find('.') != std::string::npos)
        return parent + "[\"" + key + "\"]";
    return parent.empty() ? key : parent + "." + key;
}

class Everything : public ::testing::Test {
  protected:
    void SetUp() override {
        document_.Parse(kEverything);
        ASSERT_FALSE(document_.HasParseError());
    }

    // Values of every other type than this one's.
    std::vector<Value> others(const Value& value) {
        std::vector<Value> all;
        if (!value.IsString())
            all.emplace_back("x");
        if (!value.IsNumber())
            all.emplace_back(7);
        if (value.IsNumber())
            all.emplace_back(0.5);
        if (!value.IsBool())
            all.emplace_back(true);
        if (!value.IsArray())
            all.emplace_back(rapidjson::kArrayType);
        if (!value.IsObject())
            all.emplace_back(rapidjson::kObjectType);
        return all;
    }

    void expect_refused(Value& value, const std::string& path) {
        for (Value& other : others(value)) {
            Value kept;
            kept.Swap(value);
            value.Swap(other);
            const auto spec = read_config(text_of(document_), "/bundle");
            EXPECT_TRUE(message_of(spec).starts_with("config.json: " + path + ": "))
                << path << ": " << message_of(spec);
            value.Swap(kept);
            ++tried_;
        }
    }

    void walk(Value& value, const std::string& path) {
        if (!path.empty())
            expect_refused(value, path);
        if (value.IsObject())
            for (auto& member : value.GetObject())
                walk(member.value, member_path(path, member.name.GetString()));
        if (value.IsArray())
            for (rapidjson::SizeType index = 0; index < value.Size(); ++index)
                walk(value[index], path + "[" + std::to_string(index) + "]");
    }

    Document document_;
    int tried_ = 0;
};

TEST_F(Everything, IsTaken) {
    const auto spec = read_config(kEverything, "/bundle");
    EXPECT_EQ(message_of(spec), "(no error)");
}

TEST_F(Everything, OfAnotherTypeIsAnErrorThatNamesIt) {
    walk(document_, {});
    EXPECT_GT(tried_, 700);
}

}  // namespace
}  // namespace sigil
