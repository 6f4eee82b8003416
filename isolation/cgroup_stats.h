// What a cgroup has used: the figures of `events --stats`, in groups as runc prints them. Read
// once, by whoever has the cgroup open; files and units: cgroup-v2.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sigil::isolation {

// A PSI file: the share of time, in per cent, that some or all waited; and the whole, microseconds.
struct Pressure {
    struct Line {
        double avg10 = 0;
        double avg60 = 0;
        double avg300 = 0;
        uint64_t total = 0;
    };
    Line some;
    Line full;
};

// A controller that is not enabled for the cgroup has nothing (nullopt, or empty); where the kernel
// doesn't count something, it is 0.
struct CgroupStats {
    struct Cpu {
        uint64_t usage = 0;  // microseconds, as `user` and `system`
        uint64_t user = 0;
        uint64_t system = 0;
        uint64_t periods = 0;
        uint64_t throttled_periods = 0;
        uint64_t throttled = 0;  // microseconds
    };
    struct Memory {
        uint64_t usage = 0;           // bytes
        uint64_t limit = UINT64_MAX;  // UINT64_MAX: none
        uint64_t peak = 0;
        uint64_t swap_usage = 0;  // without memory
        uint64_t swap_limit = UINT64_MAX;
        std::vector<std::pair<std::string, uint64_t>> stat;    // memory.stat; runc's "raw"
        std::vector<std::pair<std::string, uint64_t>> events;  // memory.events; "max": the failcnt
        [[nodiscard]] uint64_t stat_of(std::string_view key) const;
        [[nodiscard]] uint64_t events_of(std::string_view key) const;
    };
    struct Pids {
        uint64_t current = 0;
        uint64_t limit = UINT64_MAX;
    };
    struct Io {  // a block device; bytes and operations
        uint32_t major = 0;
        uint32_t minor = 0;
        uint64_t read_bytes = 0;
        uint64_t write_bytes = 0;
        uint64_t discard_bytes = 0;
        uint64_t reads = 0;
        uint64_t writes = 0;
        uint64_t discards = 0;
    };
    struct Hugetlb {
        std::string page_size;  // "2MB"
        uint64_t usage = 0;     // bytes
        uint64_t limit = UINT64_MAX;
        uint64_t failures = 0;  // times the limit was hit
    };
    struct Rdma {
        std::string device;
        uint64_t hca_handles = 0;
        uint64_t hca_objects = 0;
        uint64_t hca_handles_limit = UINT64_MAX;
        uint64_t hca_objects_limit = UINT64_MAX;
    };

    Cpu cpu;  // counted without a controller too, but for the throttling
    std::optional<Memory> memory;
    std::optional<Pids> pids;
    std::vector<Io> io;
    std::vector<Hugetlb> hugetlb;
    std::vector<Rdma> rdma;
    std::optional<Pressure> cpu_pressure;  // nothing: PSI is off
    std::optional<Pressure> memory_pressure;
    std::optional<Pressure> io_pressure;
};

// `directory` is open to the cgroup. ENOENT or ENODEV: it has been removed.
Result<CgroupStats> read_cgroup_stats(int directory);

}  // namespace sigil::isolation
