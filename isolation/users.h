// Users by name, as the container's own /etc/passwd and /etc/group have them (passwd(5), group(5)).
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace sigil::isolation {

struct User {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> groups;  // supplementary
    std::string home = "/";
};

// `text`: "", "UID", "UID:GID", "NAME", "NAME:GROUP" and mixtures. Empty is root, and reads no
// file. A number that passwd doesn't hold is a user all the same; a name must be there. Without a
// group the user gets the one of passwd (0 if it has none) and those that /etc/group lists the name
// in.
Result<User> find_user(int root, std::string_view text);

// The name that passwd has for a number; empty: none.
Result<std::string> find_user_name(int root, uint32_t uid);

}  // namespace sigil::isolation
