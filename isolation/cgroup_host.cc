#include "isolation/cgroup_host.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// The words of `controllers` that the cgroup file `text` does not hold.
std::vector<std::string> not_in(const std::vector<std::string>& controllers,
                                std::string_view text) {
    std::vector<std::string> missing = controllers;
    for (const std::string_view word : words_of(text))
        std::erase(missing, word);
    return missing;
}

// "\\040" and the like, as mountinfo writes white space and backslashes.
std::string unescape(std::string_view text) {
    std::string plain;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\' || at + 3 >= text.size()) {
            plain += text[at];
            continue;
        }
        const int octal =
            (text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0');
        plain += static_cast<char>(octal);
        at += 3;
    }
    return plain;
}

// The mount point of the first cgroup2 in mountinfo (proc(5)), or empty.
std::string find_in_mountinfo(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        const size_t dash = line.find(" - ");
        if (dash == std::string_view::npos || !line.substr(dash + 3).starts_with("cgroup2 "))
            continue;
        constexpr size_t kMountPoint = 4;
        const std::vector<std::string_view> words = words_of(line);
        return words.size() > kMountPoint ? unescape(words[kMountPoint]) : "";
    }
    return {};
}

bool is_cgroup2(const std::string& path, const CgroupPaths& paths) {
    auto type = sys::filesystem_type(path.c_str());
    return type && *type == paths.filesystem;
}

// The "0::PATH" line of /proc/self/cgroup (cgroups(7)).
std::string own_path(std::string_view text) {
    constexpr std::string_view kUnified = "0::";
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        if (line.starts_with(kUnified))
            return std::string(line.substr(kUnified.size()));
    }
    return "/";
}

std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string join(const std::string& path, const char* name) {
    return path == "/" ? name : path.substr(1) + "/" + name;
}

}  // namespace

const char* CgroupHost::relative(const std::string& path) {
    return path == "/" ? "." : path.c_str() + 1;
}

Result<std::optional<CgroupHost>> CgroupHost::find(const CgroupPaths& paths) {
    CgroupHost host;
    host.paths_ = paths;
    if (is_cgroup2(paths.unified, paths))
        host.mount_point_ = paths.unified;
    else if (is_cgroup2(paths.hybrid, paths))
        host.mount_point_ = paths.hybrid;
    else if (auto mounts = sys::read_file(AT_FDCWD, paths.mountinfo.c_str()))
        host.mount_point_ = find_in_mountinfo(*mounts);
    if (host.mount_point_.empty())
        return std::nullopt;
    host.root_ = TRY(sys::open(AT_FDCWD, host.mount_point_.c_str(), O_PATH | O_DIRECTORY),
                     "open {}", host.mount_point_);
    std::string self = TRY(sys::read_file(AT_FDCWD, paths.self.c_str()), "read {}", paths.self);
    host.own_ = own_path(self);
    return std::optional(std::move(host));
}

Error CgroupHost::missing_at_root(const std::string& controller) const {
    const std::string_view v1_name = controller == "io" ? std::string_view("blkio") : controller;
    if (auto text = sys::read_file(AT_FDCWD, paths_.v1_controllers.c_str())) {
        std::string_view rest = *text;
        while (!rest.empty()) {
            // Name, hierarchy, how many cgroups, whether it is enabled.
            const std::vector<std::string_view> words = words_of(take_part(rest, '\n'));
            if (words.size() < 4 || words[0] != v1_name)
                continue;
            const bool is_v1 = words[1] != "0";
            const bool is_enabled = words[3] != "0";
            if (!is_enabled)
                return Error::because(fmt::format(
                    "the {} controller is disabled on the kernel's command line", controller));
            if (is_v1)
                return Error::because(fmt::format(
                    "the {} controller is bound to a cgroup v1 hierarchy, so {} does not have it",
                    controller, mount_point_));
        }
    }
    return Error::because(
        fmt::format("the {} controller is not available in {}", controller, mount_point_));
}

Result<void> CgroupHost::make_available(const std::string& path,
                                        const std::vector<std::string>& controllers,
                                        MadeCgroups& made) const {
    const std::string file = join(path, "cgroup.controllers");
    auto read = sys::read_file(root(), file.c_str());
    if (!read && read.error().is(ENOENT) && path != "/") {
        TRY(make_available(parent_of(path), {}, made));
        TRY(make_parent(path, made));
        read = sys::read_file(root(), file.c_str());
    }
    std::string available = TRY(std::move(read), "read {}/{}", mount_point_, file);
    std::vector<std::string> missing = not_in(controllers, available);
    if (missing.empty())
        return {};
    if (path == "/")
        return tl::unexpected(missing_at_root(missing[0]));
    return enable(parent_of(path), missing, made);
}

Result<void> CgroupHost::make_parent(const std::string& path, MadeCgroups& made) const {
    RunRecord::Entry entry;
    if (made.record)
        entry = TRY(made.record->add(RunRecord::Kind::parent, absolute(path)));
    auto directory = sys::mkdirat(root(), relative(path), 0755);
    if (directory) {
        made.made.push_back({path, std::move(entry)});
        return {};
    }
    if (made.record)
        made.record->forget(entry);
    if (!directory.error().is(EEXIST))
        TRY(std::move(directory), "make cgroup {}", path);
    return {};
}

// Below the root, a cgroup has either processes or controllers for its children. The kernel refuses
// (EBUSY) for most controllers; for cpu and pids it makes the cgroup threaded instead, so that no
// process can be put into its children any more (cgroup-v2.rst, "Threads").
Result<void> CgroupHost::enable(const std::string& path,
                                const std::vector<std::string>& controllers,
                                MadeCgroups& made) const {
    TRY(make_available(path, controllers, made));
    if (controllers.empty())
        return {};
    const std::string file = join(path, "cgroup.subtree_control");
    std::string enabled = TRY(sys::read_file(root(), file.c_str()), "read {}", file);
    const std::vector<std::string> missing = not_in(controllers, enabled);
    if (missing.empty())
        return {};
    if (path != "/") {
        auto processes = sys::read_file(root(), join(path, "cgroup.procs").c_str());
        if (!processes || !processes->empty())
            return tl::unexpected(
                Error::from_errno(EBUSY, "cgroup.subtree_control")
                    .in(fmt::format("the {} controller cannot be enabled in cgroup {}, which has "
                                    "processes of its own; name another with --cgroup-parent",
                                    missing[0], path)));
    }
    for (const std::string& controller : missing)
        TRY(sys::write_file(root(), file.c_str(), "+" + controller),
            "the {} controller is not delegated: enable it in cgroup {}", controller, path);
    return {};
}

Result<void> CgroupHost::prepare_parent(const std::string& path,
                                        const std::vector<std::string>& controllers,
                                        MadeCgroups& made) const {
    return enable(path, controllers, made);
}

std::vector<std::string> CgroupHost::remove_made(MadeCgroups& made) const {
    std::vector<std::string> left;
    for (auto one = made.made.rbegin(); one != made.made.rend(); ++one) {
        auto removed = sys::rmdirat(root(), relative(one->path));
        if (!removed && !removed.error().is(ENOENT))
            left.push_back(one->path);  // EBUSY: another container is in it
        else if (made.record)
            made.record->forget(one->entry);
    }
    made.made.clear();
    return left;
}

std::string CgroupHost::absolute(const std::string& path) const {
    return path == "/" ? mount_point_ : mount_point_ + path;
}

std::vector<std::string> needed_controllers(const Resources& resources) {
    std::vector<std::string> needed;
    auto need = [&needed](bool condition, std::string_view controller) {
        if (condition && std::ranges::find(needed, controller) == needed.end())
            needed.emplace_back(controller);
    };
    // "No limit" needs nothing: it is what there is without the controller.
    auto limits = [](std::optional<uint64_t> limit) {
        return limit.value_or(UINT64_MAX) != UINT64_MAX;
    };
    need(limits(resources.memory) || limits(resources.memory_high) ||
             limits(resources.memory_swap) || resources.oom_group,
         "memory");
    need(resources.cpu_quota || resources.cpu_period, "cpu");
    need(!resources.cpuset_cpus.empty(), "cpuset");
    need(limits(resources.pids), "pids");
    need(!resources.io_max.empty(), "io");
    for (const Resources::File& file : resources.files) {
        std::string_view controller = std::string_view(file.name).substr(0, file.name.find('.'));
        need(controller != "cgroup", controller);
    }
    return needed;
}

}  // namespace sigil::isolation
