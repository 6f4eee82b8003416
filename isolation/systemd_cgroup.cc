#include "isolation/systemd_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/device_filter.h"
#include "isolation/id_map.h"
#include "isolation/interruption.h"
#include "isolation/systemd/exit_code.h"

namespace sigil::isolation {
namespace {

constexpr const char* kHelperName = "sigil-systemd-cgroup";
// The helper keeps to its own timeout; this is for one that doesn't.
constexpr std::chrono::seconds kGrace(5);

std::string property(std::string_view name, uint64_t value) {
    return value == UINT64_MAX ? fmt::format("{}=infinity", name)
                               : fmt::format("{}={}", name, value);
}

// Files of cgroup v2 that are one number, and the property for it.
constexpr std::pair<std::string_view, std::string_view> kNumbers[] = {
    {"cpu.weight", "CPUWeight"}, {"memory.high", "MemoryHigh"},
    {"memory.low", "MemoryLow"}, {"memory.max", "MemoryMax"},
    {"memory.min", "MemoryMin"}, {"memory.swap.max", "MemorySwapMax"},
    {"pids.max", "TasksMax"},
};
constexpr std::pair<std::string_view, std::string_view> kSets[] = {
    {"cpuset.cpus", "AllowedCPUs"},
    {"cpuset.mems", "AllowedMemoryNodes"},
};

constexpr uint64_t kUsualPeriod = 100'000;  // microseconds

// "QUOTA PERIOD" of cpu.max: microseconds of each PERIOD, as microseconds of each second.
void add_cpu_max(std::string_view text, std::vector<std::string>& properties) {
    const size_t space = text.find(' ');
    const uint64_t period = space == std::string_view::npos
                                ? kUsualPeriod
                                : parse_number(text.substr(space + 1)).value_or(0);
    if (period == 0)
        return;
    const std::string_view quota = text.substr(0, space);
    if (quota == "max")
        properties.push_back(property("CPUQuotaPerSecUSec", UINT64_MAX));
    else if (auto value = parse_number(quota, UINT64_MAX / 1'000'000))
        properties.push_back(property("CPUQuotaPerSecUSec", *value * 1'000'000 / period));
    properties.push_back(property("CPUQuotaPeriodUSec", period));
}

void add_file(const Resources::File& file, std::vector<std::string>& properties) {
    for (const auto& [name, known] : kNumbers) {
        if (file.name != name)
            continue;
        if (file.value == "max")
            properties.push_back(property(known, UINT64_MAX));
        else if (auto value = parse_number(file.value))
            properties.push_back(property(known, *value));
    }
    // Read as a v1 weight; one of a single device is no number.
    if (file.other_name == "io.weight")
        if (auto weight = parse_number(file.other_value))
            properties.push_back(property("IOWeight", *weight));
    for (const auto& [name, known] : kSets)
        if (file.name == name)
            properties.push_back(fmt::format("{}={}", known, file.value));
    if (file.name == "cpu.max")
        add_cpu_max(file.value, properties);
}

struct Spawned {
    std::string output;
    Fd input;  // our end of its standard input
};

// Reads both to their ends. False: the deadline came first.
Result<bool> read_both(int output, int errors, int interruption, sys::Nanoseconds deadline,
                       std::string& output_text, std::string& error_text) {
    std::array<pollfd, 3> sources = {pollfd{.fd = output, .events = POLLIN, .revents = 0},
                                     pollfd{.fd = errors, .events = POLLIN, .revents = 0},
                                     pollfd{.fd = interruption, .events = POLLIN, .revents = 0}};
    while (sources[0].fd >= 0 || sources[1].fd >= 0) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - sys::monotonic_now());
        if (left.count() <= 0)
            return false;
        if (::poll(sources.data(), sources.size(), static_cast<int>(left.count())) < 0)
            continue;
        for (pollfd& source : sources) {
            if (source.fd < 0 || source.revents == 0)
                continue;
            if (source.fd == interruption)
                return tl::unexpected(interrupted());
            std::array<char, 1024> part;
            const size_t count = TRY(sys::read(source.fd, part));
            (source.fd == output ? output_text : error_text).append(part.data(), count);
            if (count == 0)
                source.fd = -1;
        }
    }
    return true;
}

// What the helper has printed, when it has exited with 0; else an error that is its own words.
Result<Spawned> run_helper(const SystemdHelper& helper, std::vector<std::string> words) {
    words.insert(words.begin(), helper.path);
    words.push_back("--timeout");
    words.push_back(
        fmt::format("{}ms", std::chrono::ceil<std::chrono::milliseconds>(helper.timeout).count()));
    if (helper.is_user)
        words.push_back("--user");
    const std::vector<char*> argv = pointers_to(words);

    sys::Pipe input = TRY(sys::pipe());
    sys::Pipe output = TRY(sys::pipe());
    sys::Pipe errors = TRY(sys::pipe());
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.reader.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output.writer.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, errors.writer.get(), STDERR_FILENO);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = -1;
    const int spawned =
        ::posix_spawn(&pid, helper.path.c_str(), &actions, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (spawned != 0)
        return tl::unexpected(Error::from_errno(spawned, "posix_spawn").in("run " + helper.path));
    output.writer.reset();
    errors.writer.reset();
    input.reader.reset();

    Spawned result;
    std::string complaint;
    const auto deadline = sys::monotonic_now() + helper.timeout + kGrace;
    auto was_read = read_both(output.reader.get(), errors.reader.get(), helper.interruption,
                              deadline, result.output, complaint);
    if (!was_read || !*was_read)
        ::kill(pid, SIGKILL);  // not reaped yet: the pid is its own
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!TRY(std::move(was_read)))
        return failure("{} has not ended in time", kHelperName);
    while (complaint.ends_with('\n'))
        complaint.pop_back();
    complaint = complaint.empty() ? fmt::format("{} failed", kHelperName) : printable(complaint);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kExitUnitExists)
        return tl::unexpected(Error::from_errno(EEXIST, "StartTransientUnit").in(complaint));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return failure("{}", complaint);
    result.input = std::move(input.writer);
    return result;
}

void append_properties(const std::vector<std::string>& properties,
                       std::vector<std::string>& words) {
    for (const std::string& one : properties)
        words.insert(words.end(), {"--property", one});
}

// What systemd takes for a unit's name (systemd.unit(5)).
bool is_unit_name(std::string_view text) {
    return !text.empty() && text.size() < 250 && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view(":-_.\\@").find(c) != std::string_view::npos;
    });
}

}  // namespace

Result<SystemdUnit> systemd_unit(std::string_view cgroups_path, std::string_view id, bool is_user) {
    const char* const default_slice = is_user ? "user.slice" : "system.slice";
    std::string_view slice;
    std::string_view prefix = "sigil";
    std::string_view name = id;
    if (!cgroups_path.empty()) {
        const size_t first = cgroups_path.find(':');
        const size_t second =
            first == std::string_view::npos ? first : cgroups_path.find(':', first + 1);
        if (second == std::string_view::npos ||
            cgroups_path.find(':', second + 1) != std::string_view::npos)
            return failure(
                "linux.cgroupsPath: {} is not of the form slice:prefix:name, which "
                "--systemd-cgroup "
                "wants",
                cgroups_path);
        slice = cgroups_path.substr(0, first);
        prefix = cgroups_path.substr(first + 1, second - first - 1);
        name = cgroups_path.substr(second + 1);
    }
    if (name.ends_with(".slice"))
        return failure("linux.cgroupsPath: {}: a slice holds no processes", name);
    SystemdUnit unit = {.slice = std::string(slice.empty() ? default_slice : slice),
                        .scope = prefix.empty() ? fmt::format("{}.scope", name)
                                                : fmt::format("{}-{}.scope", prefix, name)};
    TRY(slice_path(unit.slice));
    if (name.empty() || !is_unit_name(unit.scope))
        return failure("linux.cgroupsPath: {} is no unit's name", unit.scope);
    return unit;
}

Result<std::string> slice_path(std::string_view slice) {
    constexpr std::string_view kSuffix = ".slice";
    if (slice == "-.slice")
        return "/";
    std::string_view name = slice;
    if (!name.ends_with(kSuffix) || !is_unit_name(name))
        return failure("linux.cgroupsPath: {} is no slice's name", slice);
    name.remove_suffix(kSuffix.size());
    if (name.empty() || name.starts_with('-') || name.ends_with('-') ||
        name.find("--") != std::string_view::npos)
        return failure("linux.cgroupsPath: {} is no slice's name", slice);
    std::string path;
    for (size_t dash = name.find('-');; dash = name.find('-', dash + 1)) {
        path.append("/").append(name.substr(0, dash)).append(kSuffix);
        if (dash == std::string_view::npos)
            return path;
    }
}

std::vector<std::string> systemd_properties(const Resources& resources) {
    std::vector<std::string> properties;
    auto add = [&properties](std::string_view name, const std::optional<uint64_t>& value) {
        if (value)
            properties.push_back(property(name, *value));
    };
    add("MemoryMax", resources.memory);
    add("MemoryHigh", resources.memory_high);
    if (resources.memory_swap) {
        const uint64_t total = *resources.memory_swap;
        add("MemorySwapMax", total == UINT64_MAX ? total : total - resources.memory.value_or(0));
    }
    add("TasksMax", resources.pids);
    if (resources.cpu_quota && *resources.cpu_quota == UINT64_MAX)
        add_cpu_max("max", properties);
    else if (resources.cpu_quota)
        add_cpu_max(
            fmt::format("{} {}", *resources.cpu_quota, resources.cpu_period.value_or(kUsualPeriod)),
            properties);
    if (!resources.cpuset_cpus.empty())
        properties.push_back("AllowedCPUs=" + resources.cpuset_cpus);
    for (const Resources::File& file : resources.files)
        add_file(file, properties);
    return properties;
}

Result<SystemdHelper> SystemdHelper::find() {
    std::string own = TRY(sys::readlinkat(AT_FDCWD, "/proc/self/exe"), "find our own program");
    own.resize(own.rfind('/'));
    for (const std::string& directory :
         {own, std::string("/usr/libexec/sigil"), std::string("/usr/lib/sigil")}) {
        const std::string path = directory + "/" + kHelperName;
        if (::access(path.c_str(), X_OK) == 0)
            return SystemdHelper{.path = path,
                                 .is_user = ::geteuid() != 0 || is_in_user_namespace()};
    }
    return failure(
        "--systemd-cgroup: {} is neither in {} nor in /usr/libexec/sigil or "
        "/usr/lib/sigil",
        kHelperName, own);
}

Result<SystemdScope> SystemdScope::start(const SystemdHelper& helper, const SystemdUnit& unit,
                                         const std::string& description,
                                         const std::vector<std::string>& properties) {
    std::vector<std::string> words = {"start",   "--no-pid", "--slice",       unit.slice,
                                      "--scope", unit.scope, "--description", description};
    append_properties(properties, words);
    Spawned spawned = TRY(run_helper(helper, std::move(words)), "--systemd-cgroup");
    std::string cgroup = std::move(spawned.output);
    if (cgroup.ends_with('\n'))
        cgroup.pop_back();
    if (!cgroup.starts_with('/') || cgroup.find('\n') != std::string::npos)
        return failure("--systemd-cgroup: {} has no cgroup's path: {}", unit.scope,
                       printable(cgroup));
    return SystemdScope(std::move(cgroup), std::move(spawned.input));
}

Result<void> stop_systemd_scope(const SystemdHelper& helper, const std::string& scope) {
    TRY(run_helper(helper, {"stop", "--scope", scope}), "--systemd-cgroup");
    return {};
}

Result<void> set_systemd_properties(const SystemdHelper& helper, const std::string& scope,
                                    const std::vector<std::string>& properties) {
    if (properties.empty())
        return {};
    std::vector<std::string> words = {"set-properties", "--scope", scope};
    append_properties(properties, words);
    TRY(run_helper(helper, std::move(words)), "--systemd-cgroup");
    return {};
}

}  // namespace sigil::isolation
