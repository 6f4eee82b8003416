// Splits a stream of bytes, fed in pieces of any size, into lines of bounded length.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sigil::cli {

inline constexpr size_t kLongestLine = size_t{1} << 20;  // without its end

struct Line {
    uint64_t number = 0;    // from 1
    std::string_view text;  // without "\n" or "\r\n"; empty if the line is too long
    bool is_too_long = false;
};

// Feed a piece, take lines until there is none, feed the next; at the end of the stream finish()
// and take the last. Holds no more than one line and one piece.
class LineReader {
  public:
    void feed(std::span<const char> piece);
    // No more pieces come: what is left is the last line, even without its newline.
    void finish() { is_finished_ = true; }
    // The next line, if it has come as a whole. Its text stays until the next feed().
    std::optional<Line> next();

  private:
    Line finish_line(std::string_view text);

    std::string held_;     // from start_ on: what no line has been made of
    size_t start_ = 0;     // of the next line
    size_t searched_ = 0;  // no newline before this
    uint64_t number_ = 0;  // of the last line
    bool skips_ = false;   // to the end of a line that is told to be too long
    bool is_finished_ = false;
};

}  // namespace sigil::cli
