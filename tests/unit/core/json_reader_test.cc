#include "core/json_reader.h"

#include <string>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using Strings = std::vector<std::string>;

JsonDocument document(std::string_view text) {
    auto parsed = JsonDocument::parse(text);
    EXPECT_TRUE(parsed) << message_of(parsed);
    return std::move(*parsed);
}

std::string repeat(std::string_view part, size_t times) {
    std::string text;
    for (size_t count = 0; count < times; ++count)
        text += part;
    return text;
}

// ---- the document -----------------------------------------------------------------------------

TEST(JsonDocument, TellsWhereTheTextIsWrong) {
    const std::pair<const char*, const char*> cases[] = {
        {"", "line 1, column 1: the document is empty"},
        {"{\n  \"a\": 1,\n  }", "line 3, column 3: missing a name for object member"},
        {"{\"a\" 1}", "line 1, column 6: missing a colon after a name of object member"},
        {"{} {}", "line 1, column 4: the document root must not be followed by other values"},
        {"{\"a\":\"\xff\"}", "line 1, column 7: invalid encoding in string"},
        {"[]", "not a JSON object"},
        {"1", "not a JSON object"},
    };
    for (const auto& [text, expected] : cases)
        EXPECT_EQ(message_of(JsonDocument::parse(text)), expected) << text;
}

TEST(JsonDocument, RefusesNulBytes) {
    using namespace std::string_view_literals;
    EXPECT_EQ(message_of(JsonDocument::parse("{}\0{"sv)), "line 1, column 3: a NUL byte");
    EXPECT_EQ(message_of(JsonDocument::parse("{\"a\0\":1}"sv)), "line 1, column 4: a NUL byte");
    EXPECT_EQ(message_of(JsonDocument::parse("{\"a\\\0\":1}"sv)), "line 1, column 5: a NUL byte");
}

TEST(JsonDocument, RefusesDeepNestingInsteadOfFallingOffTheStack) {
    constexpr size_t kDeep = 100'000;
    EXPECT_EQ(
        message_of(JsonDocument::parse("{\"a\":" + repeat("[", kDeep) + repeat("]", kDeep) + "}")),
        "line 1, column 10005: nested deeper than 10000 levels");
    EXPECT_HOLDS(message_of(JsonDocument::parse(repeat("{\"a\":", kDeep))), "nested deeper than");
    EXPECT_TRUE(JsonDocument::parse("{\"a\":" + repeat("[", 9'999) + repeat("]", 9'999) + "}"));
    EXPECT_TRUE(JsonDocument::parse("{\"a\":\"" + repeat("[", kDeep) + "\\\"" + repeat("{", kDeep) +
                                    "\"}"));
}

TEST(JsonDocument, RefusesWhatIsTooLarge) {
    const std::string text = "{\"a\":\"" + std::string(JsonDocument::kLargest, 'x') + "\"}";
    EXPECT_EQ(message_of(JsonDocument::parse(text)), "longer than 67108864 bytes");
}

// ---- values -----------------------------------------------------------------------------------

TEST(Json, ReadsEachType) {
    const JsonDocument json = document(
        R"({"s":"text","b":true,"n":-5,"u":18446744073709551615,"l":["a","b"],"o":{"x":1}})");
    const Json root = json.root();
    std::string text;
    bool flag = false;
    int number = 0;
    uint64_t large = 0;
    Strings list;
    EXPECT_TRUE(root.read("s", text));
    EXPECT_TRUE(root.read("b", flag));
    EXPECT_TRUE(root.read("n", number));
    EXPECT_TRUE(root.read("u", large));
    EXPECT_TRUE(root.read("l", list));
    EXPECT_EQ(text, "text");
    EXPECT_TRUE(flag);
    EXPECT_EQ(number, -5);
    EXPECT_EQ(large, UINT64_MAX);
    EXPECT_EQ(list, (Strings{"a", "b"}));
    const auto object = root.object("o");
    ASSERT_TRUE(object && *object);
    EXPECT_EQ(*(*object)->need_whole<int>("x"), 1);
}

TEST(Json, LeavesAloneWhatIsNotThereOrNull) {
    const JsonDocument json = document(R"({"null":null})");
    const Json root = json.root();
    for (const char* key : {"null", "nowhere"}) {
        std::string text = "before";
        std::optional<int> number;
        Strings list = {"before"};
        EXPECT_TRUE(root.read(key, text));
        EXPECT_TRUE(root.read(key, number));
        EXPECT_TRUE(root.read(key, list));
        EXPECT_EQ(text, "before");
        EXPECT_FALSE(number);
        EXPECT_EQ(list, Strings{"before"});
        EXPECT_FALSE(*root.object(key));
        EXPECT_EQ(message_of(root.need(key)), std::string(key) + ": is missing");
    }
}

TEST(Json, TellsWhatItIsNot) {
    const JsonDocument json = document(
        R"({"n":1,"s":"x","f":1.5,"e":1e3,"z":"a\u0000b","big":18446744073709551616,"l":[1]})");
    const Json root = json.root();
    std::string text;
    bool flag = false;
    int number = 0;
    Strings list;
    EXPECT_EQ(message_of(root.read("n", text)), "n: not a string");
    EXPECT_EQ(message_of(root.read("z", text)), "z: a NUL byte in a string");
    EXPECT_EQ(message_of(root.read("n", flag)), "n: neither true nor false");
    EXPECT_EQ(message_of(root.read("s", number)), "s: not a number");
    EXPECT_EQ(message_of(root.read("f", number)), "f: 1.5 is not a whole number that fits");
    EXPECT_EQ(message_of(root.read("e", number)), "e: 1000 is not a whole number that fits");
    EXPECT_HOLDS(message_of(root.read("big", number)), "is not a whole number that fits");
    EXPECT_EQ(message_of(root.read("n", number, 2, 3)), "n: 1 is not from 2 to 3");
    EXPECT_EQ(message_of(root.read("n", list)), "n: not an array");
    EXPECT_EQ(message_of(root.read("l", list)), "l[0]: not a string");
    EXPECT_EQ(message_of(root.object("l")), "l: not an object");
}

TEST(Json, HoldsTheWholeRangeOfEachInteger) {
    const JsonDocument json = document(
        R"({"low":-9223372036854775808,"high":9223372036854775807,"byte":256,"minus":-1})");
    const Json root = json.root();
    int64_t number = 0;
    EXPECT_TRUE(root.read("low", number));
    EXPECT_EQ(number, INT64_MIN);
    EXPECT_TRUE(root.read("high", number));
    EXPECT_EQ(number, INT64_MAX);
    uint8_t byte = 0;
    EXPECT_EQ(message_of(root.read("byte", byte)), "byte: 256 is not from 0 to 255");
    EXPECT_EQ(message_of(root.read("minus", byte)), "minus: -1 is not from 0 to 255");
}

TEST(Json, TakesTheLastOfSeveralByOneName) {
    const JsonDocument json = document(R"({"a":1,"a":2,"m":{"x":"1","y":"2","x":"3"}})");
    const Json root = json.root();
    int number = 0;
    EXPECT_TRUE(root.read("a", number));
    EXPECT_EQ(number, 2);
    Strings seen;
    EXPECT_TRUE(root.each_member("m", [&](std::string_view name, const Json& value) {
        seen.push_back(std::string(name) + std::string(*value.text()));
        return Result<void>();
    }));
    EXPECT_EQ(seen, (Strings{"y2", "x3"}));
}

TEST(Json, KnowsItsPath) {
    const JsonDocument json = document(R"({"a":{"b":[{"c":1},{"net.x":[true],"e\u001b":{}}]}})");
    const Json root = json.root();
    EXPECT_EQ(root.path(), "");
    const Json a = *root.find("a");
    Strings paths;
    EXPECT_TRUE(a.each("b", [&](const Json& element) {
        paths.push_back(element.path());
        for (const char* key : {"c", "net.x", "e\x1b"})
            if (const auto found = element.find(key))
                paths.push_back(found->path());
        return Result<void>();
    }));
    EXPECT_EQ(paths,
              (Strings{"a.b[0]", "a.b[0].c", "a.b[1]", "a.b[1][\"net.x\"]", "a.b[1][\"e\\x1b\"]"}));
}

}  // namespace
}  // namespace sigil
