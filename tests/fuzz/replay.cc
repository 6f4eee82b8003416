// Runs a target on each file of a directory, on each beginning of it, and with each byte changed.
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "target.h"

namespace {

std::string content(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

unsigned replay(const std::string& text) {
    constexpr size_t kPlaces = 400;
    constexpr char kOthers[] = {'\0', '"', '\\', '{', '[', '9', '-', '\x80', '\xff'};
    const size_t stride = std::max<size_t>(text.size() / kPlaces, 1);
    unsigned runs = 1;
    sigil::fuzz::run(text);
    for (size_t at = 0; at < text.size(); at += stride) {
        sigil::fuzz::run(std::string_view(text).substr(0, at));
        std::string changed = text;
        changed[at] = kOthers[at / stride % sizeof kOthers];
        sigil::fuzz::run(changed);
        runs += 2;
    }
    return runs;
}

}  // namespace

int main(int count, char** words) {
    unsigned files = 0;
    unsigned runs = 0;
    for (int index = 1; index < count; ++index)
        for (const auto& entry : std::filesystem::directory_iterator(words[index])) {
            ++files;
            runs += replay(content(entry.path()));
        }
    printf("%u files, %u inputs\n", files, runs);
    return files == 0;
}
