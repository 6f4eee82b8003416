#include "words.h"

#include <charconv>
#include <sstream>

#include "failure.h"

namespace sigil::bench {

int parse_number(const char* name, std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error != std::errc() || end != text.end() || value < 0) {
        fail("--{} {}: not a number", name, text);
    }
    return value;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> words;
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, ',');)
        words.push_back(word);
    return words;
}

}  // namespace sigil::bench
