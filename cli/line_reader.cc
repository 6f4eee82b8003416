#include "cli/line_reader.h"

namespace sigil::cli {

void LineReader::feed(std::span<const char> piece) {
    held_.erase(0, start_);
    searched_ -= start_;
    start_ = 0;
    held_.append(piece.data(), piece.size());
}

std::optional<Line> LineReader::next() {
    if (skips_) {
        const size_t end = held_.find('\n', start_);
        skips_ = end == std::string::npos;
        start_ = searched_ = skips_ ? held_.size() : end + 1;
        if (skips_)
            return {};
    }
    const size_t end = held_.find('\n', searched_);
    if (end != std::string::npos) {
        const auto text = std::string_view(held_).substr(start_, end - start_);
        start_ = searched_ = end + 1;
        return finish_line(text);
    }
    const auto text = std::string_view(held_).substr(start_);
    searched_ = held_.size();
    // One byte more than the longest may be the "\r" of its end.
    skips_ = text.size() > kLongestLine + 1;
    if (!skips_ && (!is_finished_ || text.empty()))
        return {};
    start_ = searched_;
    return finish_line(text);
}

Line LineReader::finish_line(std::string_view text) {
    if (text.ends_with('\r'))
        text.remove_suffix(1);
    Line line = {.number = ++number_, .text = text, .is_too_long = text.size() > kLongestLine};
    if (line.is_too_long)
        line.text = {};
    return line;
}

}  // namespace sigil::cli
