#include "cgroups.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "files.h"

namespace sigil::e2e {
namespace {

constexpr long kCgroup2Magic = 0x63677270;
constexpr const char* kFallback = "/sigil";  // where sigil puts what its own cgroup can't hold

std::string& own() {
    static std::string path;
    return path;
}

std::string& before() {
    static std::string path;
    return path;
}

std::string full(const std::string& path) {
    return cgroup_mount() + path;
}

bool is_container(const std::string& path) {
    return path.substr(path.rfind('/') + 1).starts_with("sigil-");
}

}  // namespace

std::string cgroup_mount() {
    for (const char* place : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        struct statfs facts;
        if (::statfs(place, &facts) == 0 && facts.f_type == kCgroup2Magic)
            return place;
    }
    return {};
}

std::string cgroup_of(const std::string& pid) {
    std::istringstream lines(read_file("/proc/" + pid + "/cgroup"));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("0::"))
            return line.substr(3);
    return {};
}

void enter_test_cgroup() {
    if (cgroup_mount().empty())
        return;
    before() = cgroup_of();
    own() = "/sigil-e2e-" + std::to_string(::getpid());
    if (!make_cgroup(own()) || !write_cgroup_file(own(), "cgroup.procs", "0")) {
        ADD_FAILURE() << "cannot enter cgroup " << own() << ": " << strerror(errno);
        own().clear();
    }
}

void leave_test_cgroup() {
    if (own().empty())
        return;
    write_cgroup_file(before(), "cgroup.procs", "0");
    remove_cgroup(own());
    own().clear();
}

const std::string& test_cgroup() {
    return own();
}

bool has_controller(const std::string& name) {
    std::istringstream words(cgroup_file("/", "cgroup.controllers"));
    for (std::string word; words >> word;)
        if (word == name)
            return true;
    return false;
}

std::vector<std::string> cgroups_below(const std::string& path) {
    std::vector<std::string> found;
    std::error_code error;  // directories may vanish meanwhile
    std::filesystem::directory_iterator entry(full(path), error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        std::error_code ignored;
        if (!entry->is_directory(ignored))
            continue;
        std::string child = (path == "/" ? "/" : path + "/") + entry->path().filename().string();
        found.push_back(child);
        for (std::string& below : cgroups_below(child))
            found.push_back(std::move(below));
    }
    return found;
}

std::vector<std::string> container_cgroups() {
    std::vector<std::string> found;
    if (cgroup_mount().empty())
        return found;
    for (const std::string& root : {own(), std::string(kFallback)})
        if (!root.empty())
            for (std::string& path : cgroups_below(root))
                if (is_container(path))
                    found.push_back(std::move(path));
    std::ranges::sort(found);
    return found;
}

std::string cgroup_file(const std::string& path, const std::string& file) {
    std::string text = read_file(full(path) + "/" + file);
    if (text.ends_with('\n'))
        text.pop_back();
    return text;
}

bool write_cgroup_file(const std::string& path, const std::string& file, const std::string& text) {
    const int fd = ::open((full(path) + "/" + file).c_str(), O_WRONLY | O_CLOEXEC);
    const bool written =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0)
        ::close(fd);
    return written;
}

bool make_cgroup(const std::string& path) {
    return ::mkdir(full(path).c_str(), 0755) == 0 || errno == EEXIST;
}

void remove_cgroup(const std::string& path) {
    std::vector<std::string> below = cgroups_below(path);
    std::ranges::sort(below, std::greater<>(), &std::string::size);
    for (const std::string& child : below)
        ::rmdir(full(child).c_str());
    ::rmdir(full(path).c_str());
}

}  // namespace sigil::e2e
