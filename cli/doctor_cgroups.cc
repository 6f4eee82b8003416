// What cgroups can do here, and where containers go.
#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "cli/doctor.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_host.h"
#include "isolation/cgroup_parents.h"

namespace sigil::cli {
namespace {

using isolation::CgroupHost;

constexpr const char* kUnifiedBoot =
    "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all";
constexpr const char* kDelegate = "systemd-run --scope -p Delegate=yes sigil run ...";

isolation::CgroupPaths paths_of(const Host& host) {
    isolation::CgroupPaths paths;
    paths.filesystem = host.cgroup_filesystem;
    for (std::string* path :
         {&paths.unified, &paths.hybrid, &paths.mountinfo, &paths.self, &paths.v1_controllers})
        *path = host.prefix + *path;
    return paths;
}

// Nothing: no cgroup v2, of which the layout tells.
std::optional<CgroupHost> find(const Host& host) {
    auto found = CgroupHost::find(paths_of(host));
    return found ? std::move(*found) : std::nullopt;
}

const Finding kNothing = {Verdict::note, "no cgroup v2", {}};

bool has_word(std::string_view text, std::string_view word) {
    while (!text.empty()) {
        const size_t end = std::min(text.find_first_of(" \n"), text.size());
        if (text.substr(0, end) == word)
            return true;
        text.remove_prefix(std::min(text.size(), end + 1));
    }
    return false;
}

// Whether a cgroup other than the root, which never has one, has this file; nothing: there is none.
std::optional<bool> cgroups_have(const CgroupHost& cgroups, const char* file) {
    auto has = [file](const std::string& path) {
        return sys::stat(AT_FDCWD, (path + "/" + file).c_str()).has_value();
    };
    if (cgroups.own() != "/")
        return has(cgroups.absolute(cgroups.own()));
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(cgroups.mount_point(), failed))
        if (entry.is_directory(failed))
            return has(entry.path());
    return std::nullopt;
}

}  // namespace

Finding check_cgroup_layout(const Host& host) {
    auto found = CgroupHost::find(paths_of(host));
    if (!found)
        return {Verdict::warning, found.error().message(), {}};
    if (!*found)
        return {Verdict::warning, "no cgroup v2 is mounted: no limits, no reports of OOM",
                kUnifiedBoot};
    const std::string& at = (*found)->mount_point();
    if (host.has("/sys/fs/cgroup/cgroup.procs"))
        return {Verdict::good, "v2, at " + at, {}};
    return {Verdict::warning, "hybrid: v2 at " + at + ", beside v1 hierarchies", kUnifiedBoot};
}

Finding check_controllers(const Host& host) {
    constexpr std::array kWanted = {"cpu", "cpuset", "io", "memory", "pids"};
    const auto cgroups = find(host);
    if (!cgroups)
        return kNothing;
    const auto text = sys::read_file(cgroups->root(), "cgroup.controllers");
    if (!text)
        return {Verdict::warning, text.error().message(), {}};
    std::vector<std::string> missing;
    for (const char* name : kWanted)
        if (!has_word(*text, name))
            missing.emplace_back(name);
    std::string_view there = *text;
    there = there.substr(0, there.find('\n'));
    if (missing.empty())
        return {Verdict::good, std::string(there), {}};
    const std::string reason = cgroups->missing_at_root(missing[0]).message();
    const bool is_disabled = reason.find("disabled") != std::string::npos;
    const bool is_v1 = reason.find("v1") != std::string::npos;
    return {Verdict::warning, fmt::format("not {}: {}", fmt::join(missing, ", "), reason),
            is_disabled ? "take cgroup_disable= off the kernel's command line"
            : is_v1     ? kUnifiedBoot
                        : "have whoever made this cgroup delegate them (systemd: Delegate=yes)"};
}

Finding check_cgroup_place(const Host& host) {
    const auto cgroups = find(host);
    if (!cgroups)
        return kNothing;
    const std::string own = cgroups->absolute(cgroups->own());
    auto may_write = sys::check_writable(cgroups->root(), CgroupHost::relative(cgroups->own()));
    if (!may_write)
        return {Verdict::warning,
                fmt::format("{}, which is not ours to use: {}", own, may_write.error().message()),
                kDelegate};
    if (cgroups->own() == "/")
        return {Verdict::good, own, {}};
    // Ours has a process: us. So it can give its children no controllers.
    return {Verdict::good,
            fmt::format("{}; with limits {}", own, cgroups->absolute(isolation::kFallbackParent)),
            {}};
}

Finding check_cgroup_kill(const Host& host) {
    const auto cgroups = find(host);
    if (!cgroups)
        return kNothing;
    const auto has = cgroups_have(*cgroups, "cgroup.kill");
    if (!has)
        return {Verdict::note, "there is no cgroup yet to look at", {}};
    if (!*has)
        return {Verdict::warning, "not in this kernel: containers are killed by their PID 1",
                "Linux 5.14 or newer"};
    return {Verdict::good, "there", {}};
}

Finding check_pressure(const Host& host) {
    // Where it is off, the files are there but cannot be opened.
    if (host.read("/proc/pressure/memory"))
        return {Verdict::good, "told by /proc/pressure", {}};
    return {Verdict::note, "not told", "boot with psi=1"};
}

Finding check_systemd(const Host& host) {
    if (!host.has("/run/systemd/system"))
        return {Verdict::note, "is not the init here: cgroups are made directly", {}};
    const auto cgroups = find(host);
    if (!cgroups)
        return {Verdict::note, "is the init", {}};
    const std::string own = cgroups->absolute(cgroups->own());
    std::array<char, 8> value{};
    for (const char* name : {"trusted.delegate", "user.delegate"})
        if (::getxattr(own.c_str(), name, value.data(), value.size()) > 0 && value[0] == '1')
            return {Verdict::good, "is the init, and has delegated " + own, {}};
    return {Verdict::note, fmt::format("is the init, and has not delegated {}", own), kDelegate};
}

}  // namespace sigil::cli
