// JSON as sigil writes it: RapidJSON's writer, with members in one call.
#pragma once

#include <stdint.h>

#include <optional>
#include <string_view>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace sigil {

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

inline void add(JsonWriter& json, const char* key, std::string_view value) {
    json.Key(key);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

inline void add(JsonWriter& json, const char* key, int64_t value) {
    json.Key(key);
    json.Int64(value);
}

inline void add_number(JsonWriter& json, const char* key, uint64_t value) {
    json.Key(key);
    json.Uint64(value);
}

// Null: there is none. So is UINT64_MAX, a limit that isn't there.
inline void add_limit(JsonWriter& json, const char* key, std::optional<uint64_t> value) {
    json.Key(key);
    if (value && *value != UINT64_MAX)
        json.Uint64(*value);
    else
        json.Null();
}

}  // namespace sigil
