#include "core/parse.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "core/try.h"

namespace sigil {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A decimal with an optional fraction, and what follows it: "1.5M" is {1.5, "M"}.
struct Decimal {
    double value;
    std::string_view unit;
};

Result<Decimal> parse_decimal(std::string_view text) {
    size_t length = 0;
    while (length < text.size() && (is_digit(text[length]) || text[length] == '.'))
        ++length;
    double value = 0;
    auto [end, code] =
        std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
    if (length == 0 || !is_digit(text[0]) || code != std::errc() || end != text.data() + length)
        return failure("'{}' does not start with a number", printable(text));
    return Decimal{value, text.substr(length)};
}

// The length of the character that `text` starts with; 0 if that is a control character (C1 too:
// some terminals act on those as on ESC) or not well-formed UTF-8 (Unicode, table 3-7).
size_t character_length(std::string_view text) {
    auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned char first = byte(0);
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return 0;
    for (size_t index = 1; index < length; ++index)
        if ((byte(index) & 0xc0) != 0x80)
            return 0;
    const unsigned char second = byte(1);
    const bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool is_no_character =
        (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
    const bool is_c1 = first == 0xc2 && second < 0xa0;
    return is_overlong || is_no_character || is_c1 ? 0 : length;
}

}  // namespace

Result<uint64_t> parse_number(std::string_view text, uint64_t limit) {
    uint64_t value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || code == std::errc::invalid_argument || end != text.data() + text.size())
        return failure("'{}' is not a number", printable(text));
    if (code == std::errc::result_out_of_range || value > limit)
        return failure("{} is more than {}", printable(text), limit);
    return value;
}

Result<std::vector<unsigned>> parse_number_list(std::string_view text, unsigned limit) {
    constexpr size_t kLongest = 4096;  // a page, as the kernel's own lists
    if (text.size() > kLongest)
        return failure("the list is longer than {} bytes", kLongest);
    std::vector<bool> is_in(size_t{limit} + 1);
    for (bool more = !text.empty(); more;) {
        const size_t comma = text.find(',');
        const std::string_view range = text.substr(0, comma);
        const size_t dash = range.find('-');
        const uint64_t first = TRY(parse_number(range.substr(0, dash), limit));
        uint64_t last = first;
        if (dash != std::string_view::npos)
            last = TRY(parse_number(range.substr(dash + 1), limit));
        if (last < first)
            return failure("'{}' ends before it begins", printable(range));
        for (uint64_t number = first; number <= last; ++number)
            is_in[number] = true;
        more = comma != std::string_view::npos;
        text.remove_prefix(more ? comma + 1 : text.size());
    }
    std::vector<unsigned> numbers;
    for (unsigned number = 0; number <= limit; ++number)
        if (is_in[number])
            numbers.push_back(number);
    return numbers;
}

Result<uint64_t> parse_size(std::string_view text) {
    static constexpr std::string_view kUnits = "KMGTPE";
    auto [value, unit] = TRY(parse_decimal(text));
    double factor = 1;
    if (!unit.empty() && unit != "B" && unit != "b") {
        size_t power = kUnits.find(static_cast<char>(unit[0] & ~0x20));
        std::string_view rest = unit.substr(1);
        bool known = power != std::string_view::npos &&
                     (rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib");
        if (!known)
            return failure("'{}' has no unit of size that is known (K, M, G, T)", printable(text));
        factor = std::pow(1024.0, static_cast<double>(power + 1));
    }
    // A whole number keeps every digit; a fraction is what a double holds of it.
    if (auto whole = parse_number(text.substr(0, text.size() - unit.size()));
        whole && *whole <= static_cast<uint64_t>(INT64_MAX) / static_cast<uint64_t>(factor))
        return *whole * static_cast<uint64_t>(factor);
    double bytes = value * factor;
    if (bytes >= 9223372036854775808.0)
        return failure("{} is too large", printable(text));
    return static_cast<uint64_t>(bytes);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    auto [value, unit] = TRY(parse_decimal(text));
    double seconds;
    if (unit.empty() || unit == "s")
        seconds = value;
    else if (unit == "ms")
        seconds = value / 1000;
    else if (unit == "us")
        seconds = value / 1'000'000;
    else if (unit == "m")
        seconds = value * 60;
    else if (unit == "h")
        seconds = value * 3600;
    else
        return failure("'{}' has no unit of time that is known (ms, s, m, h)", printable(text));
    constexpr double kCentury = 100.0 * 365 * 24 * 3600;
    if (seconds > kCentury)
        return failure("{} is too long", printable(text));
    return std::chrono::nanoseconds(static_cast<int64_t>(std::llround(seconds * 1e9)));
}

Result<int> parse_signal(std::string_view text) {
    constexpr int kLast = 64;
    constexpr int kFirstRealTime = 34;
    if (auto number = parse_number(text, kLast); number && *number > 0)
        return static_cast<int>(*number);
    std::string_view name = text;
    if (name.starts_with("SIG"))
        name.remove_prefix(3);
    for (int signal = 1; signal < kFirstRealTime; ++signal)
        if (const char* known = sigabbrev_np(signal); known && name == known)
            return signal;
    if (name.starts_with("RTMIN")) {
        std::string_view rest = name.substr(5);
        if (rest.empty())
            return kFirstRealTime;
        if (auto offset = parse_number(rest.substr(1), kLast - kFirstRealTime);
            rest[0] == '+' && offset)
            return kFirstRealTime + static_cast<int>(*offset);
    }
    if (name == "RTMAX")
        return kLast;
    return failure("'{}' is not a signal", printable(text));
}

Result<void> check_name(std::string_view text) {
    auto is_plain = [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    constexpr size_t kLongest = 64;  // HOST_NAME_MAX: the name is also the hostname
    bool good = !text.empty() && text.size() <= kLongest && is_plain(text[0]);
    for (char c : text)
        good = good && (is_plain(c) || c == '_' || c == '.' || c == '-');
    if (!good)
        return failure(
            "'{}' is not a name: 1 to {} of letters, digits, '_', '.', '-', the first a letter or "
            "digit",
            printable(text), kLongest);
    return {};
}

std::string_view take_part(std::string_view& rest, char separator) {
    const std::string_view part = rest.substr(0, rest.find(separator));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return part;
}

std::vector<std::string_view> words_of(std::string_view text) {
    constexpr std::string_view kSpace = " \t\n";
    std::vector<std::string_view> words;
    for (;;) {
        text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSpace)));
        if (text.empty())
            return words;
        words.push_back(text.substr(0, text.find_first_of(kSpace)));
        text.remove_prefix(words.back().size());
    }
}

std::string number_or_max(uint64_t value) {
    return value == UINT64_MAX ? "max" : fmt::format("{}", value);
}

std::string format_size(uint64_t bytes) {
    static constexpr std::array kUnits = {"", "K", "M", "G", "T", "P", "E"};
    size_t unit = 0;
    double value = static_cast<double>(bytes);
    while (value >= 1024 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    std::string text = fmt::format("{:.1f}", value);
    if (text.ends_with(".0"))
        text.resize(text.size() - 2);
    return text + kUnits[unit];
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const size_t length = character_length(text);
        if (length == 0)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
        else
            out += text.substr(0, length);
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return out;
}

}  // namespace sigil
