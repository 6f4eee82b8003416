// The figures of a cgroup, read from files as the kernel writes them.
#include "isolation/cgroup_stats.h"

#include <errno.h>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;

class CgroupFigures : public ::testing::Test {
  protected:
    CgroupFigures() { files.write("cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\n"); }
    CgroupStats read() {
        auto stats = read_cgroup_stats(files.open().get());
        EXPECT_EQ(message_of(stats), "(no error)");
        return stats.value_or(CgroupStats());
    }
    TempDir files;
};

TEST_F(CgroupFigures, AreNothingWhereNoControllerIsEnabled) {
    const CgroupStats stats = read();
    EXPECT_FALSE(stats.memory);
    EXPECT_FALSE(stats.pids);
    EXPECT_FALSE(stats.cpu_pressure || stats.memory_pressure || stats.io_pressure);
    EXPECT_TRUE(stats.io.empty());
    EXPECT_TRUE(stats.hugetlb.empty());
    EXPECT_TRUE(stats.rdma.empty());
    EXPECT_EQ(stats.cpu.throttled_periods, 0U);
}

TEST_F(CgroupFigures, OfACgroupThatIsGoneAreAnError) {
    const TempDir empty;
    const auto stats = read_cgroup_stats(empty.open().get());
    ASSERT_FALSE(stats);
    EXPECT_TRUE(stats.error().is(ENOENT));
    EXPECT_EQ(message_of(stats), "read cpu.stat: No such file or directory");
}

TEST_F(CgroupFigures, CountTheProcessorInMicroseconds) {
    files.write("cpu.stat",
                "usage_usec 5000123\nuser_usec 3000100\nsystem_usec 2000023\ncore_sched.force_idle_"
                "usec 0\nnr_periods 70\nnr_throttled 12\nthrottled_usec 345678\nnr_bursts 1\n");
    const CgroupStats::Cpu cpu = read().cpu;
    EXPECT_EQ(cpu.usage, 5000123U);
    EXPECT_EQ(cpu.user, 3000100U);
    EXPECT_EQ(cpu.system, 2000023U);
    EXPECT_EQ(cpu.periods, 70U);
    EXPECT_EQ(cpu.throttled_periods, 12U);
    EXPECT_EQ(cpu.throttled, 345678U);
}

TEST_F(CgroupFigures, CountMemoryAndWhatItIsUsedFor) {
    files.write("memory.current", "4194304\n");
    files.write("memory.max", "max\n");
    files.write("memory.peak", "8388608\n");
    files.write("memory.swap.current", "4096\n");
    files.write("memory.swap.max", "0\n");
    files.write("memory.stat", "anon 1000\nfile 2000\nkernel_stack 16384\n");
    files.write("memory.events", "low 0\nhigh 3\nmax 17\noom 1\noom_kill 1\n");
    const CgroupStats stats = read();
    ASSERT_TRUE(stats.memory);
    EXPECT_EQ(stats.memory->usage, 4194304U);
    EXPECT_EQ(stats.memory->limit, UINT64_MAX);
    EXPECT_EQ(stats.memory->peak, 8388608U);
    EXPECT_EQ(stats.memory->swap_usage, 4096U);
    EXPECT_EQ(stats.memory->swap_limit, 0U);
    EXPECT_EQ(stats.memory->stat_of("file"), 2000U);
    EXPECT_EQ(stats.memory->stat_of("shmem"), 0U);
    EXPECT_EQ(stats.memory->stat.size(), 3U);
    EXPECT_EQ(stats.memory->events_of("max"), 17U);
}

TEST_F(CgroupFigures, OfMemoryMayLackWhatAnOldKernelDoesNotCount) {
    files.write("memory.stat", "anon 1000\n");
    files.write("memory.current", "1\n");
    const CgroupStats stats = read();
    ASSERT_TRUE(stats.memory);
    EXPECT_EQ(stats.memory->peak, 0U);
    EXPECT_EQ(stats.memory->swap_limit, UINT64_MAX);
}

TEST_F(CgroupFigures, CountProcesses) {
    files.write("pids.current", "7\n");
    files.write("pids.max", "64\n");
    const CgroupStats stats = read();
    ASSERT_TRUE(stats.pids);
    EXPECT_EQ(stats.pids->current, 7U);
    EXPECT_EQ(stats.pids->limit, 64U);
}

TEST_F(CgroupFigures, CountEachDevicesTransfers) {
    files.write("io.stat",
                "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=7 dios=2\n"
                "253:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 cost.usage=5\n");
    const CgroupStats stats = read();
    ASSERT_EQ(stats.io.size(), 2U);
    EXPECT_EQ(stats.io[0].major, 8U);
    EXPECT_EQ(stats.io[0].minor, 16U);
    EXPECT_EQ(stats.io[0].read_bytes, 1459200U);
    EXPECT_EQ(stats.io[0].write_bytes, 314773504U);
    EXPECT_EQ(stats.io[0].discard_bytes, 7U);
    EXPECT_EQ(stats.io[0].reads, 192U);
    EXPECT_EQ(stats.io[0].writes, 353U);
    EXPECT_EQ(stats.io[0].discards, 2U);
    EXPECT_EQ(stats.io[1].major, 253U);
    EXPECT_EQ(stats.io[1].reads, 8950U);
}

TEST_F(CgroupFigures, CountHugePagesOfEachSize) {
    files.write("hugetlb.2MB.current", "4194304\n");
    files.write("hugetlb.2MB.max", "max\n");
    files.write("hugetlb.2MB.events", "max 3\n");
    files.write("hugetlb.2MB.rsvd.current", "99\n");
    files.write("hugetlb.1GB.current", "0\n");
    files.write("hugetlb.1GB.max", "1073741824\n");
    const CgroupStats stats = read();
    ASSERT_EQ(stats.hugetlb.size(), 2U);
    EXPECT_EQ(stats.hugetlb[0].page_size, "1GB");
    EXPECT_EQ(stats.hugetlb[0].limit, 1073741824U);
    EXPECT_EQ(stats.hugetlb[1].page_size, "2MB");
    EXPECT_EQ(stats.hugetlb[1].usage, 4194304U);
    EXPECT_EQ(stats.hugetlb[1].limit, UINT64_MAX);
    EXPECT_EQ(stats.hugetlb[1].failures, 3U);
}

TEST_F(CgroupFigures, CountRdmaOfEachDevice) {
    files.write("rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n");
    files.write("rdma.max",
                "mlx4_0 hca_handle=3 hca_object=max\nocrdma1 hca_handle=1 "
                "hca_object=5\n");
    const CgroupStats stats = read();
    ASSERT_EQ(stats.rdma.size(), 2U);
    EXPECT_EQ(stats.rdma[0].device, "mlx4_0");
    EXPECT_EQ(stats.rdma[0].hca_handles, 2U);
    EXPECT_EQ(stats.rdma[0].hca_objects, 2000U);
    EXPECT_EQ(stats.rdma[0].hca_handles_limit, 3U);
    EXPECT_EQ(stats.rdma[0].hca_objects_limit, UINT64_MAX);
    EXPECT_EQ(stats.rdma[1].hca_objects_limit, 5U);
}

TEST_F(CgroupFigures, TellOfWaiting) {
    files.write("memory.pressure",
                "some avg10=1.50 avg60=0.25 avg300=0.01 total=1234567\n"
                "full avg10=0.75 avg60=0.00 avg300=0.00 total=34567\n");
    files.write("cpu.pressure", "some avg10=0.10 avg60=0.00 avg300=0.00 total=5\n");
    const CgroupStats stats = read();
    ASSERT_TRUE(stats.memory_pressure && stats.cpu_pressure);
    EXPECT_FALSE(stats.io_pressure);
    EXPECT_DOUBLE_EQ(stats.memory_pressure->some.avg10, 1.5);
    EXPECT_DOUBLE_EQ(stats.memory_pressure->some.avg60, 0.25);
    EXPECT_DOUBLE_EQ(stats.memory_pressure->some.avg300, 0.01);
    EXPECT_EQ(stats.memory_pressure->some.total, 1234567U);
    EXPECT_DOUBLE_EQ(stats.memory_pressure->full.avg10, 0.75);
    EXPECT_EQ(stats.memory_pressure->full.total, 34567U);
    EXPECT_EQ(stats.cpu_pressure->some.total, 5U);
    EXPECT_EQ(stats.cpu_pressure->full.total, 0U);
}

TEST_F(CgroupFigures, MayHoldWhatIsNotUnderstood) {
    files.write("pids.current", "many\n");
    files.write("memory.stat", "anon\n\nfile many\nslab 5 6\nshmem 8");
    files.write("io.stat", "8:0\nnonsense rbytes\n");
    const CgroupStats stats = read();
    EXPECT_EQ(stats.pids->current, 0U);
    EXPECT_EQ(stats.memory->stat_of("file"), 0U);
    EXPECT_EQ(stats.memory->stat_of("shmem"), 8U);
}

}  // namespace
}  // namespace sigil::isolation
