// JSON read by type: each value knows where it stands, so that what is wrong with it is told with
// its path: "process.rlimits[1].type: not a string".
//
// A JsonDocument owns all. A Json is a place in it, as cheap as a few pointers: it must not outlive
// the document, nor the Json that it was found in.
#pragma once

#include <stdint.h>

#include <concepts>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rapidjson/error/error.h>
#include <rapidjson/fwd.h>

#include "core/error.h"
#include "core/try.h"

namespace sigil {

// Holds every integer of JSON that is one of C's, whatever its sign.
using Whole = __int128;

template <typename T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

class Json {
  public:
    Json(const rapidjson::Value& value, const Json* parent, std::string_view key,
         size_t index = SIZE_MAX)
        : value_(&value), parent_(parent), key_(key), index_(index) {}

    // "linux.sysctl[\"net.core.somaxconn\"]"; empty: the whole document.
    [[nodiscard]] std::string path() const;
    // An error of this value: "path: text".
    template <typename... Args>
    tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) const {
        return fail_with(fmt::format(format, std::forward<Args>(args)...));
    }

    // ---- what it is; an error if it is something else
    [[nodiscard]] Result<void> check_object() const;
    [[nodiscard]] Result<std::string_view> text() const;  // without NUL bytes
    [[nodiscard]] Result<bool> flag() const;
    [[nodiscard]] Result<Whole> whole(Whole least, Whole most) const;

    // ---- properties; this must be an object. A property that is null is not there, as the engines
    // that are written in Go mean it. Of several by one name, the last counts.
    [[nodiscard]] std::optional<Json> find(const char* key) const;
    [[nodiscard]] Result<Json> need(const char* key) const;
    // Nothing: it is not there.
    [[nodiscard]] Result<std::optional<Json>> object(const char* key) const;

    // One that must be there.
    template <Integer T>
    Result<T> need_whole(const char* key, T least = std::numeric_limits<T>::min(),
                         T most = std::numeric_limits<T>::max()) const {
        const Json value = TRY(need(key));
        return static_cast<T>(TRY(value.whole(least, most)));
    }

    // Each leaves `into` as it is where the property is not there.
    Result<void> read(const char* key, std::string& into) const;
    Result<void> read(const char* key, bool& into) const;
    Result<void> read(const char* key, std::vector<std::string>& into) const;
    template <Integer T>
    Result<void> read(const char* key, T& into, T least = std::numeric_limits<T>::min(),
                      T most = std::numeric_limits<T>::max()) const {
        if (const auto value = find(key))
            into = static_cast<T>(TRY(value->whole(least, most)));
        return {};
    }
    template <Integer T>
    Result<void> read(const char* key, std::optional<T>& into,
                      T least = std::numeric_limits<T>::min(),
                      T most = std::numeric_limits<T>::max()) const {
        T value = {};
        if (!find(key))
            return {};
        TRY(read(key, value, least, most));
        into = value;
        return {};
    }

    // Calls act(element) for each of an array, which must be objects.
    template <typename Act>
    Result<void> each(const char* key, const Act& act) const {
        for (const Json& element : TRY(elements(key))) {
            TRY(element.check_object());
            TRY(act(element));
        }
        return {};
    }
    // The same, of any type.
    template <typename Act>
    Result<void> each_value(const char* key, const Act& act) const {
        for (const Json& element : TRY(elements(key)))
            TRY(act(element));
        return {};
    }
    // Calls act(name, value) for each property of an object whose names are free.
    template <typename Act>
    Result<void> each_member(const char* key, const Act& act) const {
        const auto map = TRY(object(key));
        if (!map)
            return {};
        for (const Json& member : TRY(map->members()))
            TRY(act(member.key_, member));
        return {};
    }

  private:
    friend class JsonDocument;
    [[nodiscard]] tl::unexpected<Error> fail_with(std::string text) const;
    // An array's elements, this one's children by key and index; none where it is not there.
    [[nodiscard]] Result<std::vector<Json>> elements(const char* key) const;
    [[nodiscard]] Result<std::vector<Json>> members() const;

    static constexpr size_t kNoIndex = SIZE_MAX;

    const rapidjson::Value* value_;
    const Json* parent_;       // null: the whole document
    std::string_view key_;     // of the parent's property
    size_t index_ = kNoIndex;  // of the element in that property, an array
};

class JsonDocument {
  public:
    // Bytes, and brackets in brackets.
    static constexpr size_t kLargest = 64 << 20;
    static constexpr size_t kDeepest = 10'000;

    // The text of one object. What is wrong is told by line and column.
    static Result<JsonDocument> parse(std::string_view text);

    JsonDocument(JsonDocument&&) noexcept;
    JsonDocument& operator=(JsonDocument&&) noexcept;
    ~JsonDocument();

    [[nodiscard]] Json root() const;

  private:
    explicit JsonDocument(std::unique_ptr<rapidjson::Document> document);
    std::unique_ptr<rapidjson::Document> document_;
};

// "missing a comma or } after an object member"
std::string describe(rapidjson::ParseErrorCode code);

}  // namespace sigil
