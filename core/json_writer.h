// JSON as sigil writes it: RapidJSON's writer, with members in one call.
#pragma once

#include <stdint.h>

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

}  // namespace sigil
