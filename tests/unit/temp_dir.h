// Directories and files for tests: made beneath the temporary directory, gone with the test.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/fd.h"
#include "core/sys.h"

namespace sigil::testing {

class TempDir {
  public:
    TempDir() {
        std::string pattern = ::testing::TempDir() + "sigil-unit-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string at(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }

    // Replaces the file, whose directories are made.
    void write(std::string_view name, std::string_view text) const {
        std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
        std::ofstream(at(name), std::ios::binary | std::ios::trunc)
            .write(text.data(), static_cast<std::streamsize>(text.size()));
    }
    [[nodiscard]] std::string read(std::string_view name) const {
        std::ifstream file(at(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    void make_directory(std::string_view name) const {
        std::filesystem::create_directories(at(name));
    }
    void make_link(std::string_view name, std::string_view target) const {
        std::filesystem::create_symlink(target, at(name));
    }
    [[nodiscard]] bool has(std::string_view name) const {
        return std::filesystem::exists(std::filesystem::symlink_status(at(name)));
    }
    [[nodiscard]] Fd open(std::string_view name = ".") const {
        auto fd = sys::open(AT_FDCWD, at(name).c_str(), O_RDONLY | O_DIRECTORY);
        EXPECT_TRUE(fd) << at(name);
        return fd ? std::move(*fd) : Fd();
    }

  private:
    std::string path_;
};

// The message of a result that should be an error; marks what isn't.
template <typename T>
std::string message_of(const Result<T>& result) {
    return result ? "(no error)" : result.error().message();
}

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// For EXPECT_PRED_FORMAT2: a text holds a part.
inline ::testing::AssertionResult holds(const char*, const char*, const std::string& text,
                                        const std::string& part) {
    if (contains(text, part))
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "'" << text << "' does not hold '" << part << "'";
}

}  // namespace sigil::testing

// `part` is somewhere in `text`.
#define EXPECT_HOLDS(text, part) EXPECT_PRED_FORMAT2(::sigil::testing::holds, text, part)
