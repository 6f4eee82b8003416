// The keys of a line of --from: the options of `sigil run`, and a few that mean more than their
// text.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/error.h"

namespace sigil::cli {

enum class KeyKind : uint8_t {
    option,
    args,
    env,
    mounts,
    init,
    cap_add,
    cap_drop,
    capabilities,
    bundle
};

struct Key {
    KeyKind kind;
    size_t row;  // of the option that stands behind it, or a number of its own below kMostKeyRows
};

inline constexpr size_t kMostKeyRows = 128;
inline constexpr size_t kLongestKey = 64;

// Every key that is known, by its name with dashes. Built once.
class Keys {
  public:
    static const Keys& all();

    // "_" and "-" are the same. An error suggests a key that is near.
    [[nodiscard]] Result<Key> find(std::string_view name) const;
    // Of an option that is there.
    [[nodiscard]] size_t row(std::string_view option) const {
        return by_name_.find(option)->second.row;
    }

  private:
    Keys();
    void suggest(std::string name);

    std::unordered_map<std::string_view, Key> by_name_;
    std::vector<std::string> underscored_;
    std::vector<const char*> suggestions_;
};

// Of a container whose bundle says what it is.
bool may_be_beside_a_bundle(Key key);

}  // namespace sigil::cli
