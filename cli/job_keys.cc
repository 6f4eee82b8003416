#include "cli/job_keys.h"

#include <assert.h>

#include <algorithm>
#include <array>

#include "cli/run_options.h"
#include "core/parse.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;

struct Alias {
    const char* name;
    const char* option;  // null: none stands behind it
    KeyKind kind = KeyKind::option;
};

constexpr std::array kAliases = {
    Alias{"id", "name"},
    Alias{"cwd", "workdir"},
    Alias{"binds", "bind"},
    Alias{"pids", "pids-limit"},
    Alias{"ulimits", "ulimit"},
    Alias{"devices", "device"},
    Alias{"env", "env", KeyKind::env},
    Alias{"mount", "mount", KeyKind::mounts},
    Alias{"mounts", "mount", KeyKind::mounts},
    Alias{"init", "no-init", KeyKind::init},
    Alias{"cap-add", "cap-add", KeyKind::cap_add},
    Alias{"cap-drop", "cap-drop", KeyKind::cap_drop},
    Alias{"args", nullptr, KeyKind::args},
    Alias{"capabilities", nullptr, KeyKind::capabilities},
    Alias{"bundle", nullptr, KeyKind::bundle},
};

// Of a container whose bundle says what it is: what may be said beside it.
constexpr std::array kBesideABundle = {
    "name",        "env",        "workdir",     "timeout",     "stop-timeout",  "stop-signal",
    "restart",     "memory",     "memory-high", "memory-swap", "oom-group",     "cpus",
    "cpuset-cpus", "pids-limit", "io-max",      "cgroup-set",  "cgroup-parent", "after",
    "stdin",       "stdout",     "stderr"};

}  // namespace

const Keys& Keys::all() {
    static const Keys keys;
    return keys;
}

Result<Key> Keys::find(Text name) const {
    std::array<char, kLongestKey> dashed;
    if (name.size() > dashed.size())
        return failure("unknown key '{}...'", printable(name.substr(0, dashed.size())));
    std::ranges::replace_copy(name, dashed.begin(), '_', '-');
    const auto found = by_name_.find(Text(dashed.data(), name.size()));
    if (found != by_name_.end())
        return found->second;
    if (const char* meant = name.empty() ? nullptr : nearest(name, suggestions_))
        return failure("unknown key '{}'; did you mean '{}'?", printable(name), meant);
    return failure("unknown key '{}'", printable(name));
}

Keys::Keys() {
    const auto options = run_options();
    for (size_t row = 0; row < options.size(); ++row) {
        by_name_[options[row].name] = {KeyKind::option, row};
        if (!options[row].of_run)
            suggest(options[row].name);
    }
    for (const Alias& alias : kAliases) {
        by_name_[alias.name] = {alias.kind, alias.option ? row(alias.option) : by_name_.size()};
        suggest(alias.name);
    }
    assert(by_name_.size() <= kMostKeyRows);
    for (const std::string& name : underscored_)
        suggestions_.push_back(name.c_str());
}

void Keys::suggest(std::string name) {
    std::ranges::replace(name, '-', '_');
    underscored_.push_back(std::move(name));
}

bool may_be_beside_a_bundle(Key key) {
    switch (key.kind) {
        case KeyKind::args:
        case KeyKind::env:
        case KeyKind::bundle:
            return true;
        case KeyKind::option:
            return std::ranges::find(kBesideABundle, Text(run_options()[key.row].name)) !=
                   kBesideABundle.end();
        default:
            return false;
    }
}

}  // namespace sigil::cli
