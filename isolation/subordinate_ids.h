// The ranges of IDs that an administrator has set aside for a user (subuid(5), subgid(5)).
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/oci.h"

namespace sigil::isolation {

struct IdRange {
    uint32_t first;
    uint32_t count;
    bool operator==(const IdRange&) const = default;
};

// Those of the lines that start with one of the names. What is no line of the kind is passed over,
// as by newuidmap(1).
std::vector<IdRange> subordinate_ranges(std::string_view text, std::span<const std::string> names);

// Each range after the one before it, from `first` on as the container numbers them. What no longer
// fits into 32 bits is left out.
std::vector<IdMapping> mappings_of(std::span<const IdRange> ranges, uint32_t first);

// The ranges of a user of this machine, by name or number.
struct SubordinateIds {
    std::vector<IdRange> uids;
    std::vector<IdRange> gids;
};
Result<SubordinateIds> subordinate_ids_of(uid_t uid);
// The same by name alone: of a user who need not be there.
SubordinateIds subordinate_ids_of(const std::string& name);

}  // namespace sigil::isolation
