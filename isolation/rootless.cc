#include "isolation/rootless.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/id_map.h"
#include "isolation/subordinate_ids.h"

namespace sigil::isolation {
namespace {

// With the user itself as root.
std::vector<IdMapping> with_root(uint32_t own, const std::vector<IdRange>& others) {
    std::vector<IdMapping> mappings = mappings_of(others, 1);
    mappings.insert(mappings.begin(), {0, own, 1});
    return mappings;
}

Result<Fd> make_own_namespace() {
    const std::vector<IdMapping> uid = with_root(::geteuid(), {});
    const std::vector<IdMapping> gid = with_root(::getegid(), {});
    const SubordinateIds ids = TRY(subordinate_ids_of(::geteuid()));
    if (!ids.uids.empty() && !ids.gids.empty()) {
        auto made =
            make_user_namespace(with_root(::geteuid(), ids.uids), with_root(::getegid(), ids.gids));
        if (made || !made.error().is(ENOENT))  // else newuidmap or newgidmap is not installed
            return made;
    }
    return make_user_namespace(uid, gid);
}

}  // namespace

std::vector<IdMapping> parse_id_map(std::string_view text) {
    std::vector<IdMapping> mappings;
    while (!text.empty()) {
        const std::vector<std::string_view> words = words_of(take_part(text, '\n'));
        std::vector<uint32_t> numbers;
        for (const std::string_view word : words)
            if (auto number = parse_number(word, UINT32_MAX))
                numbers.push_back(static_cast<uint32_t>(*number));
        if (words.size() == 3 && numbers.size() == 3)
            mappings.push_back({numbers[0], numbers[1], numbers[2]});
    }
    return mappings;
}

Result<std::optional<IdMaps>> own_users() {
    if (!is_in_user_namespace())
        return std::nullopt;
    IdMaps ids;
    ids.uids = parse_id_map(TRY(sys::read_file(AT_FDCWD, "/proc/self/uid_map")));
    ids.gids = parse_id_map(TRY(sys::read_file(AT_FDCWD, "/proc/self/gid_map")));
    ids.may_set_groups = TRY(sys::read_file(AT_FDCWD, "/proc/self/setgroups")) != "deny\n";
    return ids;
}

Result<void> become_root_of_own_namespace() {
    constexpr const char* kWhy =
        "who is not root needs a user namespace ('sigil doctor' tells what is in the way)";
    const Fd space = TRY(make_own_namespace(), "{}", kWhy);
    TRY(sys::setns(space.get(), CLONE_NEWUSER), "{}", kWhy);
    TRY(sys::unshare(CLONE_NEWNS), "make a mount namespace");
    return {};
}

}  // namespace sigil::isolation
