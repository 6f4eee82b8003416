// What the containers use, as `top` and `stats` show it: who there is, their figures, the order of
// the rows, and the table. Terminals are top.cc's.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/oci/container.h"
#include "core/error.h"
#include "isolation/cgroup_meter.h"

namespace sigil::cli {

using isolation::CgroupMeter;

enum class SortKey : uint8_t { cpu, memory, pids, io, pressure, restarts, uptime, name };
// "cpu", "memory", ...
Result<SortKey> parse_sort_key(std::string_view text);
const char* name_of(SortKey key);

struct UsageRow {
    UsageRow(int root, const oci::Container& container);
    std::string id;
    pid_t pid;
    uint64_t start_time;  // clock ticks after boot
    std::optional<uint64_t> restarts;
    CgroupMeter meter;
    CgroupMeter::Reading now;
    std::optional<uint64_t> cpu_before;
    double cpu_percent = 0;  // of one processor, since the reading before
};

// Those whose use can be told: all that live and have a cgroup. With ids, these alone, and an error
// if one does not exist or is not of them.
Result<std::vector<oci::Container>> containers_with_cgroups(const std::vector<std::string>& ids);

class Usage {
  public:
    // Which containers there are by now, by containers_with_cgroups(); those that are known already
    // keep their figures.
    Result<void> list(const std::vector<std::string>& ids);
    // Reads the processor time of all and what `key` sorts by, sorts, and reads the rest of the
    // first `shown` rows. True: some have gone, and list() is due.
    bool sample(SortKey key, size_t shown);
    // The head and `shown` rows, a line each, none longer than `columns`.
    [[nodiscard]] std::vector<std::string> table(size_t shown, size_t columns) const;
    [[nodiscard]] size_t size() const { return rows_.size(); }

  private:
    void read_restarts();

    std::shared_ptr<const isolation::CgroupHost> host_;
    std::vector<std::unique_ptr<UsageRow>> rows_;
    std::chrono::nanoseconds sampled_at_{};
};

// One table of all of them, or of these, the processor time measured for so long.
Result<int> show_usage_once(const std::vector<std::string>& ids, SortKey sort,
                            std::chrono::nanoseconds between);

}  // namespace sigil::cli
