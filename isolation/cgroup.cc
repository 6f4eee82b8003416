#include "isolation/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// Where containers go when the supervisor's own cgroup cannot hold limited children.
constexpr const char* kFallbackParent = "/sigil";
constexpr uint64_t kCpuPeriod = 100'000;  // microseconds; the kernel's default

std::string number_or_max(uint64_t value) {
    return value == UINT64_MAX ? "max" : fmt::format("{}", value);
}

// "key value" lines; keys that aren't there leave their field as it is.
void parse_events(std::string_view text, MemoryEvents& events) {
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const size_t space = line.find(' ');
        if (space == std::string_view::npos)
            continue;
        auto value = parse_number(line.substr(space + 1));
        if (!value)
            continue;
        std::string_view key = line.substr(0, space);
        if (key == "high")
            events.high = *value;
        else if (key == "max")
            events.max = *value;
        else if (key == "oom")
            events.oom = *value;
        else if (key == "oom_kill")
            events.oom_kill = *value;
        else if (key == "oom_group_kill")
            events.oom_group_kill = *value;
    }
}

// An events file is read again from its start each time (cgroup-v2.rst).
Result<std::string> reread(int fd, const char* what) {
    std::array<char, 1024> buffer;
    ssize_t count;
    do
        count = ::pread(fd, buffer.data(), buffer.size(), 0);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return tl::unexpected(Error::from_errno(errno, "pread").in(fmt::format("read {}", what)));
    return std::string(buffer.data(), static_cast<size_t>(count));
}

bool is_unusable(const Error& error) {
    for (int code : {EACCES, EPERM, EROFS, ENOENT, EOPNOTSUPP})
        if (error.is(code))
            return true;
    return false;
}

// "//a///b/" as "/a/b": a path that stays beneath the mount's root.
std::string single_slashes(std::string_view path) {
    std::string clean;
    for (char c : path)
        if (c != '/' || !clean.ends_with('/'))
            clean += c;
    if (clean.size() > 1 && clean.ends_with('/'))
        clean.pop_back();
    return clean;
}

// The parent of the container's cgroup: the one asked for; else the supervisor's own, unless that
// cannot give its children the controllers because it has processes of its own.
Result<std::string> choose_parent(const CgroupHost& host, const Spec& spec,
                                  const std::vector<std::string>& needed,
                                  std::vector<std::string>& made) {
    if (!spec.cgroup_parent.empty()) {
        std::string path = spec.cgroup_parent;
        if (path[0] != '/')
            path = (host.own() == "/" ? "/" : host.own() + "/") + path;
        path = single_slashes(path);
        TRY(host.prepare_parent(path, needed, made), "--cgroup-parent {}", spec.cgroup_parent);
        return path;
    }
    if (needed.empty())
        return host.own();
    auto prepared = host.prepare_parent(host.own(), needed, made);
    if (prepared)
        return host.own();
    if (!prepared.error().is(EBUSY))
        return tl::unexpected(std::move(prepared).error());
    TRY(host.prepare_parent(kFallbackParent, needed, made));
    return std::string(kFallbackParent);
}

// Makes the directory. One of that name without a process is what a killed supervisor left.
Result<void> make_directory(int parent, const std::string& name, const std::string& container) {
    auto made = sys::mkdirat(parent, name.c_str(), 0755);
    if (made || !made.error().is(EEXIST))
        return made;
    auto removed = sys::rmdirat(parent, name.c_str());
    if (!removed && removed.error().is(EBUSY))
        return failure("a container named {} is running already", container);
    TRY(std::move(removed));
    return sys::mkdirat(parent, name.c_str(), 0755);
}

// Directories below a cgroup, deepest first; the container may have made them.
void remove_children(int directory) {
    auto listing = sys::open(directory, ".", O_RDONLY | O_DIRECTORY);
    if (!listing)
        return;
    DIR* stream = ::fdopendir(listing->release());
    if (!stream)
        return;
    while (dirent* entry = ::readdir(stream)) {
        std::string_view name = entry->d_name;
        if (entry->d_type != DT_DIR || name == "." || name == "..")
            continue;
        if (auto child = sys::open(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
            remove_children(child->get());
        (void)sys::rmdirat(directory, entry->d_name);
    }
    ::closedir(stream);
}

}  // namespace

Cgroup::Cgroup(Fd directory, Fd parent, std::string name, std::string path)
    : directory_(std::move(directory)),
      parent_(std::move(parent)),
      name_(std::move(name)),
      path_(std::move(path)) {}

Cgroup::~Cgroup() {
    if (directory_)
        (void)remove();
}

Result<std::optional<Cgroup>> Cgroup::create(const CgroupHost* host, const Spec& spec) {
    const std::vector<std::string> needed = needed_controllers(spec.resources);
    const bool is_wanted =
        !needed.empty() || !spec.cgroup_parent.empty() || !spec.resources.files.empty();
    if (!host) {
        if (is_wanted)
            return failure("no cgroup v2 is mounted on this machine, so no limit can be set");
        return std::nullopt;
    }
    std::vector<std::string> made;
    auto parent = choose_parent(*host, spec, needed, made);
    auto cgroup = parent ? make(*host, *parent, spec.name)
                         : Result<Cgroup>(tl::unexpected(std::move(parent).error()));
    if (!cgroup) {
        host->remove_made(made);
        if (!is_wanted && is_unusable(cgroup.error()))
            return std::nullopt;
        return tl::unexpected(std::move(cgroup).error());
    }
    cgroup->made_parents_ = std::move(made);
    TRY(cgroup->apply(spec.resources));
    return std::optional(std::move(*cgroup));
}

Result<Cgroup> Cgroup::make(const CgroupHost& host, const std::string& parent,
                            const std::string& container) {
    std::string name = "sigil-" + container;
    std::string path = (parent == "/" ? "/" : parent + "/") + name;
    Fd parent_fd = TRY(sys::open(host.root(), CgroupHost::relative(parent), O_PATH | O_DIRECTORY),
                       "open cgroup {}{}", host.mount_point(), parent);
    TRY(make_directory(parent_fd.get(), name, container), "make cgroup {}{}", host.mount_point(),
        path);
    auto directory = sys::open(parent_fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY);
    if (!directory)
        (void)sys::rmdirat(parent_fd.get(), name.c_str());
    Fd opened = TRY(std::move(directory), "open cgroup {}{}", host.mount_point(), path);
    Cgroup cgroup(std::move(opened), std::move(parent_fd), std::move(name), std::move(path));
    cgroup.host_ = &host;
    return cgroup;
}

Result<void> Cgroup::apply(const Resources& resources) {
    auto set = [this](const char* option, const char* file, std::string_view value) {
        auto written = write(file, value);
        if (!written)
            written = tl::unexpected(std::move(written).error().in(
                fmt::format("{}: write {} to {} of cgroup {}", option, value, file, path_)));
        return written;
    };
    if (resources.memory)
        TRY(set("--memory", "memory.max", number_or_max(*resources.memory)));
    if (resources.memory_high)
        TRY(set("--memory-high", "memory.high", number_or_max(*resources.memory_high)));
    if (resources.memory_swap) {
        const uint64_t total = *resources.memory_swap;
        const uint64_t swap = total == UINT64_MAX ? total : total - resources.memory.value_or(0);
        TRY(set("--memory-swap", "memory.swap.max", number_or_max(swap)));
    } else if (resources.memory) {
        // The limit is the limit: no swap on top. A kernel without swap accounting has no such
        // file.
        auto written = set("--memory", "memory.swap.max", "0");
        if (!written && !written.error().is(ENOENT))
            return written;
    }
    if (resources.cpu_quota)
        TRY(set("--cpus", "cpu.max", fmt::format("{} {}", *resources.cpu_quota, kCpuPeriod)));
    if (!resources.cpuset_cpus.empty())
        TRY(set("--cpuset-cpus", "cpuset.cpus", resources.cpuset_cpus));
    if (resources.pids)
        TRY(set("--pids-limit", "pids.max", number_or_max(*resources.pids)));
    for (const std::string& line : resources.io_max)
        TRY(set("--io-max", "io.max", line));
    for (const Resources::File& file : resources.files)
        TRY(set("--cgroup-set", file.name.c_str(), file.value));
    return {};
}

Result<bool> Cgroup::open_memory_events() {
    auto file = sys::open(directory_.get(), "memory.events", O_RDONLY);
    if (!file && file.error().is(ENOENT))
        return false;
    memory_events_ = TRY(std::move(file), "open memory.events of cgroup {}", path_);
    return true;
}

Result<MemoryEvents> Cgroup::read_memory_events() {
    std::string text = TRY(reread(memory_events_.get(), "memory.events"));
    MemoryEvents events;
    parse_events(text, events);
    return events;
}

Result<int> Cgroup::open_cgroup_events() {
    if (!cgroup_events_)
        cgroup_events_ = TRY(sys::open(directory_.get(), "cgroup.events", O_RDONLY),
                             "open cgroup.events of cgroup {}", path_);
    return cgroup_events_.get();
}

Result<bool> Cgroup::is_populated() {
    const int events = TRY(open_cgroup_events());
    std::string text = TRY(reread(events, "cgroup.events"));
    return text.find("populated 1") != std::string::npos;
}

Result<void> Cgroup::write(const char* file, std::string_view value) {
    return sys::write_file(directory_.get(), file, value);
}

Result<uint64_t> Cgroup::read_number(const char* file) const {
    std::string text = TRY(sys::read_file(directory_.get(), file), "read {}", file);
    if (text.ends_with('\n'))
        text.pop_back();
    if (text == "max")
        return UINT64_MAX;
    return parse_number(text);
}

Result<void> Cgroup::kill() {
    return sys::write_file(directory_.get(), "cgroup.kill", "1");
}

Result<void> Cgroup::remove() {
    auto removed = sys::rmdirat(parent_.get(), name_.c_str());
    if (!removed && removed.error().is(EBUSY)) {
        remove_children(directory_.get());
        removed = sys::rmdirat(parent_.get(), name_.c_str());
    }
    if (!removed && !removed.error().is(ENOENT))
        return removed;
    directory_.reset();
    if (host_)
        host_->remove_made(std::exchange(made_parents_, {}));
    return {};
}

}  // namespace sigil::isolation
