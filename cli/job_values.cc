#include "cli/job_values.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>

#include "cli/container_words.h"
#include "cli/job_keys.h"
#include "cli/options.h"
#include "core/parse.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;
using Value = JobValue;

// A number as it would be written for an option, without an exponent.
Result<std::string> write_number(const Value& value) {
    if (value.IsUint64())
        return fmt::format("{}", value.GetUint64());
    if (value.IsInt64())
        return fmt::format("{}", value.GetInt64());
    const double number = value.GetDouble();
    if (std::abs(number) >= 1e20)
        return failure("the number is out of range");
    return number == std::trunc(number) ? fmt::format("{:.0f}", number) : fmt::format("{}", number);
}

constexpr std::array kMountKeys = {"type", "source", "target", "options"};

Result<size_t> find_mount_key(Text name) {
    const Text known = name == "destination" ? "target" : name;
    const auto found = std::ranges::find(kMountKeys, known);
    if (found != kMountKeys.end())
        return static_cast<size_t>(found - kMountKeys.begin());
    if (const char* meant = name.size() <= kLongestKey ? nearest(name, kMountKeys) : nullptr)
        return failure("unknown key '{}'; did you mean '{}'?", printable(name), meant);
    return failure("unknown key '{}'", printable(name.substr(0, kLongestKey)));
}

}  // namespace

Result<Text> read_string(const Value& value) {
    if (!value.IsString())
        return failure("not a string");
    if (view(value).find('\0') != Text::npos)
        return failure("a NUL byte in a string");
    return view(value);
}

Result<Text> read_text(const Value& value, std::string& scratch) {
    if (!value.IsNumber()) {
        if (!value.IsString())
            return failure("neither a string nor a number");
        return read_string(value);
    }
    scratch = TRY(write_number(value));
    return Text(scratch);
}

Result<bool> read_bool(const Value& value) {
    if (!value.IsBool())
        return failure("neither true nor false");
    return value.GetBool();
}

Result<void> check_is_array(const Value& value) {
    if (!value.IsArray())
        return failure("not an array");
    return {};
}

Result<void> check_names_differ(const Value& object) {
    std::vector<Text> names;
    for (const auto& member : object.GetObject())
        names.push_back(view(member.name));
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end())
        return failure("'{}' is given twice", printable(*twice));
    return {};
}

Result<void> add_mount_object(Spec& spec, const Value& object) {
    Mount mount = {.type = "bind", .source = {}, .target = {}, .options = {}, .origin = {}};
    bool read_only = false;
    std::bitset<kMountKeys.size()> seen;
    for (const auto& member : object.GetObject()) {
        const Text name = view(member.name);
        const size_t key = TRY(find_mount_key(name));
        if (seen[key])
            return failure("'{}' is given twice", name);
        seen[key] = true;
        if (name == "options") {
            TRY(check_is_array(member.value), "options");
            auto add_option = [&](const Value& option) -> Result<void> {
                const Text text = TRY(read_string(option));
                if (text == "ro")
                    read_only = true;
                else
                    mount.options.emplace_back(text);
                return {};
            };
            TRY(for_each(name, member.value, add_option));
        } else {
            std::string& field = key == 0 ? mount.type : key == 1 ? mount.source : mount.target;
            field = TRY(read_string(member.value), "{}", name);
        }
    }
    mount.origin = "mount on " + printable(mount.target);
    return add_mount(spec, std::move(mount), read_only);
}

}  // namespace sigil::cli
