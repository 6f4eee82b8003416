#include "isolation/users.h"

#include <errno.h>

#include <array>
#include <optional>

#include "core/parse.h"
#include "core/path.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr size_t kLargestFile = 4 << 20;
constexpr uint32_t kLargestId = UINT32_MAX - 1;  // -1 means "leave as it is" to setresuid(2)

// Fields of the lines of passwd or group; fn returns true to stop.
template <size_t Fields, typename Fn>
void for_each_entry(std::string_view text, Fn fn) {
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        std::array<std::string_view, Fields> fields;
        for (std::string_view& field : fields)
            field = take_part(line, ':');
        if (fn(fields))
            return;
    }
}

// A missing file is an empty one.
Result<std::string> read_database(int root, const char* path) {
    auto text = read_in_root(root, path, kLargestFile);
    if (!text && text.error().is(ENOENT))
        return std::string();
    return text;
}

std::optional<uint32_t> as_id(std::string_view text) {
    auto number = parse_number(text, kLargestId);
    return number ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
}

struct Found {
    std::string name;
    User user;
};

std::optional<Found> find_in_passwd(std::string_view passwd, std::string_view wanted) {
    std::optional<Found> found;
    const auto wanted_id = as_id(wanted);
    for_each_entry<6>(passwd, [&](const auto& fields) {
        auto uid = as_id(fields[2]);
        auto gid = as_id(fields[3]);
        if (!uid || !gid || (wanted_id ? *uid != *wanted_id : fields[0] != wanted))
            return false;
        found = Found{std::string(fields[0]), {*uid, *gid, {}, std::string(fields[5])}};
        return true;
    });
    return found;
}

std::vector<uint32_t> groups_of(std::string_view group, std::string_view name) {
    std::vector<uint32_t> ids;
    for_each_entry<4>(group, [&](const auto& fields) {
        std::string_view members = fields[3];
        bool is_member = false;
        while (!members.empty())
            is_member |= take_part(members, ',') == name;
        if (auto id = as_id(fields[2]); id && is_member)
            ids.push_back(*id);
        return false;
    });
    return ids;
}

Result<uint32_t> find_group(std::string_view group, std::string_view wanted) {
    if (auto id = as_id(wanted))
        return *id;
    std::optional<uint32_t> found;
    for_each_entry<3>(group, [&](const auto& fields) {
        if (fields[0] == wanted)
            found = as_id(fields[2]);
        return found.has_value();
    });
    if (!found)
        return failure("the container's /etc/group has no group '{}'", printable(wanted));
    return *found;
}

}  // namespace

Result<std::string> find_user_name(int root, uint32_t uid) {
    const std::string passwd = TRY(read_database(root, "etc/passwd"));
    auto found = find_in_passwd(passwd, std::to_string(uid));
    return found ? std::move(found->name) : std::string();
}

Result<User> find_user(int root, std::string_view text) {
    if (text.empty())
        return User{.home = "/root"};
    std::string_view rest = text;
    std::string_view name = take_part(rest, ':');
    const bool has_group = name.size() < text.size();
    if (name.empty() || (has_group && rest.empty()))
        return failure("'{}' is not a user: UID, UID:GID, NAME or NAME:GROUP", printable(text));
    std::string passwd = TRY(read_database(root, "etc/passwd"));
    std::optional<Found> found = find_in_passwd(passwd, name);
    const std::optional<uint32_t> id = as_id(name);
    if (!found && !id)
        return failure("the container's /etc/passwd has no user '{}'", printable(name));
    User user = found ? std::move(found->user) : User{.uid = *id};
    if (user.home.empty())
        user.home = "/";
    std::string group = TRY(read_database(root, "etc/group"));
    if (has_group)
        user.gid = TRY(find_group(group, rest));
    else if (found)
        user.groups = groups_of(group, found->name);
    return user;
}

}  // namespace sigil::isolation
