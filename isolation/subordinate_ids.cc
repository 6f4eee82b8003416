#include "isolation/subordinate_ids.h"

#include <fcntl.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/users.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kLastId = UINT32_MAX - 1;  // (uid_t)-1 is nobody's

SubordinateIds read(std::span<const std::string> names) {
    auto ranges = [&](const char* path) {
        auto text = sys::read_file(AT_FDCWD, path);  // where it is missing, nobody has any
        return text ? subordinate_ranges(*text, names) : std::vector<IdRange>();
    };
    return {ranges("/etc/subuid"), ranges("/etc/subgid")};
}

}  // namespace

std::vector<IdRange> subordinate_ranges(std::string_view text, std::span<const std::string> names) {
    std::vector<IdRange> ranges;
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        const std::string_view name = take_part(line, ':');
        auto first = parse_number(take_part(line, ':'), kLastId);
        auto count = parse_number(line, UINT32_MAX);
        if (std::ranges::find(names, name) == names.end() || !first || !count || *count == 0 ||
            *count - 1 > kLastId - *first)
            continue;
        ranges.push_back({static_cast<uint32_t>(*first), static_cast<uint32_t>(*count)});
    }
    return ranges;
}

std::vector<IdMapping> mappings_of(std::span<const IdRange> ranges, uint32_t first) {
    std::vector<IdMapping> mappings;
    for (const IdRange& range : ranges) {
        const uint32_t size = std::min(range.count, kLastId - first + 1);
        if (size == 0)
            break;
        mappings.push_back({first, range.first, size});
        first += size;
    }
    return mappings;
}

Result<SubordinateIds> subordinate_ids_of(uid_t uid) {
    const Fd root = TRY(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    std::vector<std::string> names = {std::to_string(uid)};
    if (std::string name = TRY(find_user_name(root.get(), uid)); !name.empty())
        names.push_back(std::move(name));
    return read(names);
}

SubordinateIds subordinate_ids_of(const std::string& name) {
    return read({&name, 1});
}

}  // namespace sigil::isolation
