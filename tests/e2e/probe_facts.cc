#include "probe_facts.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "files.h"

namespace sigil::e2e {
namespace {

constexpr const char* kNone = "(none)";

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    for (size_t start = 0; start <= text.size();) {
        const size_t end = std::min(text.find(separator, start), text.size());
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

}  // namespace

Facts::Facts(std::string_view text) {
    for (const std::string& line : lines_of(text)) {
        const size_t space = line.find(' ');
        values_.emplace(line.substr(0, space),
                        space == std::string::npos ? "" : line.substr(space + 1));
    }
}

std::string Facts::operator[](const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? kNone : found->second;
}

std::vector<std::string> Facts::all(const std::string& key) const {
    std::vector<std::string> found;
    const auto [first, last] = values_.equal_range(key);
    for (auto value = first; value != last; ++value)
        found.push_back(value->second);
    return found;
}

std::map<std::string, std::string> Facts::below(const std::string& prefix) const {
    std::map<std::string, std::string> found;
    for (const auto& [key, value] : values_)
        if (key.starts_with(prefix))
            found.emplace(key.substr(prefix.size()), value);
    return found;
}

// Fields of mountinfo (proc(5)): id, parent, device, root, mount point, options, ...
std::string Facts::mount_on(const std::string& target) const {
    std::string last = kNone;
    for (const std::string& line : all("mount"))
        if (const auto words = words_of(line); words.size() > 5 && words[4] == target)
            last = line;
    return last;
}

std::vector<std::string> Facts::mount_options(const std::string& target) const {
    const auto words = words_of(mount_on(target));
    return words.size() > 5 ? split(words[5], ',') : std::vector<std::string>{};
}

bool Facts::has_mount_option(const std::string& target, const std::string& option) const {
    return std::ranges::count(mount_options(target), option) > 0;
}

Start probe_run(Words options) {
    return sigil_run(std::move(options), {"/bin/probe"});
}

Facts facts_of(Words options) {
    return facts_from(probe_run(std::move(options)));
}

Facts facts_from(const Start& start) {
    const Finished finished = run_program(start);
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    return Facts(finished.out);
}

}  // namespace sigil::e2e
