#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "failure.h"

namespace sigil::bench {

namespace {

// The same for everyone, whoever calls the benchmark.
char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
char* const kEnvironment[] = {kPath, nullptr};

double now_ms() {
    return static_cast<double>(now_ns()) / 1e6;
}

std::vector<char*> pointers(const Command& command) {
    std::vector<char*> result;
    for (const std::string& word : command)
        result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

int wait_for(pid_t process) {
    siginfo_t info;
    while (waitid(P_PID, static_cast<id_t>(process), &info, WEXITED) < 0) {
        if (errno != EINTR)
            fail("waitid {}: {}", process, strerror(errno));
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

// The fourth field; the second, the name, may hold anything, so count from its last parenthesis.
pid_t parent_of(const std::string& stat) {
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos || name_end + 4 >= stat.size())
        return -1;
    return static_cast<pid_t>(std::atol(stat.c_str() + name_end + 4));
}

std::multimap<pid_t, pid_t> children_by_parent() {
    std::multimap<pid_t, pid_t> result;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const std::string name = entry.path().filename();
        if (!std::isdigit(static_cast<unsigned char>(name[0])))
            continue;
        const pid_t parent = parent_of(read_file("/proc/" + name + "/stat"));
        if (parent >= 0)
            result.emplace(parent, static_cast<pid_t>(std::atol(name.c_str())));
    }
    return result;
}

}  // namespace

Runner::Runner() {
    null_ = open("/dev/null", O_RDWR | O_CLOEXEC);
    errors_ = memfd_create("stderr", MFD_CLOEXEC);
    if (null_ < 0 || errors_ < 0)
        fail("open the standard descriptors: {}", strerror(errno));
}

Runner::~Runner() {
    close(null_);
    close(errors_);
}

pid_t Runner::spawn_with(const std::vector<char*>& arguments, int output, int input) const {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input < 0 ? null_ : input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, errors_, 2);
    pid_t process = -1;
    const int error =
        posix_spawn(&process, arguments[0], &actions, nullptr, arguments.data(), kEnvironment);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        fail("start {}: {}", arguments[0], strerror(error));
    return process;
}

pid_t Runner::spawn(const Command& command, int input) const {
    return spawn_with(pointers(command), null_, input);
}

Finished Runner::wait(pid_t process) const {
    return {0, wait_for(process)};
}

Finished Runner::run(const Command& command) const {
    const std::vector<char*> arguments = pointers(command);
    const double start = now_ms();
    const int code = wait_for(spawn_with(arguments, null_));
    return {now_ms() - start, code};
}

double Runner::time(const std::string& who, const Command& command) const {
    const Finished finished = run(command);
    if (finished.code != 0) {
        std::string line;
        for (const std::string& word : command)
            line += " " + word;
        fail("{} ended with {}:\n {}\n{}", who, finished.code, line, take_errors());
    }
    return finished.milliseconds;
}

// The writers share the file's offset with this process (one open file description).
std::string Runner::take_errors() const {
    std::string text(static_cast<size_t>(lseek(errors_, 0, SEEK_END)), '\0');
    const ssize_t size = pread(errors_, text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<size_t>(size) : 0);
    if (ftruncate(errors_, 0) < 0 || lseek(errors_, 0, SEEK_SET) < 0)
        return {};
    return text;
}

Finished Runner::capture(const Command& command, std::string& text) const {
    const int output = memfd_create("stdout", MFD_CLOEXEC);
    if (output < 0)
        fail("memfd_create: {}", strerror(errno));
    const int code = wait_for(spawn_with(pointers(command), output));
    text.assign(static_cast<size_t>(lseek(output, 0, SEEK_END)), '\0');
    const ssize_t size = pread(output, text.data(), text.size(), 0);
    close(output);
    text.resize(size > 0 && code == 0 ? static_cast<size_t>(size) : 0);
    return {0, code};
}

std::string Runner::output_of(const Command& command) const {
    std::string text;
    capture(command, text);
    take_errors();
    return text;
}

std::string Runner::output_or_fail(const Command& command) const {
    std::string text;
    const int code = capture(command, text).code;
    if (code != 0)
        fail("{} ended with {}: {}", command.front(), code, take_errors());
    return text;
}

int reap_orphans() {
    int count = 0;
    siginfo_t info = {};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0) {
        ++count;
        info = {};
    }
    return count;
}

std::vector<pid_t> children_of(pid_t parent) {
    const std::multimap<pid_t, pid_t> children = children_by_parent();
    const auto [first, last] = children.equal_range(parent);
    std::vector<pid_t> result;
    for (auto entry = first; entry != last; ++entry)
        result.push_back(entry->second);
    return result;
}

std::vector<pid_t> tree_of(pid_t root) {
    const std::multimap<pid_t, pid_t> children = children_by_parent();
    std::vector<pid_t> result = {root};
    for (size_t i = 0; i < result.size(); ++i) {
        const auto [first, last] = children.equal_range(result[i]);
        for (auto entry = first; entry != last; ++entry)
            result.push_back(entry->second);
    }
    return result;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string name_of(pid_t process) {
    std::string name = read_file(fmt::format("/proc/{}/comm", process));
    if (!name.empty())
        name.pop_back();
    return name;
}

long field_of(const std::string& file, const std::string& key) {
    const size_t start = file.find("\n" + key);
    return start == std::string::npos ? 0 : std::atol(file.c_str() + start + 1 + key.size());
}

double pss_kb(pid_t process) {
    return static_cast<double>(
        field_of(read_file(fmt::format("/proc/{}/smaps_rollup", process)), "Pss:"));
}

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos)
        return access(name.c_str(), X_OK) == 0 ? name : "";
    std::istringstream directories(kPath + sizeof "PATH=" - 1);
    for (std::string directory; std::getline(directories, directory, ':');) {
        const std::string path = directory + "/" + name;
        if (access(path.c_str(), X_OK) == 0)
            return path;
    }
    return {};
}

void sleep_ms(int milliseconds) {
    timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        continue;
}

int64_t now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

}  // namespace sigil::bench
