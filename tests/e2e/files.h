// Files and text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sigil::e2e {

// The whole file, or nothing where it can't be read.
std::string read_file(const std::string& path);
// Makes or replaces a file; the test fails where that can't be done.
void write_file(const std::string& path, std::string_view text, unsigned mode = 0644);
// With its parents.
void make_directory(const std::string& path);
void make_link(const std::string& target, const std::string& path);
bool exists(const std::string& path);
// Names in a directory, sorted; nothing where it can't be read.
std::vector<std::string> names_in(const std::string& path);

std::vector<std::string> lines_of(std::string_view text);
std::vector<std::string> words_of(std::string_view text);

}  // namespace sigil::e2e
