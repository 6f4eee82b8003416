// linux.resources, written for cgroup v1, as cgroup v2 has it.
#include <gtest/gtest.h>

#include "core/config_text.h"
#include "core/spec_reader.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using Strings = std::vector<std::string>;

// Everything that would be written, a line each: "cpu.weight=100 (cpu.shares)".
Strings text_of(const Resources& resources) {
    Strings lines;
    auto add = [&lines](const char* name, const std::optional<uint64_t>& value) {
        if (value)
            lines.push_back(*value == UINT64_MAX ? fmt::format("{}=max", name)
                                                 : fmt::format("{}={}", name, *value));
    };
    add("memory", resources.memory);
    add("swap", resources.memory_swap);
    add("quota", resources.cpu_quota);
    add("period", resources.cpu_period);
    add("pids", resources.pids);
    if (!resources.cpuset_cpus.empty())
        lines.push_back("cpus=" + resources.cpuset_cpus);
    if (resources.check_memory)
        lines.emplace_back("check");
    for (const Resources::File& file : resources.files) {
        std::string line = fmt::format("{}={} ({})", file.name, file.value, file.origin);
        if (!file.other_name.empty())
            line += fmt::format(" or {}={}", file.other_name, file.other_value);
        if (file.may_be_missing)
            line += " or nothing";
        lines.push_back(std::move(line));
    }
    return lines;
}

struct Right {
    const char* json;
    Strings lines;
};
struct Wrong {
    const char* json;
    const char* error;
};

class ResourcesReaderTakes : public ::testing::TestWithParam<Right> {};
class ResourcesReaderRefuses : public ::testing::TestWithParam<Wrong> {};

TEST_P(ResourcesReaderTakes, What) {
    const auto resources = read_resources(GetParam().json);
    ASSERT_TRUE(resources) << message_of(resources);
    EXPECT_EQ(text_of(*resources), GetParam().lines) << GetParam().json;
    EXPECT_EQ(resources->json_path, "");
}

TEST_P(ResourcesReaderRefuses, What) {
    EXPECT_EQ(message_of(read_resources(GetParam().json)), GetParam().error) << GetParam().json;
}

INSTANTIATE_TEST_SUITE_P(
    Memory, ResourcesReaderTakes,
    ::testing::Values(
        Right{"{}", {}}, Right{R"({"memory":null})", {}}, Right{R"({"memory":{}})", {}},
        Right{R"({"memory":{"limit":4096}})", {"memory=4096"}},
        Right{R"({"memory":{"limit":4096,"swap":8192}})", {"memory=4096", "swap=8192"}},
        Right{R"({"memory":{"limit":4096,"swap":4096}})", {"memory=4096", "swap=4096"}},
        Right{R"({"memory":{"limit":4096,"swap":-1}})", {"memory=4096", "swap=max"}},
        Right{R"({"memory":{"swap":-1}})", {"swap=max"}},
        Right{R"({"memory":{"limit":-1}})", {"memory=max", "swap=max"}},
        Right{R"({"memory":{"limit":-1,"swap":4096}})", {"memory=max", "swap=4096"}},
        Right{R"({"memory":{"reservation":4096}})", {"memory.low=4096 (memory.reservation)"}},
        Right{R"({"memory":{"reservation":-1}})", {"memory.low=max (memory.reservation)"}},
        Right{R"({"memory":{"kernel":-1,"kernelTCP":5,"useHierarchy":true,
                            "disableOOMKiller":false}})",
              {}},
        Right{R"({"memory":{"limit":4096,"checkBeforeUpdate":true}})", {"memory=4096", "check"}}));

INSTANTIATE_TEST_SUITE_P(
    Memory, ResourcesReaderRefuses,
    ::testing::Values(Wrong{R"({"memory":[]})", "memory: not an object"},
                      Wrong{R"({"memory":{"limit":"1G"}})", "memory.limit: not a number"},
                      Wrong{R"({"memory":{"limit":-2}})",
                            "memory.limit: -2 is not from -1 to 9223372036854775807"},
                      Wrong{R"({"memory":{"limit":4096,"swap":4095}})",
                            "memory.swap: 4095 is less than the memory limit of 4096"},
                      Wrong{R"({"memory":{"swap":4096}})",
                            "memory.swap: a limit of memory and swap needs one of memory"},
                      Wrong{R"({"memory":{"reservation":1.5}})",
                            "memory.reservation: 1.5 is not a whole number that fits"},
                      Wrong{R"({"memory":{"swappiness":60}})",
                            "memory.swappiness: cgroup v2 has nothing of the kind"},
                      Wrong{R"({"memory":{"swappiness":101}})",
                            "memory.swappiness: 101 is not from 0 to 100"},
                      Wrong{R"({"memory":{"disableOOMKiller":true}})",
                            "memory.disableOOMKiller: cgroup v2 has nothing of the kind"},
                      Wrong{R"({"memory":{"checkBeforeUpdate":1}})",
                            "memory.checkBeforeUpdate: neither true nor false"}));

INSTANTIATE_TEST_SUITE_P(
    Cpu, ResourcesReaderTakes,
    ::testing::Values(
        // The values that runc's and crun's own tests have for the curve.
        Right{R"({"cpu":{"shares":1}})", {"cpu.weight=1 (cpu.shares)"}},
        Right{R"({"cpu":{"shares":2}})", {"cpu.weight=1 (cpu.shares)"}},
        Right{R"({"cpu":{"shares":1024}})", {"cpu.weight=100 (cpu.shares)"}},
        Right{R"({"cpu":{"shares":2000}})", {"cpu.weight=170 (cpu.shares)"}},
        Right{R"({"cpu":{"shares":262144}})", {"cpu.weight=10000 (cpu.shares)"}},
        Right{R"({"cpu":{"shares":18446744073709551615}})", {"cpu.weight=10000 (cpu.shares)"}},
        Right{R"({"cpu":{"quota":5000}})", {"quota=5000"}},
        Right{R"({"cpu":{"quota":5000,"period":10000}})", {"quota=5000", "period=10000"}},
        Right{R"({"cpu":{"period":10000}})", {"period=10000"}},
        Right{R"({"cpu":{"quota":-1,"period":10000}})", {"quota=max", "period=10000"}},
        Right{R"({"cpu":{"quota":5000,"burst":5000}})",
              {"quota=5000", "cpu.max.burst=5000 (cpu.burst)"}},
        Right{R"({"cpu":{"burst":0}})", {"cpu.max.burst=0 (cpu.burst)"}},
        Right{R"({"cpu":{"cpus":"0-3,7","mems":"0"}})", {"cpus=0-3,7", "cpuset.mems=0 (cpu.mems)"}},
        Right{R"({"cpu":{"idle":1,"shares":1024}})",
              {"cpu.weight=100 (cpu.shares)", "cpu.idle=1 (cpu.idle)"}},
        Right{R"({"cpu":{"shares":1024,"idle":0}})",
              {"cpu.idle=0 (cpu.idle)", "cpu.weight=100 (cpu.shares)"}},
        // What `runc update` shows as a template.
        Right{R"({"memory":{"limit":0,"reservation":0,"swap":0,"kernel":0,"kernelTCP":0},
                  "cpu":{"shares":0,"quota":0,"period":0,"realtimeRuntime":0,"realtimePeriod":0,
                         "cpus":"","mems":""},"blockIO":{"weight":0}})",
              {}}));

INSTANTIATE_TEST_SUITE_P(
    Cpu, ResourcesReaderRefuses,
    ::testing::Values(
        Wrong{R"({"cpu":1})", "cpu: not an object"},
        Wrong{R"({"cpu":{"shares":-1}})", "cpu.shares: -1 is not from 0 to 18446744073709551615"},
        Wrong{R"({"cpu":{"quota":"max"}})", "cpu.quota: not a number"},
        Wrong{R"({"cpu":{"period":-5}})", "cpu.period: -5 is not from 0 to 18446744073709551615"},
        Wrong{R"({"cpu":{"quota":5000,"burst":5001}})",
              "cpu.burst: 5001 is more than the quota of 5000"},
        Wrong{R"({"cpu":{"cpus":0}})", "cpu.cpus: not a string"},
        Wrong{R"({"cpu":{"mems":[]}})", "cpu.mems: not a string"},
        Wrong{R"({"cpu":{"idle":2}})", "cpu.idle: 2 is not from 0 to 1"},
        Wrong{R"({"cpu":{"realtimeRuntime":950000}})",
              "cpu.realtimeRuntime: cgroup v2 has nothing of the kind"},
        Wrong{R"({"cpu":{"realtimePeriod":1}})",
              "cpu.realtimePeriod: cgroup v2 has nothing of the kind"}));

INSTANTIATE_TEST_SUITE_P(Pids, ResourcesReaderTakes,
                         ::testing::Values(Right{R"({"pids":{"limit":32771}})", {"pids=32771"}},
                                           Right{R"({"pids":{"limit":-1}})", {"pids=max"}},
                                           Right{R"({"pids":{"limit":0}})", {"pids=1"}},  // no fork
                                           Right{R"({"pids":{}})", {}}));

INSTANTIATE_TEST_SUITE_P(
    BlockIo, ResourcesReaderTakes,
    ::testing::Values(
        Right{R"({"blockIO":{"weight":10}})", {"io.bfq.weight=10 (blockIO.weight) or io.weight=1"}},
        Right{R"({"blockIO":{"weight":500,"leafWeight":10}})",
              {"io.bfq.weight=500 (blockIO.weight) or io.weight=4950"}},
        Right{R"({"blockIO":{"weight":1000}})",
              {"io.bfq.weight=1000 (blockIO.weight) or io.weight=10000"}},
        Right{R"({"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":500,"leafWeight":3},
                                             {"major":8,"minor":16,"leafWeight":300}]}})",
              {"io.bfq.weight=8:0 500 (blockIO.weightDevice[0].weight) or io.weight=8:0 4950"}},
        Right{R"({"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}],
                  "throttleWriteBpsDevice":[{"major":8,"minor":1,"rate":0}],
                  "throttleReadIOPSDevice":[{"major":8,"minor":2,"rate":1}],
                  "throttleWriteIOPSDevice":[{"major":8,"minor":3,"rate":2},
                                             {"major":8,"minor":4,"rate":3}]}})",
              {"io.max=8:0 rbps=600 (blockIO.throttleReadBpsDevice[0])",
               "io.max=8:1 wbps=max (blockIO.throttleWriteBpsDevice[0])",
               "io.max=8:2 riops=1 (blockIO.throttleReadIOPSDevice[0])",
               "io.max=8:3 wiops=2 (blockIO.throttleWriteIOPSDevice[0])",
               "io.max=8:4 wiops=3 (blockIO.throttleWriteIOPSDevice[1])"}}));

INSTANTIATE_TEST_SUITE_P(
    Rest, ResourcesReaderTakes,
    ::testing::Values(
        Right{R"({"hugepageLimits":[{"pageSize":"2MB","limit":209715200},
                                    {"pageSize":"64KB","limit":0}]})",
              {"hugetlb.2MB.max=209715200 (hugepageLimits[0])",
               "hugetlb.2MB.rsvd.max=209715200 (hugepageLimits[0]) or nothing",
               "hugetlb.64KB.max=0 (hugepageLimits[1])",
               "hugetlb.64KB.rsvd.max=0 (hugepageLimits[1]) or nothing"}},
        Right{R"({"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},
                          "mlx4_0":{"hcaObjects":0}}})",
              {"rdma.max=mlx5_1 hca_handle=3 hca_object=10000 (rdma.mlx5_1)",
               "rdma.max=mlx4_0 hca_object=0 (rdma.mlx4_0)"}},
        Right{R"({"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":1}]}})", {}},
        Right{R"({"unified":{"memory.high":"1000","io.max":"259:0 rbps=2\n253:0 rbps=3\n"},
                  "cpu":{"shares":1024}})",
              {"cpu.weight=100 (cpu.shares)", "memory.high=1000 (unified[\"memory.high\"])",
               "io.max=259:0 rbps=2 (unified[\"io.max\"])",
               "io.max=253:0 rbps=3 (unified[\"io.max\"])"}},
        Right{R"({"unified":{"cpuset.cpus":""}})", {"cpuset.cpus= (unified[\"cpuset.cpus\"])"}}));

INSTANTIATE_TEST_SUITE_P(
    Rest, ResourcesReaderRefuses,
    ::testing::Values(
        Wrong{"[]", "not a JSON object"}, Wrong{R"({"pids":5})", "pids: not an object"},
        Wrong{R"({"pids":{"limit":-2}})", "pids.limit: -2 is not from -1 to 9223372036854775807"},
        Wrong{R"({"blockIO":{"weight":9}})", "blockIO.weight: 9 is not from 10 to 1000"},
        Wrong{R"({"blockIO":{"weight":1001}})", "blockIO.weight: 1001 is not from 0 to 1000"},
        Wrong{R"({"blockIO":{"weightDevice":[{"major":8,"weight":10}]}})",
              "blockIO.weightDevice[0].minor: is missing"},
        Wrong{R"({"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0}]}})",
              "blockIO.throttleReadBpsDevice[0].rate: is missing"},
        Wrong{R"({"blockIO":{"throttleReadIOPSDevice":[{"minor":0,"rate":1}]}})",
              "blockIO.throttleReadIOPSDevice[0].major: is missing"},
        Wrong{R"({"hugepageLimits":[{"limit":1}]})", "hugepageLimits[0].pageSize: is missing"},
        Wrong{R"({"hugepageLimits":[{"pageSize":"2MB"}]})", "hugepageLimits[0].limit: is missing"},
        Wrong{R"({"hugepageLimits":[{"pageSize":"2M","limit":1}]})",
              "hugepageLimits[0].pageSize: '2M' is not the size of a page: 64KB, 2MB, 1GB"},
        Wrong{R"({"hugepageLimits":[{"pageSize":"../2MB","limit":1}]})",
              "hugepageLimits[0].pageSize: '../2MB' is not the size of a page: 64KB, 2MB, 1GB"},
        Wrong{R"({"rdma":{"a":{}}})", "rdma.a: neither hcaHandles nor hcaObjects"},
        Wrong{R"({"rdma":{"a b":{"hcaHandles":1}}})", "rdma[\"a b\"]: not the name of a device"},
        Wrong{R"({"rdma":{"a":{"hcaHandles":-1}}})",
              "rdma.a.hcaHandles: -1 is not from 0 to 4294967295"},
        Wrong{R"({"unified":{"a/b.c":"1"}})",
              "unified[\"a/b.c\"]: not the name of a file: it has a slash"},
        Wrong{R"({"unified":{"memory":"1"}})", "unified.memory: not a CONTROLLER.FILE"},
        Wrong{R"({"unified":{".x":"1"}})", "unified[\".x\"]: not a CONTROLLER.FILE"},
        Wrong{R"({"unified":{"memory.max":1}})", "unified[\"memory.max\"]: not a string"}));

// ---- devices ----------------------------------------------------------------------------------

TEST(ResourcesReader, ReadsRulesForDevicesInTheirOrder) {
    std::vector<DeviceRule> rules;
    const auto resources = read_resources(
        R"({"devices":[{"allow":false,"access":"rwm"},
                       {"allow":true,"type":"c","major":10,"minor":229,"access":"rw"},
                       {"allow":true,"type":"b","major":8,"access":"m"},
                       {"allow":true,"type":"","major":-1,"minor":-1}]})",
        &rules);
    ASSERT_TRUE(resources) << message_of(resources);
    ASSERT_EQ(rules.size(), 4U);
    EXPECT_FALSE(rules[0].allow);
    EXPECT_EQ(rules[0].type, 'a');
    EXPECT_FALSE(rules[0].major || rules[0].minor);
    EXPECT_TRUE(rules[0].read && rules[0].write && rules[0].make_node);
    EXPECT_TRUE(rules[1].allow);
    EXPECT_EQ(rules[1].type, 'c');
    EXPECT_EQ(rules[1].major, 10U);
    EXPECT_EQ(rules[1].minor, 229U);
    EXPECT_TRUE(rules[1].read && rules[1].write && !rules[1].make_node);
    EXPECT_EQ(rules[2].type, 'b');
    EXPECT_FALSE(rules[2].minor);
    EXPECT_TRUE(!rules[2].read && !rules[2].write && rules[2].make_node);
    EXPECT_EQ(rules[3].type, 'a');
    EXPECT_FALSE(rules[3].major || rules[3].minor);
    EXPECT_TRUE(rules[3].read && rules[3].write && rules[3].make_node);
}

INSTANTIATE_TEST_SUITE_P(
    Devices, ResourcesReaderRefuses,
    ::testing::Values(
        Wrong{R"({"devices":{}})", "devices: not an array"},
        Wrong{R"({"devices":[{"access":"rwm"}]})", "devices[0].allow: is missing"},
        Wrong{R"({"devices":[{"allow":1}]})", "devices[0].allow: neither true nor false"},
        Wrong{R"({"devices":[{"allow":true},{"allow":true,"type":"p"}]})",
              "devices[1].type: 'p' is not a type of device: a, b or c"},
        Wrong{R"({"devices":[{"allow":true,"major":-2}]})",
              "devices[0].major: -2 is not from -1 to 4294967295"},
        Wrong{R"({"devices":[{"allow":true,"minor":"*"}]})", "devices[0].minor: not a number"},
        Wrong{R"({"devices":[{"allow":true,"access":""}]})",
              "devices[0].access: '' is not made of r, w and m"},
        Wrong{R"({"devices":[{"allow":true,"access":"rwx"}]})",
              "devices[0].access: 'rwx' is not made of r, w and m"}));

// ---- in a config.json -------------------------------------------------------------------------

TEST(ResourcesReader, NamesPropertiesFromTheTopInAConfig) {
    const std::string config = testing::config_with(
        R"({"linux":{"resources":{"memory":{"limit":4096},"cpu":{"shares":1024},
                                  "devices":[{"allow":false}]}}})");
    const auto spec = read_config(config, "/b");
    ASSERT_TRUE(spec) << message_of(spec);
    EXPECT_EQ(text_of(spec->resources),
              (Strings{"memory=4096", "cpu.weight=100 (linux.resources.cpu.shares)"}));
    EXPECT_EQ(spec->resources.json_path, "linux.resources");
    EXPECT_EQ(spec->oci->device_rules.size(), 1U);
    EXPECT_EQ(message_of(read_config(
                  testing::config_with(R"({"linux":{"resources":{"pids":{"limit":-2}}}})"), "/b")),
              "config.json: linux.resources.pids.limit: -2 is not from -1 to 9223372036854775807");
}

TEST(ResourcesReader, TakesNoProcessesForNoLimitInAConfigOlderThanThatRule) {
    for (const auto& [version, limit] : {std::pair{"1.0.2-dev", "pids=max"},
                                         {"1.2.1", "pids=max"},
                                         {"1.3.0", "pids=1"},
                                         {"1.10.0", "pids=1"}}) {
        const auto spec = read_config(
            testing::config_with(fmt::format(
                R"({{"ociVersion":"{}","linux":{{"resources":{{"pids":{{"limit":0}}}}}}}})",
                version)),
            "/b");
        ASSERT_TRUE(spec) << message_of(spec);
        EXPECT_EQ(text_of(spec->resources), Strings{limit}) << version;
    }
}

}  // namespace
}  // namespace sigil
