#include "core/parse.h"

#include <signal.h>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil {
namespace {

using namespace std::chrono_literals;
using testing::message_of;

constexpr uint64_t kKilo = 1024;
constexpr uint64_t kMega = kKilo * 1024;
constexpr uint64_t kGiga = kMega * 1024;
constexpr uint64_t kTera = kGiga * 1024;

// ---- numbers ----------------------------------------------------------------------------------

TEST(ParseNumber, ReadsDecimalNumbers) {
    EXPECT_EQ(*parse_number("0"), 0U);
    EXPECT_EQ(*parse_number("42"), 42U);
    EXPECT_EQ(*parse_number("007"), 7U);
    EXPECT_EQ(*parse_number("18446744073709551615"), UINT64_MAX);
}

TEST(ParseNumber, RefusesWhatIsNoNumber) {
    for (const char* text : {"", " ", " 1", "1 ", "+1", "-1", "0x10", "1.5", "1e3", "ten", "1\n"})
        EXPECT_FALSE(parse_number(text)) << '\'' << text << '\'';
}

TEST(ParseNumber, RefusesMoreThanItsLimit) {
    EXPECT_EQ(*parse_number("64", 64), 64U);
    EXPECT_EQ(message_of(parse_number("65", 64)), "65 is more than 64");
    EXPECT_HOLDS(message_of(parse_number("18446744073709551616")), "is more than");
}

TEST(ParseNumber, NamesTheTextWithoutItsControlCharacters) {
    EXPECT_EQ(message_of(parse_number("\x1b[2J")), "'\\x1b[2J' is not a number");
}

TEST(ParseNumberList, TakesNumbersAndRanges) {
    using Numbers = std::vector<unsigned>;
    EXPECT_EQ(*parse_number_list("", 7), Numbers{});
    EXPECT_EQ(*parse_number_list("3", 7), Numbers{3});
    EXPECT_EQ(*parse_number_list("0-3,7", 7), (Numbers{0, 1, 2, 3, 7}));
    EXPECT_EQ(*parse_number_list("7,2-3,3", 7), (Numbers{2, 3, 7}));
}

TEST(ParseNumberList, RefusesTheRest) {
    for (const char* text : {",", "1,", ",1", "-", "1-", "-1", "1-2-3", "a", "1 ", "0-8", "8"})
        EXPECT_FALSE(parse_number_list(text, 7)) << text;
    EXPECT_EQ(message_of(parse_number_list("3-1", 7)), "'3-1' ends before it begins");
    EXPECT_EQ(message_of(parse_number_list(std::string(4097, '1'), 7)),
              "the list is longer than 4096 bytes");
}

// ---- sizes ------------------------------------------------------------------------------------

TEST(ParseSize, TakesPowersOf1024) {
    EXPECT_EQ(*parse_size("0"), 0U);
    EXPECT_EQ(*parse_size("512"), 512U);
    EXPECT_EQ(*parse_size("64K"), 64 * kKilo);
    EXPECT_EQ(*parse_size("2M"), 2 * kMega);
    EXPECT_EQ(*parse_size("3G"), 3 * kGiga);
    EXPECT_EQ(*parse_size("1T"), kTera);
    EXPECT_EQ(*parse_size("1P"), kTera * 1024);
    EXPECT_EQ(*parse_size("7E"), 7 * kTera * kMega);
}

TEST(ParseSize, TakesSmallLettersAndSuffixes) {
    for (const char* text : {"64k", "64kb", "64KB", "64KiB", "64Kib", "65536", "65536B", "65536b"})
        EXPECT_EQ(*parse_size(text), 64 * kKilo) << text;
}

TEST(ParseSize, TakesFractions) {
    EXPECT_EQ(*parse_size("1.5M"), kMega + kMega / 2);
    EXPECT_EQ(*parse_size("0.25G"), kGiga / 4);
    EXPECT_EQ(*parse_size("0.5"), 0U);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
    for (const char* text : {"", "M", ".5M", "-1", "+1", " 1M", "1 M", "1X", "1MM", "1MiX", "1Mi",
                             "1..5M", "1.2.3", "1e3", "0x10", "nan", "inf", "1KBB"})
        EXPECT_FALSE(parse_size(text)) << '\'' << text << '\'';
}

TEST(ParseSize, SaysWhatIsWrong) {
    EXPECT_EQ(message_of(parse_size("many")), "'many' does not start with a number");
    EXPECT_EQ(message_of(parse_size("1X")), "'1X' has no unit of size that is known (K, M, G, T)");
    EXPECT_EQ(message_of(parse_size("8E")), "8E is too large");
    EXPECT_EQ(message_of(parse_size("99999999999T")), "99999999999T is too large");
}

TEST(ParseSize, KeepsEveryDigitOfAWholeNumber) {
    EXPECT_EQ(*parse_size("9007199254740993"), 9007199254740993U);  // 2^53 + 1: no double holds it
}

TEST(FormatSize, IsShort) {
    EXPECT_EQ(format_size(0), "0");
    EXPECT_EQ(format_size(1023), "1023");
    EXPECT_EQ(format_size(kKilo), "1K");
    EXPECT_EQ(format_size(64 * kMega), "64M");
    EXPECT_EQ(format_size(kGiga + kGiga / 2), "1.5G");
    EXPECT_EQ(format_size(3 * kTera), "3T");
    EXPECT_EQ(format_size(UINT64_MAX), "16E");
}

TEST(FormatSize, IsReadBackByParseSize) {
    for (uint64_t size : {uint64_t{1}, 512 * kKilo, 64 * kMega, 3 * kGiga / 2, 2 * kTera})
        EXPECT_EQ(*parse_size(format_size(size)), size) << format_size(size);
}

// ---- durations --------------------------------------------------------------------------------

TEST(ParseDuration, TakesEveryUnit) {
    EXPECT_EQ(*parse_duration("5us"), 5us);
    EXPECT_EQ(*parse_duration("250ms"), 250ms);
    EXPECT_EQ(*parse_duration("10s"), 10s);
    EXPECT_EQ(*parse_duration("3m"), 3min);
    EXPECT_EQ(*parse_duration("2h"), 2h);
}

TEST(ParseDuration, MeansSecondsWithoutAUnit) {
    EXPECT_EQ(*parse_duration("10"), 10s);
    EXPECT_EQ(*parse_duration("0"), 0s);
    EXPECT_EQ(*parse_duration("0.25"), 250ms);
}

TEST(ParseDuration, TakesFractions) {
    EXPECT_EQ(*parse_duration("1.5m"), 90s);
    EXPECT_EQ(*parse_duration("0.5ms"), 500us);
}

TEST(ParseDuration, RefusesWhatIsNoTime) {
    for (const char* text :
         {"", "s", "-1s", "+1s", "1 s", "1S", "1sec", "1d", "1m30s", "soon", "inf", ".5s"})
        EXPECT_FALSE(parse_duration(text)) << '\'' << text << '\'';
    EXPECT_EQ(message_of(parse_duration("1d")),
              "'1d' has no unit of time that is known (ms, s, m, h)");
}

TEST(ParseDuration, RefusesMoreThanACentury) {
    EXPECT_TRUE(parse_duration("876000h"));
    EXPECT_EQ(message_of(parse_duration("876001h")), "876001h is too long");
    EXPECT_FALSE(parse_duration("99999999999999999999h"));
}

// ---- signals ----------------------------------------------------------------------------------

TEST(ParseSignal, TakesNamesWithAndWithoutPrefix) {
    EXPECT_EQ(*parse_signal("TERM"), SIGTERM);
    EXPECT_EQ(*parse_signal("SIGTERM"), SIGTERM);
    EXPECT_EQ(*parse_signal("HUP"), SIGHUP);
    EXPECT_EQ(*parse_signal("SIGWINCH"), SIGWINCH);
}

TEST(ParseSignal, TakesNumbers) {
    EXPECT_EQ(*parse_signal("1"), 1);
    EXPECT_EQ(*parse_signal("15"), SIGTERM);
    EXPECT_EQ(*parse_signal("32"), 32);
    EXPECT_EQ(*parse_signal("64"), 64);
}

TEST(ParseSignal, TakesRealTimeSignals) {
    EXPECT_EQ(*parse_signal("RTMIN"), 34);
    EXPECT_EQ(*parse_signal("SIGRTMIN"), 34);
    EXPECT_EQ(*parse_signal("RTMIN+3"), 37);
    EXPECT_EQ(*parse_signal("SIGRTMIN+30"), 64);
    EXPECT_EQ(*parse_signal("RTMAX"), 64);
}

TEST(ParseSignal, RefusesWhatIsNoSignal) {
    for (const char* text : {"", "0", "65", "-1", "SIG", "SIGSIGTERM", "term", "NOPE", "RTMIN+31",
                             "RTMIN+", "RTMIN3", "RTMIN-1", "RTMIN+-1", "15 "})
        EXPECT_FALSE(parse_signal(text)) << '\'' << text << '\'';
    EXPECT_EQ(message_of(parse_signal("NOPE")), "'NOPE' is not a signal");
}

// ---- parts ------------------------------------------------------------------------------------

TEST(TakePart, TakesTheSeparatorToo) {
    std::string_view rest = "a::b";
    EXPECT_EQ(take_part(rest, ':'), "a");
    EXPECT_EQ(take_part(rest, ':'), "");
    EXPECT_EQ(rest, "b");
    EXPECT_EQ(take_part(rest, ':'), "b");
    EXPECT_EQ(take_part(rest, ':'), "");
    EXPECT_TRUE(rest.empty());
}

TEST(WordsOf, AreWhatWhiteSpaceSeparates) {
    using Words = std::vector<std::string_view>;
    EXPECT_EQ(words_of("cpu io\tmemory\n"), (Words{"cpu", "io", "memory"}));
    EXPECT_EQ(words_of("  a  "), Words{"a"});
    EXPECT_EQ(words_of(""), Words{});
    EXPECT_EQ(words_of(" \n"), Words{});
}

// ---- names ------------------------------------------------------------------------------------

TEST(CheckName, TakesWhatAHostnameTakes) {
    for (const char* text : {"a", "0", "web", "Web-1.example_x", "a..", "9lives"})
        EXPECT_TRUE(check_name(text)) << text;
    EXPECT_TRUE(check_name(std::string(64, 'x')));
}

TEST(CheckName, RefusesTheRest) {
    for (const char* text :
         {"", ".", "..", "-a", "_a", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "a\x1b", "a:b"})
        EXPECT_FALSE(check_name(text)) << '\'' << text << '\'';
    EXPECT_FALSE(check_name(std::string(65, 'x')));
    EXPECT_FALSE(check_name(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace sigil
