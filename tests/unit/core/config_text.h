// Configurations for tests: a small one, with a part of it changed.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace sigil::testing {

inline constexpr std::string_view kSmallConfig = R"({
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["true"]},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "mount"},
                             {"type": "uts"}, {"type": "ipc"}]}
})";

// JSON Merge Patch (RFC 7396): objects are merged, null takes a member away, all else replaces.
inline void merge(rapidjson::Value& into, rapidjson::Value& patch,
                  rapidjson::Document::AllocatorType& allocator) {
    if (!patch.IsObject()) {
        into.CopyFrom(patch, allocator);
        return;
    }
    if (!into.IsObject())
        into.SetObject();
    for (auto& member : patch.GetObject()) {
        if (member.value.IsNull()) {
            into.RemoveMember(member.name);
            continue;
        }
        if (!into.HasMember(member.name)) {
            rapidjson::Value name(member.name, allocator);
            into.AddMember(name, rapidjson::Value(), allocator);
        }
        merge(into[member.name], member.value, allocator);
    }
}

// kSmallConfig with `patch`.
inline std::string config_with(std::string_view patch) {
    rapidjson::Document config;
    rapidjson::Document change;
    config.Parse(kSmallConfig.data(), kSmallConfig.size());
    change.Parse(patch.data(), patch.size());
    EXPECT_FALSE(config.HasParseError());
    EXPECT_FALSE(change.HasParseError()) << patch;
    if (change.HasParseError())
        return {};
    merge(config, change, config.GetAllocator());
    rapidjson::StringBuffer buffer;
    rapidjson::Writer writer(buffer);
    config.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace sigil::testing
