#include "core/json_reader.h"

#include <algorithm>
#include <unordered_map>

#include <rapidjson/document.h>
#include <rapidjson/error/en.h>

#include "core/parse.h"

namespace sigil {
namespace {

using rapidjson::Value;

std::string_view view(const Value& string) {
    return {string.GetString(), string.GetStringLength()};
}

bool is_plain(std::string_view key) {
    return !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    });
}

// "line 3, column 7"
std::string place(std::string_view text, size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const size_t newline = before.rfind('\n');
    const size_t column = newline == std::string_view::npos ? offset : offset - newline - 1;
    return fmt::format("line {}, column {}", std::ranges::count(before, '\n') + 1, column + 1);
}

// What the parser would not refuse: a NUL byte, which it takes for the end, and more brackets in
// brackets than anything sane has.
Result<void> check_shape(std::string_view text) {
    size_t depth = 0;
    bool is_string = false;
    for (size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\0')
            return failure("{}: a NUL byte", place(text, at));
        if (c == '"')
            is_string = !is_string;
        else if (is_string)
            at += c == '\\' && at + 1 < text.size() && text[at + 1] != '\0';
        else if (c == '{' || c == '[')
            ++depth;
        else if (c == '}' || c == ']')
            depth -= depth > 0;
        if (depth > JsonDocument::kDeepest)
            return failure("{}: nested deeper than {} levels", place(text, at),
                           JsonDocument::kDeepest);
    }
    return {};
}

}  // namespace

std::string describe(rapidjson::ParseErrorCode code) {
    std::string text = rapidjson::GetParseError_En(code);
    if (text.ends_with('.'))
        text.pop_back();
    if (!text.empty())
        text[0] = static_cast<char>(text[0] | 0x20);
    return text;
}

// ---- Json -------------------------------------------------------------------------------------

std::string Json::path() const {
    std::string text;
    if (!parent_)
        return text;
    text = parent_->path();
    if (is_plain(key_))
        text.append(text.empty() ? "" : ".").append(key_);
    else
        text += fmt::format("[\"{}\"]", printable(key_));
    if (index_ != kNoIndex)
        text += fmt::format("[{}]", index_);
    return text;
}

tl::unexpected<Error> Json::fail_with(std::string text) const {
    Error error = Error::because(std::move(text));
    std::string where = path();
    return tl::unexpected(where.empty() ? std::move(error) : std::move(error).in(std::move(where)));
}

Result<void> Json::check_object() const {
    if (!value_->IsObject())
        return fail("not an object");
    return {};
}

Result<std::string_view> Json::text() const {
    if (!value_->IsString())
        return fail("not a string");
    if (view(*value_).find('\0') != std::string_view::npos)
        return fail("a NUL byte in a string");
    return view(*value_);
}

Result<bool> Json::flag() const {
    if (!value_->IsBool())
        return fail("neither true nor false");
    return value_->GetBool();
}

Result<Whole> Json::whole(Whole least, Whole most) const {
    Whole number = 0;
    if (value_->IsUint64())
        number = value_->GetUint64();
    else if (value_->IsInt64())
        number = value_->GetInt64();
    else if (value_->IsNumber())
        return fail("{} is not a whole number that fits", value_->GetDouble());
    else
        return fail("not a number");
    if (number < least || number > most)
        return fail("{} is not from {} to {}", number, least, most);
    return number;
}

std::optional<Json> Json::find(const char* key) const {
    const std::string_view name = key;
    for (auto member = value_->MemberEnd(); member != value_->MemberBegin();) {
        --member;
        if (view(member->name) == name)
            return member->value.IsNull() ? std::nullopt
                                          : std::optional(Json(member->value, this, name));
    }
    return std::nullopt;
}

Result<Json> Json::need(const char* key) const {
    if (const auto found = find(key))
        return *found;
    return Json(*value_, this, key).fail("is missing");
}

Result<std::optional<Json>> Json::object(const char* key) const {
    const auto found = find(key);
    if (found)
        TRY(found->check_object());
    return found;
}

Result<void> Json::read(const char* key, std::string& into) const {
    if (const auto value = find(key))
        into = TRY(value->text());
    return {};
}

Result<void> Json::read(const char* key, bool& into) const {
    if (const auto value = find(key))
        into = TRY(value->flag());
    return {};
}

Result<void> Json::read(const char* key, std::vector<std::string>& into) const {
    const std::vector<Json> values = TRY(elements(key));
    into.reserve(into.size() + values.size());
    for (const Json& value : values)
        into.emplace_back(TRY(value.text()));
    return {};
}

Result<std::vector<Json>> Json::elements(const char* key) const {
    std::vector<Json> all;
    const auto array = find(key);
    if (!array)
        return all;
    if (!array->value_->IsArray())
        return array->fail("not an array");
    all.reserve(array->value_->Size());
    for (rapidjson::SizeType index = 0; index < array->value_->Size(); ++index)
        all.emplace_back((*array->value_)[index], this, array->key_, index);
    return all;
}

Result<std::vector<Json>> Json::members() const {
    std::unordered_map<std::string_view, const Value*> last;
    for (const auto& member : value_->GetObject())
        last[view(member.name)] = &member.value;
    std::vector<Json> all;
    all.reserve(last.size());
    for (const auto& member : value_->GetObject()) {
        if (last[view(member.name)] != &member.value || member.value.IsNull())
            continue;
        all.emplace_back(member.value, this, view(member.name));
        if (all.back().key_.find('\0') != std::string_view::npos)
            return all.back().fail("a NUL byte in a name");
    }
    return all;
}

// ---- JsonDocument -----------------------------------------------------------------------------

JsonDocument::JsonDocument(std::unique_ptr<rapidjson::Document> document)
    : document_(std::move(document)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Json JsonDocument::root() const {
    return {*document_, nullptr, {}};
}

Result<JsonDocument> JsonDocument::parse(std::string_view text) {
    if (text.size() > kLargest)
        return failure("longer than {} bytes", kLargest);
    TRY(check_shape(text));
    // Iterative: the depth of the nesting is the input's choice, our stack is not.
    constexpr unsigned kFlags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    auto document = std::make_unique<rapidjson::Document>();
    document->Parse<kFlags>(text.data(), text.size());
    if (document->HasParseError())
        return failure("{}: {}", place(text, document->GetErrorOffset()),
                       describe(document->GetParseError()));
    if (!document->IsObject())
        return failure("not a JSON object");
    return JsonDocument(std::move(document));
}

}  // namespace sigil
