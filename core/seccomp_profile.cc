#include "core/seccomp_profile.h"

#include <errno.h>
#include <string.h>

#include <optional>
#include <utility>

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include "core/parse.h"
#include "core/try.h"

namespace sigil {
namespace {

using Text = std::string_view;
using rapidjson::Value;

// What this binary runs on, in the words of Go and of libseccomp.
constexpr Text kMachine = "amd64";
constexpr Text kArchitecture = "SCMP_ARCH_X86_64";

// ---- members ----------------------------------------------------------------------------------

// Null: it is not there, or is null.
const Value* find(const Value& object, const char* key) {
    const auto member = object.FindMember(key);
    return member == object.MemberEnd() || member->value.IsNull() ? nullptr : &member->value;
}

Result<void> check_object(const Value& value, const std::string& path) {
    if (!value.IsObject())
        return failure("{}: not an object", path);
    return {};
}

Result<std::string> read_string(const Value& value, const std::string& path) {
    if (!value.IsString())
        return failure("{}: not a string", path);
    return std::string(value.GetString(), value.GetStringLength());
}

// Empty where it is not there.
Result<std::string> read_string(const Value& object, const char* key, const std::string& prefix) {
    const Value* value = find(object, key);
    return value ? read_string(*value, prefix + key) : std::string();
}

Result<uint64_t> read_number(const Value& value, uint64_t limit, const std::string& path) {
    if (!value.IsUint64())
        return failure("{}: not a number without sign", path);
    if (value.GetUint64() > limit)
        return failure("{}: {} is more than {}", path, value.GetUint64(), limit);
    return value.GetUint64();
}

Result<uint64_t> read_number(const Value& object, const char* key, uint64_t limit,
                             const std::string& prefix) {
    const Value* value = find(object, key);
    return value ? read_number(*value, limit, prefix + key) : uint64_t{0};
}

template <typename Act>
Result<void> for_each(const Value& object, const char* key, const std::string& prefix,
                      const Act& act) {
    const Value* array = find(object, key);
    if (!array)
        return {};
    if (!array->IsArray())
        return failure("{}{}: not an array", prefix, key);
    for (rapidjson::SizeType index = 0; index < array->Size(); ++index)
        TRY(act((*array)[index], fmt::format("{}{}[{}]", prefix, key, index)));
    return {};
}

Result<std::vector<std::string>> read_strings(const Value& object, const char* key,
                                              const std::string& prefix) {
    std::vector<std::string> strings;
    auto act = [&](const Value& value, const std::string& path) -> Result<void> {
        strings.push_back(TRY(read_string(value, path)));
        return {};
    };
    TRY(for_each(object, key, prefix, act));
    return strings;
}

// ---- errno: a number, or with podman a name that counts more ------------------------------------

Result<uint32_t> errno_of(const std::string& name, const std::string& path) {
    constexpr int kMost = 4095;
    for (int code = 1; code <= kMost; ++code)
        if (const char* known = ::strerrorname_np(code); known && name == known)
            return static_cast<uint32_t>(code);
    return failure("{}: '{}' is not the name of an errno", path, printable(name));
}

Result<std::optional<uint32_t>> read_errno(const Value& object, const char* name_key,
                                           const char* number_key, const std::string& prefix) {
    const std::string name = TRY(read_string(object, name_key, prefix));
    if (!name.empty())
        return TRY(errno_of(name, prefix + name_key));
    const Value* number = find(object, number_key);
    if (!number)
        return std::nullopt;
    return static_cast<uint32_t>(TRY(read_number(*number, UINT32_MAX, prefix + number_key)));
}

// ---- whom a rule is for -------------------------------------------------------------------------

bool has_capability(const ProfileFacts& facts, const std::string& name) {
    const auto bit = facts.capability(name);
    return bit && (*bit & facts.capabilities) == *bit;
}

// "4.8".
Result<bool> is_kernel_old(const Value& filter, const ProfileFacts& facts,
                           const std::string& prefix) {
    const std::string text = TRY(read_string(filter, "minKernel", prefix));
    if (text.empty())
        return false;
    const size_t dot = text.find('.');
    auto number = [&](Text part) -> Result<unsigned> {
        constexpr uint64_t kMost = 100'000;
        auto parsed = parse_number(part, kMost);
        if (!parsed)
            return failure("{}minKernel: '{}' is not a version of the kernel", prefix,
                           printable(text));
        return static_cast<unsigned>(*parsed);
    };
    const unsigned major = TRY(number(Text(text).substr(0, dot)));
    const unsigned minor = TRY(number(dot == std::string::npos ? "" : Text(text).substr(dot + 1)));
    return std::pair(facts.kernel_major, facts.kernel_minor) < std::pair(major, minor);
}

struct Filter {
    std::vector<std::string> capabilities;
    std::vector<std::string> machines;
    bool is_kernel_old = false;
    bool has_kernel = false;
};

Result<Filter> read_filter(const Value& rule, const char* key, const ProfileFacts& facts,
                           const std::string& prefix) {
    Filter filter;
    const Value* value = find(rule, key);
    if (!value)
        return filter;
    TRY(check_object(*value, prefix + key));
    const std::string inner = prefix + key + ".";
    filter.capabilities = TRY(read_strings(*value, "caps", inner));
    filter.machines = TRY(read_strings(*value, "arches", inner));
    filter.has_kernel = find(*value, "minKernel") != nullptr;
    filter.is_kernel_old = TRY(is_kernel_old(*value, facts, inner));
    return filter;
}

bool has_machine(const Filter& filter) {
    for (const std::string& machine : filter.machines)
        if (machine == kMachine)
            return true;
    return false;
}

// As Docker has it: all that is included must be so, nothing that is excluded may be.
Result<bool> applies(const Value& rule, const ProfileFacts& facts, const std::string& prefix) {
    const Filter included = TRY(read_filter(rule, "includes", facts, prefix));
    const Filter excluded = TRY(read_filter(rule, "excludes", facts, prefix));
    for (const std::string& name : included.capabilities)
        if (!has_capability(facts, name))
            return false;
    for (const std::string& name : excluded.capabilities)
        if (has_capability(facts, name))
            return false;
    if (!included.machines.empty() && !has_machine(included))
        return false;
    if (has_machine(excluded) || included.is_kernel_old)
        return false;
    return !excluded.has_kernel || excluded.is_kernel_old;
}

// ---- the profile --------------------------------------------------------------------------------

Result<Seccomp::Argument> read_argument(const Value& value, const std::string& path) {
    TRY(check_object(value, path));
    const std::string prefix = path + ".";
    return Seccomp::Argument{
        .index = static_cast<uint32_t>(TRY(read_number(value, "index", UINT32_MAX, prefix))),
        .value = TRY(read_number(value, "value", UINT64_MAX, prefix)),
        .value_two = TRY(read_number(value, "valueTwo", UINT64_MAX, prefix)),
        .op = TRY(read_string(value, "op", prefix)),
    };
}

Result<Seccomp::Rule> read_rule(const Value& value, const ProfileFacts& facts,
                                const std::string& path) {
    TRY(check_object(value, path));
    const std::string prefix = path + ".";
    Seccomp::Rule rule;
    rule.names = TRY(read_strings(value, "names", prefix));
    if (std::string name = TRY(read_string(value, "name", prefix)); !name.empty()) {
        if (!rule.names.empty())
            return failure("{}: both 'name' and 'names'", path);
        rule.names.push_back(std::move(name));  // as profiles had it once
    }
    if (rule.names.empty())
        return failure("{}: no system call is named", path);
    rule.action = TRY(read_string(value, "action", prefix));
    rule.error = TRY(read_errno(value, "errno", "errnoRet", prefix));
    auto act = [&](const Value& argument, const std::string& place) -> Result<void> {
        rule.arguments.push_back(TRY(read_argument(argument, place)));
        return {};
    };
    TRY(for_each(value, "args", prefix, act));
    if (!TRY(applies(value, facts, prefix)))
        rule.names.clear();
    return rule;
}

Result<std::vector<std::string>> read_architectures(const Value& root) {
    std::vector<std::string> architectures = TRY(read_strings(root, "architectures", ""));
    if (!architectures.empty() && find(root, "archMap"))
        return failure("both 'architectures' and 'archMap'");
    auto act = [&](const Value& entry, const std::string& path) -> Result<void> {
        TRY(check_object(entry, path));
        if (TRY(read_string(entry, "architecture", path + ".")) == kArchitecture)
            architectures = TRY(read_strings(entry, "subArchitectures", path + "."));
        return {};
    };
    TRY(for_each(root, "archMap", "", act));
    return architectures;
}

}  // namespace

Result<Seccomp> parse_seccomp_profile(Text text, const ProfileFacts& facts) {
    rapidjson::Document root;
    root.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (root.HasParseError())
        return failure("not JSON: {} at byte {}", rapidjson::GetParseError_En(root.GetParseError()),
                       root.GetErrorOffset());
    if (!root.IsObject())
        return failure("not an object");
    Seccomp profile;
    profile.default_action = TRY(read_string(root, "defaultAction", ""));
    profile.default_error = TRY(read_errno(root, "defaultErrno", "defaultErrnoRet", ""));
    profile.architectures = TRY(read_architectures(root));
    profile.flags = TRY(read_strings(root, "flags", ""));
    profile.listener_path = TRY(read_string(root, "listenerPath", ""));
    profile.listener_metadata = TRY(read_string(root, "listenerMetadata", ""));
    auto act = [&](const Value& rule, const std::string& path) -> Result<void> {
        profile.rules.push_back(TRY(read_rule(rule, facts, path)));
        return {};
    };
    TRY(for_each(root, "syscalls", "", act));
    return profile;
}

}  // namespace sigil
