// The values of a line of --from, as the options take them. Errors do not name the place: the
// caller does.
#pragma once

#include <string>
#include <string_view>

#include <rapidjson/document.h>

#include "core/error.h"
#include "core/spec.h"
#include "core/try.h"

namespace sigil::cli {

using JobValue = rapidjson::Value;

inline std::string_view view(const JobValue& string) {
    return {string.GetString(), string.GetStringLength()};
}

Result<std::string_view> read_string(const JobValue& value);
// An option's text: a string or a number. `scratch` holds what a number becomes.
Result<std::string_view> read_text(const JobValue& value, std::string& scratch);
Result<bool> read_bool(const JobValue& value);
Result<void> check_is_array(const JobValue& value);
// Of an object whose names are free to choose: keys would be told apart by the table.
Result<void> check_names_differ(const JobValue& object);
// {"type":"bind","source":"/a","target":"/b","options":["ro"]}
Result<void> add_mount_object(Spec& spec, const JobValue& object);

// Calls act(element) for each element of an array, or for the one value that is none; what fails is
// at `path`, or at path[n].
template <typename Act>
Result<void> for_each(std::string_view path, const JobValue& value, const Act& act) {
    if (!value.IsArray()) {
        TRY(act(value), "{}", path);
        return {};
    }
    for (rapidjson::SizeType index = 0; index < value.Size(); ++index)
        TRY(act(value[index]), "{}[{}]", path, index);
    return {};
}

}  // namespace sigil::cli
