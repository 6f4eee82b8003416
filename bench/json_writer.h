// Pieces of the JSON files.

#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include "bars.h"
#include "failure.h"

namespace sigil::bench {

using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

inline void put(Writer& json, const char* key, const std::string& value) {
    json.Key(key);
    json.String(value.c_str());
}

inline void put(Writer& json, const char* key, const char* value) {
    put(json, key, std::string(value));
}

inline void put(Writer& json, const char* key, double value) {
    json.Key(key);
    json.Double(value);
}

inline void put(Writer& json, const char* key, long value) {
    json.Key(key);
    json.Int64(value);
}

inline void put(Writer& json, const char* key, int value) {
    put(json, key, long{value});
}

inline void put(Writer& json, const char* key, bool value) {
    json.Key(key);
    json.Bool(value);
}

// An array of objects, each filled in by `fill`.
template <typename Rows, typename Fill>
inline void put_rows(Writer& json, const char* key, const Rows& rows, Fill fill) {
    json.Key(key);
    json.StartArray();
    for (const auto& row : rows) {
        json.StartObject();
        fill(row);
        json.EndObject();
    }
    json.EndArray();
}

inline void put_bars(Writer& json, const char* key, const std::vector<Bar>& bars) {
    put_rows(json, key, bars, [&](const Bar& bar) {
        put(json, "subject", bar.subject);
        put(json, "against", bar.against);
        put(json, "value", bar.value);
        put(json, "limit", bar.limit);
        put(json, "at_least", bar.at_least);
        put(json, "met", bar.met());
    });
}

inline void save(const rapidjson::StringBuffer& buffer, const std::string& path) {
    std::ofstream file(path);
    file << buffer.GetString() << '\n';
    file.close();
    if (!file)
        fail("write {}", path);
}

}  // namespace sigil::bench
