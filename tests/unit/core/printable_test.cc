// What printable() lets through to a terminal and into JSON.
#include <gtest/gtest.h>

#include "core/parse.h"

namespace sigil {
namespace {

TEST(Printable, LeavesPlainTextAndWholeUtf8) {
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("plain /text 1~"), "plain /text 1~");
    EXPECT_EQ(printable("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
              "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(printable("\xc2\xa0"), "\xc2\xa0");                  // the first after C1
    EXPECT_EQ(printable("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf");  // U+10FFFF, the last
}

TEST(Printable, EscapesControlCharacters) {
    EXPECT_EQ(printable("a\nb\tc\r"), "a\\x0ab\\x09c\\x0d");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("\x1b[31mred\x1b[0m"), "\\x1b[31mred\\x1b[0m");
    EXPECT_EQ(printable("\x7f"), "\\x7f");
}

TEST(Printable, EscapesC1Controls) {
    EXPECT_EQ(printable("\xc2\x80"), "\\xc2\\x80");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m"),
              "\\xc2\\x9b31m");  // CSI in one character
    EXPECT_EQ(printable("\xc2\x9f"), "\\xc2\\x9f");
    EXPECT_EQ(printable("\x9b"
                        "31m"),
              "\\x9b31m");  // and in Latin-1
}

TEST(Printable, EscapesStrayAndCutOffBytes) {
    EXPECT_EQ(printable("\x80"), "\\x80");
    EXPECT_EQ(printable("a\xff"
                        "b"),
              "a\\xff"
              "b");
    EXPECT_EQ(printable("\xfe\xf5\x80\x80\x80"), "\\xfe\\xf5\\x80\\x80\\x80");
    EXPECT_EQ(printable("\xc3"), "\\xc3");
    EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
    EXPECT_EQ(printable("\xf0\x9f\x98"), "\\xf0\\x9f\\x98");
    EXPECT_EQ(printable("\xc3("), "\\xc3(");
    EXPECT_EQ(printable("\xe2(\xa1"), "\\xe2(\\xa1");
}

TEST(Printable, GoesOnAfterABrokenSequence) {
    EXPECT_EQ(printable("\xe2\x82\xc3\xa4"), "\\xe2\\x82\xc3\xa4");
    EXPECT_EQ(printable("\xc3\x1b[0m"), "\\xc3\\x1b[0m");
}

// Unicode 15, table 3-7: decoders that accept these read something else than the bytes show, ESC
// for one; and JSON may not hold them.
TEST(Printable, EscapesOverlongForms) {
    EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b");
    EXPECT_EQ(printable("\xc1\xbf"), "\\xc1\\xbf");
    EXPECT_EQ(printable("\xe0\x80\x9b"), "\\xe0\\x80\\x9b");
    EXPECT_EQ(printable("\xe0\x9f\xbf"), "\\xe0\\x9f\\xbf");
    EXPECT_EQ(printable("\xf0\x80\x80\x9b"), "\\xf0\\x80\\x80\\x9b");
    EXPECT_EQ(printable("\xf0\x8f\xbf\xbf"), "\\xf0\\x8f\\xbf\\xbf");
}

TEST(Printable, EscapesSurrogatesAndWhatIsPastUnicode) {
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
    EXPECT_EQ(printable("\xed\xbf\xbf"), "\\xed\\xbf\\xbf");
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
    EXPECT_EQ(printable("\xed\x9f\xbf"), "\xed\x9f\xbf");  // the last before the surrogates
}

TEST(Printable, LeavesNoByteThatATerminalActsOn) {
    std::string every;
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second)
            every.append({static_cast<char>(first), static_cast<char>(second)});
    for (char c : printable(every)) {
        ASSERT_GE(static_cast<unsigned char>(c), 0x20);
        ASSERT_NE(c, 0x7f);
    }
}

}  // namespace
}  // namespace sigil
