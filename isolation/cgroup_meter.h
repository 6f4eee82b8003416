// The figures of a cgroup that a live view reads again and again, through descriptors that are
// kept: one pread(2) each. Files and units: cgroup-v2.rst; all that there is: cgroup_stats.h.
#pragma once

#include <stdint.h>

#include <array>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::isolation {

class CgroupMeter {
  public:
    enum class File : uint8_t {
        cpu,
        memory,
        memory_limit,
        pids,
        pids_limit,
        io,
        cpu_pressure,
        memory_pressure,
        io_pressure,
        events,
    };
    static constexpr size_t kFiles = 10;

    // What the controllers don't count is nothing.
    struct Reading {
        uint64_t cpu = 0;                      // microseconds
        std::optional<uint64_t> memory;        // bytes
        std::optional<uint64_t> memory_limit;  // UINT64_MAX: none
        std::optional<uint64_t> pids;
        std::optional<uint64_t> pids_limit;
        std::optional<uint64_t> read_bytes;
        std::optional<uint64_t> written_bytes;
        std::optional<double> pressure;  // the highest of "some avg10", per cent
        bool is_frozen = false;
    };

    // `root` is a descriptor of the cgroup2 mount, which outlives it; `path` is below that, "/a/b".
    CgroupMeter(int root, std::string path) : root_(root), path_(std::move(path)) {}

    // Each reads its part anew; false: the cgroup is gone.
    bool read_cpu(Reading& into);
    bool read_memory(Reading& into);
    bool read_pids(Reading& into);
    bool read_io(Reading& into);
    bool read_pressure(Reading& into);
    bool read_state(Reading& into);
    bool read_limits(Reading& into);
    bool read_all(Reading& into);
    // Closes all descriptors but those of the processor time and of this one.
    void close_but(File kept);

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    // Nothing: there is no such file, or the cgroup is gone, and is_gone_ tells which.
    std::optional<std::string_view> read(File file);
    std::optional<uint64_t> read_number(File file);

    int root_;
    std::string path_;
    std::array<Fd, kFiles> files_;
    uint16_t missing_ = 0;  // a bit for each file that is not there
    bool is_gone_ = false;
};

}  // namespace sigil::isolation
