// The parts of core/spec_reader, a file each, and what they share.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/json_reader.h"
#include "core/parse.h"
#include "core/spec.h"

namespace sigil::spec_reader {

// `process`, a process object.
Result<void> read_process_object(const Json& process, Spec& spec, Oci& oci);
// `root`, a whole config.json: its linux object.
Result<void> read_linux(const Json& root, Spec& spec, Oci& oci);
Result<void> read_seccomp(const Json& seccomp, Seccomp& into);
// What a pids.limit of 0 says: no limit in configs before 1.3, where engines write it for that.
enum class ZeroPids { no_limit, limit };
// `resources`, a linux.resources object.
Result<void> read_resources_object(const Json& resources, Resources& into,
                                   std::vector<DeviceRule>& device_rules, ZeroPids zero_pids);
// The property `key`, an array of LinuxIDMapping.
Result<void> read_id_mappings(const Json& object, const char* key, std::vector<IdMapping>& into);
// What one property says of another's: a hostname wants a namespace for it, and the like.
Result<void> check_linux(const Json& root, const Spec& spec, const Oci& oci);

template <typename T>
struct Named {
    std::string_view name;
    T value;
};

// The value of the string's row in a table; `what` is what all rows are: "a resource limit".
template <typename T, size_t size>
Result<T> find_named(const Json& string, const std::array<Named<T>, size>& table,
                     std::string_view what) {
    const std::string_view name = TRY(string.text());
    const auto row = std::ranges::find(table, name, &Named<T>::name);
    if (row == table.end())
        return string.fail("'{}' is not {}", printable(name), what);
    return row->value;
}

// A property that must be there, an absolute path.
inline Result<void> read_absolute(const Json& object, const char* key, std::string& into) {
    const Json value = TRY(object.need(key));
    const std::string_view path = TRY(value.text());
    if (!path.starts_with('/'))
        return value.fail("'{}' is not an absolute path", printable(path));
    into = path;
    return {};
}

}  // namespace sigil::spec_reader
