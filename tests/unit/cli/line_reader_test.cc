#include "cli/line_reader.h"

#include <algorithm>
#include <string>
#include <vector>

#include "temp_dir.h"

namespace sigil::cli {
namespace {

struct Read {
    uint64_t number;
    std::string text;
    bool is_too_long;
    bool operator==(const Read&) const = default;
};

void PrintTo(const Read& read, std::ostream* out) {
    *out << read.number << " '" << read.text.substr(0, 40) << "' " << read.text.size()
         << (read.is_too_long ? " too long" : "");
}

void take(LineReader& reader, std::vector<Read>& lines) {
    while (auto line = reader.next())
        lines.push_back({line->number, std::string(line->text), line->is_too_long});
}

// All lines of `text`, fed in pieces of `size` bytes.
std::vector<Read> read_lines(std::string_view text, size_t size) {
    LineReader reader;
    std::vector<Read> lines;
    for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) {
        reader.feed(text.substr(0, size));
        take(reader, lines);
    }
    reader.finish();
    take(reader, lines);
    return lines;
}

std::vector<Read> plain(std::initializer_list<const char*> texts) {
    std::vector<Read> lines;
    for (const char* text : texts)
        lines.push_back({lines.size() + 1, text, false});
    return lines;
}

TEST(LineReader, CutsAtNewlinesWhateverThePieces) {
    for (size_t size : {1U, 2U, 3U, 5U, 100U}) {
        SCOPED_TRACE(size);
        EXPECT_EQ(read_lines("one\ntwo\n\nfour\n", size), plain({"one", "two", "", "four"}));
    }
}

TEST(LineReader, TakesALastLineWithoutANewline) {
    EXPECT_EQ(read_lines("one\ntwo", 2), plain({"one", "two"}));
    EXPECT_EQ(read_lines("one", 100), plain({"one"}));
}

TEST(LineReader, HasNoLineInNothing) {
    EXPECT_EQ(read_lines("", 1), plain({}));
    EXPECT_EQ(read_lines("\n", 1), plain({""}));
}

TEST(LineReader, WaitsForTheRestOfALine) {
    LineReader reader;
    reader.feed(std::string_view("on"));
    EXPECT_FALSE(reader.next());
    reader.feed(std::string_view("e\ntw"));
    EXPECT_EQ(reader.next()->text, "one");
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.next());
    reader.feed({});
    reader.finish();
    EXPECT_EQ(reader.next()->text, "tw");
    EXPECT_FALSE(reader.next());
}

TEST(LineReader, ToleratesCarriageReturns) {
    for (size_t size : {1U, 2U, 100U})
        EXPECT_EQ(read_lines("a\r\n\r\nb\rc\r\nd\r", size), plain({"a", "", "b\rc", "d"}));
}

TEST(LineReader, KeepsNulBytes) {
    const std::string text("a\0b\n", 4);
    EXPECT_EQ(read_lines(text, 1)[0].text, text.substr(0, 3));
}

TEST(LineReader, TakesTheLongestLine) {
    const std::string longest(kLongestLine, 'x');
    for (const char* end : {"\n", "\r\n", ""})
        for (size_t size : {size_t{4096}, size_t{65537}, 2 * kLongestLine}) {
            SCOPED_TRACE(size);
            const auto lines = read_lines("a\n" + longest + end, size);
            ASSERT_EQ(lines.size(), 2U);
            EXPECT_TRUE(lines[1] == (Read{2, longest, false}));
        }
}

TEST(LineReader, TellsOfATooLongLineOnceAndGoesOnAfterIt) {
    for (size_t length : {kLongestLine + 1, kLongestLine + 2, 3 * kLongestLine})
        for (size_t size : {size_t{4096}, size_t{65537}, 4 * kLongestLine}) {
            SCOPED_TRACE(::testing::Message() << length << " in pieces of " << size);
            const std::vector<Read> expected = {{1, "a", false}, {2, "", true}, {3, "b", false}};
            EXPECT_EQ(read_lines("a\n" + std::string(length, 'x') + "\nb\n", size), expected);
        }
}

TEST(LineReader, TellsOfATooLongLastLineOnce) {
    for (size_t size : {size_t{4096}, 4 * kLongestLine}) {
        const std::vector<Read> expected = {{1, "", true}};
        EXPECT_EQ(read_lines(std::string(2 * kLongestLine, 'x'), size), expected);
    }
}

TEST(LineReader, TellsOfEachOfManyTooLongLines) {
    const std::string line = std::string(kLongestLine + 7, 'x') + "\n";
    const std::vector<Read> expected = {{1, "", true}, {2, "", true}, {3, "c", false}};
    EXPECT_EQ(read_lines(line + line + "c", 10'000), expected);
}

}  // namespace
}  // namespace sigil::cli
