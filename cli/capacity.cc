#include "cli/capacity.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "core/parse.h"
#include "core/sys.h"
#include "isolation/cgroup_host.h"
#include "isolation/parked.h"

namespace sigil::cli {
namespace {

constexpr uint64_t kOwnFiles = 64;
// An init, the command, and one more that it starts.
constexpr uint64_t kProcesses = 3;
constexpr uint64_t kOwnProcesses = 200;
// What the kernel holds for a container with a network namespace of its own, measured.
constexpr uint64_t kKernelMemory = 330UL * 1024;

uint64_t number_in(const char* path) {
    auto text = sys::read_file(AT_FDCWD, path);
    if (!text)
        return UINT64_MAX;
    const std::string_view word = std::string_view(*text).substr(0, text->find('\n'));
    return parse_number(word).value_or(UINT64_MAX);
}

// "MemAvailable:    1234 kB" in bytes.
uint64_t available_memory() {
    auto text = sys::read_file(AT_FDCWD, "/proc/meminfo");
    constexpr std::string_view kKey = "MemAvailable:";
    const size_t at = text ? text->find(kKey) : std::string::npos;
    if (at == std::string::npos)
        return UINT64_MAX;
    std::string_view rest = std::string_view(*text).substr(at + kKey.size());
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    const uint64_t kilobytes = parse_number(rest.substr(0, rest.find(' '))).value_or(UINT64_MAX);
    return kilobytes == UINT64_MAX ? kilobytes : kilobytes * 1024;
}

// Whether a container's cgroup may have memory.events, which is watched.
bool has_memory_controller() {
    auto host = isolation::CgroupHost::find();
    if (!host || !*host)
        return false;
    auto controllers = sys::read_file((*host)->root(), "cgroup.controllers");
    return !controllers || std::ranges::count(words_of(*controllers), "memory") > 0;
}

// A pidfd and memory.events; where its output goes through sigil both ends of two pipes while it
// waits for its launch, and then one end of each beside those.
uint64_t files_of_each(const RunRequest& request) {
    const bool is_read =
        request.log_max_size || (!request.log_dir && request.output != Output::discard &&
                                 request.output != Output::inherit);
    return is_read ? 4 : has_memory_controller() ? 2 : 1;
}

}  // namespace

unsigned default_launchers() {
    // A launch waits for the kernel's grace periods and for the command's execve half of its time:
    // four for each processor were the fastest of those tried (1, 2, 4 and 8 on two processors).
    return 4 * std::max(1U, std::thread::hardware_concurrency());
}

rlimit raise_file_limit() {
    rlimit before = {};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit raised = {before.rlim_max, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &raised);
    return before;
}

std::vector<Bound> Capacity::bounds(const RunRequest& request) {
    rlimit files = {};
    ::getrlimit(RLIMIT_NOFILE, &files);
    rlimit processes = {};
    ::getrlimit(RLIMIT_NPROC, &processes);
    // Root's processes are not counted against it (setrlimit(2)).
    const uint64_t own_limit = ::geteuid() == 0 ? UINT64_MAX : processes.rlim_cur;
    const uint64_t pids = std::min({number_in("/proc/sys/kernel/pid_max"),
                                    number_in("/proc/sys/kernel/threads-max"), own_limit});
    const uint64_t memory = available_memory();
    // Each that --warm keeps ready is a process and a container's share of the kernel's memory.
    const uint64_t parked = isolation::most_parked(request.warm);
    const uint64_t for_parked = parked * kKernelMemory;
    const uint64_t other_processes = kOwnProcesses + parked;
    std::vector<Bound> bounds;
    auto add = [&bounds](const char* name, std::string value, uint64_t containers) {
        bounds.push_back({name, std::move(value), std::max<uint64_t>(containers, 1)});
    };
    add("open files", fmt::format("{:L}", files.rlim_max),
        (std::max(files.rlim_max, kOwnFiles) - kOwnFiles) / files_of_each(request));
    add("processes", fmt::format("{:L}", pids),
        (std::max(pids, other_processes) - other_processes) / kProcesses);
    add("available memory", format_size(memory),
        (std::max(memory, for_parked) - for_parked) / kKernelMemory);
    return bounds;
}

Capacity Capacity::of_this_machine(const RunRequest& request) {
    Capacity capacity;
    const rlimit files = raise_file_limit();
    capacity.soft_files = files.rlim_cur;
    capacity.hard_files = files.rlim_max;
    const std::vector<Bound> all = bounds(request);
    const auto least = std::ranges::min_element(all, {}, &Bound::containers);
    capacity.containers = least->containers;
    capacity.because = fmt::format("{}: {}", least->name, least->value);
    return capacity;
}

std::string Capacity::describe() const {
    return fmt::format("at most {:L} containers at a time ({})", containers, because);
}

void Capacity::keep_soft_limit(Spec& spec) const {
    for (const Rlimit& limit : spec.rlimits)
        if (limit.resource == RLIMIT_NOFILE)
            return;
    if (soft_files != hard_files)
        spec.rlimits.push_back({RLIMIT_NOFILE, soft_files, hard_files, "--ulimit nofile"});
}

}  // namespace sigil::cli
