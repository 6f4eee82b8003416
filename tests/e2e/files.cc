#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

namespace sigil::e2e {

std::string read_file(const std::string& path) {
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    std::array<char, 16384> part;
    ssize_t count = 0;
    while (fd >= 0 && (count = ::read(fd, part.data(), part.size())) > 0)
        text.append(part.data(), static_cast<size_t>(count));
    if (fd >= 0)
        ::close(fd);
    return text;
}

void write_file(const std::string& path, std::string_view text, unsigned mode) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    EXPECT_TRUE(file.good()) << "cannot write " << path;
    ::chmod(path.c_str(), mode);
}

void make_directory(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    EXPECT_FALSE(error) << path << ": " << error.message();
}

void make_link(const std::string& target, const std::string& path) {
    EXPECT_EQ(::symlink(target.c_str(), path.c_str()), 0) << path << ": " << strerror(errno);
}

bool exists(const std::string& path) {
    struct stat facts;
    return ::lstat(path.c_str(), &facts) == 0;
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        names.push_back(entry->path().filename());
    std::ranges::sort(names);
    return names;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

std::vector<std::string> words_of(std::string_view text) {
    std::istringstream stream{std::string(text)};
    return {std::istream_iterator<std::string>(stream), {}};
}

}  // namespace sigil::e2e
