// What a live view reads of a cgroup, from files as the kernel writes them.
#include "isolation/cgroup_meter.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::TempDir;

class CgroupMeterTest : public ::testing::Test {
  protected:
    CgroupMeterTest() { set("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"); }
    void set(const std::string& file, std::string_view text) const {
        files.write("a/b/" + file, text);
    }
    CgroupMeter::Reading read() {
        CgroupMeter::Reading reading;
        EXPECT_TRUE(meter.read_all(reading));
        return reading;
    }
    TempDir files;
    Fd root = files.open();
    CgroupMeter meter{root.get(), "/a/b"};
};

TEST_F(CgroupMeterTest, WhatNoControllerCountsIsNothing) {
    const auto reading = read();
    EXPECT_EQ(reading.cpu, 1500U);
    EXPECT_FALSE(reading.memory || reading.memory_limit || reading.pids || reading.pids_limit ||
                 reading.read_bytes || reading.written_bytes || reading.pressure);
    EXPECT_FALSE(reading.is_frozen);
}

TEST_F(CgroupMeterTest, ReadsWhatThereIs) {
    set("memory.current", "4096\n");
    set("memory.max", "max\n");
    set("pids.current", "3\n");
    set("pids.max", "64\n");
    set("io.stat",
        "8:0 rbytes=100 wbytes=20 rios=1 wios=2 dbytes=7 dios=1\n8:16 rbytes=5 wbytes=6 rios=1 "
        "wios=1 dbytes=0 dios=0\n");
    set("cpu.pressure", "some avg10=1.50 avg60=9.00 avg300=0.00 total=1\n");
    set("memory.pressure", "some avg10=2.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=7.00\n");
    set("io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
    set("cgroup.events", "populated 1\nfrozen 1\n");
    const auto reading = read();
    EXPECT_EQ(reading.memory, 4096U);
    EXPECT_EQ(reading.memory_limit, UINT64_MAX);
    EXPECT_EQ(reading.pids, 3U);
    EXPECT_EQ(reading.pids_limit, 64U);
    EXPECT_EQ(reading.read_bytes, 105U);
    EXPECT_EQ(reading.written_bytes, 26U);
    EXPECT_EQ(reading.pressure, 2.25);
    EXPECT_TRUE(reading.is_frozen);
}

TEST_F(CgroupMeterTest, ReadsAnewThroughTheSameDescriptor) {
    set("memory.current", "4096\n");
    EXPECT_EQ(read().memory, 4096U);
    set("memory.current", "8192\n");
    set("cpu.stat", "usage_usec 2500\n");
    const auto again = read();
    EXPECT_EQ(again.memory, 8192U);
    EXPECT_EQ(again.cpu, 2500U);
}

TEST_F(CgroupMeterTest, AFileThatWasMissingIsNotAskedForAgain) {
    EXPECT_FALSE(read().pids);
    set("pids.current", "3\n");
    EXPECT_FALSE(read().pids);
    EXPECT_EQ(CgroupMeter(root.get(), "/a/b").path(), "/a/b");
}

TEST_F(CgroupMeterTest, GoesOnWithWhatWasClosed) {
    set("memory.current", "4096\n");
    set("pids.current", "3\n");
    EXPECT_EQ(read().pids, 3U);
    std::filesystem::remove(files.at("a/b/pids.current"));
    EXPECT_EQ(read().pids, 3U) << "it is read through what was opened";
    meter.close_but(CgroupMeter::File::memory);
    const auto reading = read();
    EXPECT_FALSE(reading.pids);
    EXPECT_EQ(reading.memory, 4096U);
}

TEST_F(CgroupMeterTest, SaysThatItIsGone) {
    std::filesystem::remove_all(files.at("a/b"));
    CgroupMeter::Reading reading;
    EXPECT_FALSE(meter.read_cpu(reading));
    EXPECT_FALSE(meter.read_all(reading));
    EXPECT_FALSE(meter.read_limits(reading));
}

}  // namespace
}  // namespace sigil::isolation
