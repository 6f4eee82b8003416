#include "podman_profile.h"

#include <algorithm>
#include <string_view>

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "failure.h"
#include "process.h"

namespace sigil::bench {

namespace {

using rapidjson::Value;

constexpr std::string_view kArchitecture = "amd64";

using Capabilities = std::span<const char* const>;

const Value* member(const Value& object, const char* key) {
    const auto found = object.FindMember(key);
    return found == object.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

bool is_among(const Value& words, std::string_view word) {
    return std::ranges::any_of(words.GetArray(),
                               [&](const Value& one) { return word == one.GetString(); });
}

bool has_one_of(const Value& words, Capabilities capabilities) {
    return std::ranges::any_of(capabilities, [&](const char* one) { return is_among(words, one); });
}

bool has_all_of(const Value& words, Capabilities capabilities) {
    return std::ranges::all_of(words.GetArray(), [&](const Value& one) {
        return std::ranges::find(capabilities, std::string_view(one.GetString())) !=
               capabilities.end();
    });
}

// As containers/common's seccomp package has it.
bool applies(const Value& rule, Capabilities capabilities) {
    if (const Value* excludes = member(rule, "excludes")) {
        const Value* arches = member(*excludes, "arches");
        const Value* caps = member(*excludes, "caps");
        if ((arches && is_among(*arches, kArchitecture)) ||
            (caps && has_one_of(*caps, capabilities)))
            return false;
    }
    if (const Value* includes = member(rule, "includes")) {
        const Value* arches = member(*includes, "arches");
        const Value* caps = member(*includes, "caps");
        if ((arches && !is_among(*arches, kArchitecture)) ||
            (caps && !has_all_of(*caps, capabilities)))
            return false;
    }
    return true;
}

}  // namespace

std::string podman_profile(const std::string& file, Capabilities capabilities) {
    rapidjson::Document profile;
    profile.Parse(read_file(file).c_str());
    if (profile.HasParseError() || !profile.IsObject() || !member(profile, "syscalls"))
        fail("{} cannot be read, or is no seccomp profile", file);
    auto& memory = profile.GetAllocator();
    Value rules(rapidjson::kArrayType);
    for (Value& rule : profile["syscalls"].GetArray()) {
        if (!applies(rule, capabilities))
            continue;
        for (const char* key : {"includes", "excludes", "errno", "comment"})
            rule.RemoveMember(key);
        rules.PushBack(rule, memory);
    }
    profile["syscalls"] = rules;
    Value architectures(rapidjson::kArrayType);
    for (const char* name : {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"})
        architectures.PushBack(Value(name, memory), memory);
    profile.AddMember("architectures", architectures, memory);
    for (const char* key : {"archMap", "defaultErrno"})
        profile.RemoveMember(key);
    rapidjson::StringBuffer text;
    rapidjson::Writer<rapidjson::StringBuffer> writer(text);
    profile.Accept(writer);
    return text.GetString();
}

}  // namespace sigil::bench
