#include "core/environment.h"

#include <string_view>
#include <unordered_set>

namespace sigil {

void keep_last_values(std::vector<std::string>& env) {
    if (env.size() < 2)
        return;
    std::unordered_set<std::string_view> seen;
    std::vector<bool> is_overruled(env.size());
    for (size_t index = env.size(); index-- > 0;) {
        const std::string_view entry = env[index];
        is_overruled[index] = !seen.insert(entry.substr(0, entry.find('='))).second;
    }
    size_t kept = 0;
    for (size_t index = 0; index < env.size(); ++index) {
        if (is_overruled[index])
            continue;
        if (kept != index)
            env[kept] = std::move(env[index]);
        ++kept;
    }
    env.resize(kept);
}

}  // namespace sigil
