#include "isolation/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/runs.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/bundle_cgroup.h"
#include "isolation/cgroup_removal.h"

namespace sigil::isolation {
namespace {

constexpr int kAttempts = 10;
constexpr uint64_t kCpuPeriod = 100'000;  // microseconds; the kernel's default

// What asked for a limit: the option, or in a bundle the property.
std::string origin_of(const Resources& resources, const char* option, const char* property) {
    if (!resources.json_path)
        return option;
    return resources.json_path->empty() ? property : *resources.json_path + "." + property;
}

// "key value" lines; keys that aren't there leave their field as it is.
void parse_events(std::string_view text, MemoryEvents& events) {
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        const std::string_view key = take_part(line, ' ');
        auto value = parse_number(line);
        if (!value)
            continue;
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

// Makes the directory. One of that name without a process is what a killed supervisor left; or a
// living one has made it and is about to clone into it. With the lock of all runs, no sweeper and
// no other launch comes in between.
Result<void> make_directory(const CgroupHost& host, const std::string& path,
                            const std::string& container, const RunRecord* record) {
    const char* relative = CgroupHost::relative(path);
    auto made = sys::mkdirat(host.root(), relative, 0755);
    if (made || !made.error().is(EEXIST))
        return made;
    std::optional<Runs> runs;
    if (record)
        runs = TRY(Runs::open(*record, Runs::Wait::yes));
    if (runs && TRY(runs->is_claimed(host.absolute(path), record->directory_name())))
        return failure("a container named {} is running already", container);
    auto removed = sys::rmdirat(host.root(), relative);
    if (!removed && removed.error().is(EBUSY))
        return failure("a container named {} is running already", container);
    if (!removed && !removed.error().is(ENOENT))
        return removed;
    return sys::mkdirat(host.root(), relative, 0755);
}

// Writes the cgroup down. Where none can be made anyway, that is what there is to tell.
Result<RunRecord::Entry> write_down(RunRecord& record, const CgroupHost& host,
                                    const std::string& path) {
    auto entry = record.add(RunRecord::Kind::cgroup, host.absolute(path));
    if (!entry) {
        const std::string parent = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
        TRY(sys::check_writable(host.root(), CgroupHost::relative(parent)));
    }
    return entry;
}

}  // namespace

Cgroup::Cgroup(Fd directory, Fd parent, std::string name, std::string path)
    : directory_(std::move(directory)),
      parent_(std::move(parent)),
      name_(std::move(name)),
      path_(std::move(path)) {}

Cgroup::Cgroup(Cgroup&& other) noexcept {
    *this = std::move(other);
}

Cgroup& Cgroup::operator=(Cgroup&& other) noexcept {
    directory_ = std::move(other.directory_);
    parent_ = std::move(other.parent_);
    name_ = std::move(other.name_);
    host_ = std::exchange(other.host_, nullptr);
    path_ = std::move(other.path_);
    record_ = std::exchange(other.record_, nullptr);
    entry_ = std::move(other.entry_);
    memory_events_ = std::move(other.memory_events_);
    cgroup_events_ = std::move(other.cgroup_events_);
    parents_ = std::move(other.parents_);
    is_kept_ = other.is_kept_;
    return *this;
}

Cgroup::~Cgroup() {
    if (!is_kept_ && (parent_ || host_))
        (void)remove();
}

Result<std::optional<Cgroup>> Cgroup::create(const CgroupHost* host, CgroupParents& parents,
                                             const Spec& spec, const std::string& name) {
    const std::vector<std::string> needed = needed_controllers(spec.resources);
    const bool is_wanted =
        !needed.empty() || !spec.cgroup_parent.empty() || !spec.resources.files.empty();
    if (!host) {
        if (is_wanted)
            return failure("no cgroup v2 is mounted on this machine, so no limit can be set");
        return std::nullopt;
    }
    auto attempt = [&]() -> Result<Cgroup> {
        const std::string parent = TRY(parents.parent_for(spec, needed));
        return make(*host, parents, (parent == "/" ? "/" : parent + "/") + "sigil-" + name, name);
    };
    auto cgroup = attempt();
    // Another container's end, or a sweeper, has removed an empty parent just before we used it.
    for (int again = 0; !cgroup && cgroup.error().is(ENOENT) && again < kAttempts; ++again) {
        parents.forget_known();
        cgroup = attempt();
    }
    if (!cgroup) {
        if (!is_wanted && is_unusable(cgroup.error()))
            return std::nullopt;
        return tl::unexpected(std::move(cgroup).error());
    }
    TRY(cgroup->apply(spec.resources));
    return std::optional(std::move(*cgroup));
}

Result<Cgroup> Cgroup::make(const CgroupHost& host, const CgroupParents& parents, std::string path,
                            const std::string& container) {
    RunRecord* record = parents.record_of_each();
    RunRecord::Entry entry;
    if (record)
        entry = TRY(write_down(*record, host, path));
    auto made = make_directory(host, path, container, parents.record());
    Result<Fd> opened = Fd();
    if (made) {
        opened = sys::open(host.root(), CgroupHost::relative(path), O_RDONLY | O_DIRECTORY);
        if (!opened)
            (void)sys::rmdirat(host.root(), CgroupHost::relative(path));
    }
    if (record && (!made || !opened))
        record->forget(entry);
    TRY(std::move(made), "make cgroup {}", host.absolute(path));
    Fd directory = TRY(std::move(opened), "open cgroup {}", host.absolute(path));
    Cgroup cgroup(std::move(directory), &host, std::move(path));
    cgroup.record_ = record;
    cgroup.entry_ = std::move(entry);
    return cgroup;
}

Result<Cgroup> Cgroup::open_at(const CgroupHost* host, std::string path) {
    if (!host)
        return failure("no cgroup v2 is mounted on this machine");
    Fd directory = TRY(sys::open(host->root(), CgroupHost::relative(path), O_RDONLY | O_DIRECTORY),
                       "open cgroup {}", host->absolute(path));
    Cgroup cgroup(std::move(directory), host, std::move(path));
    cgroup.keep();
    return cgroup;
}

Result<Cgroup> Cgroup::create_at(const CgroupHost* host, std::string path,
                                 const Resources& resources) {
    if (!host)
        return failure("linux.cgroupsPath: no cgroup v2 is mounted on this machine");
    auto parents = std::make_unique<MadeCgroups>();
    auto create = [&]() -> Result<Cgroup> {
        TRY(prepare_bundle_parent(*host, path, needed_controllers(resources), *parents),
            "cgroup {}", path);
        auto made = sys::mkdirat(host->root(), CgroupHost::relative(path), 0755);
        const bool is_there = !made && made.error().is(EEXIST);
        if (!is_there)
            TRY(std::move(made), "linux.cgroupsPath: make cgroup {}", host->absolute(path));
        auto opened = open_at(host, path);
        if (!opened && !is_there)
            (void)sys::rmdirat(host->root(), CgroupHost::relative(path));
        Cgroup cgroup = TRY(std::move(opened), "linux.cgroupsPath");
        if (is_there)
            TRY(cgroup.check_unused(), "linux.cgroupsPath: cgroup {}", host->absolute(path));
        cgroup.is_kept_ = is_there;
        TRY(cgroup.apply(resources));
        cgroup.is_kept_ = false;
        return cgroup;
    };
    auto created = create();
    if (created)
        created->parents_ = std::move(parents);
    else
        (void)host->remove_made(*parents);
    return created;
}

// Another container's processes would get our limits and be killed with ours.
Result<void> Cgroup::check_unused() {
    if (TRY(is_populated()))
        return failure("it has processes already");
    auto frozen = read_number("cgroup.freeze");
    if (frozen && *frozen != 0)
        return failure("it is frozen");
    return {};
}

void Cgroup::close_directory() {
    if (host_)
        directory_.reset();
}

std::string Cgroup::file(const char* name) const {
    return directory_ ? name : std::string(CgroupHost::relative(path_)) + "/" + name;
}

Result<void> Cgroup::set(std::string_view origin, const std::string& name, std::string_view value) {
    auto written = write(name.c_str(), value);
    if (!written)
        written = tl::unexpected(std::move(written).error().in(
            fmt::format("{}: write {} to {} of cgroup {}", origin, value, name, path_)));
    return written;
}

Result<void> Cgroup::set(const Resources::File& one) {
    auto written = set(one.origin, one.name, one.value);
    if (written || !written.error().is(ENOENT))
        return written;
    if (one.may_be_missing)
        return {};
    return one.other_name.empty() ? std::move(written)
                                  : set(one.origin, one.other_name, one.other_value);
}

// Where the controller is missing there is no limit anyway.
Result<void> Cgroup::set_limit(std::string origin, const char* name, uint64_t limit) {
    return set({.name = name,
                .value = number_or_max(limit),
                .origin = std::move(origin),
                .may_be_missing = limit == UINT64_MAX});
}

// cgroup v2 takes a limit below what is in use, and kills for it.
Result<void> Cgroup::check_memory(const Resources& resources) {
    if (!resources.check_memory || !resources.memory)
        return {};
    const std::string origin = origin_of(resources, "--memory", "memory.limit");
    const std::string text =
        TRY(sys::read_file(base(), file("memory.current").c_str()), "{}", origin);
    const uint64_t used =
        TRY(parse_number(std::string_view(text).substr(0, text.find('\n'))), "memory.current");
    if (used > *resources.memory)
        return failure("{}: {} is below the {} in use", origin, format_size(*resources.memory),
                       format_size(used));
    return {};
}

Result<void> Cgroup::apply_memory(const Resources& resources) {
    TRY(check_memory(resources));
    if (resources.memory)
        TRY(set_limit(origin_of(resources, "--memory", "memory.limit"), "memory.max",
                      *resources.memory));
    if (resources.memory_high)
        TRY(set_limit("--memory-high", "memory.high", *resources.memory_high));
    if (resources.memory_swap) {
        const uint64_t total = *resources.memory_swap;
        const uint64_t memory = resources.memory.value_or(0);
        const bool is_alone = total == UINT64_MAX || memory == UINT64_MAX;
        return set_limit(origin_of(resources, "--memory-swap", "memory.swap"), "memory.swap.max",
                         is_alone ? total : total - memory);
    }
    if (!resources.memory || resources.json_path)
        return {};
    // The limit is the limit: no swap on top. A kernel without swap accounting has no such file.
    return set(
        {.name = "memory.swap.max", .value = "0", .origin = "--memory", .may_be_missing = true});
}

Result<void> Cgroup::apply(const Resources& resources) {
    TRY(apply_memory(resources));
    if (resources.cpu_quota || resources.cpu_period)
        TRY(set(origin_of(resources, "--cpus", resources.cpu_quota ? "cpu.quota" : "cpu.period"),
                "cpu.max",
                fmt::format("{} {}", number_or_max(resources.cpu_quota.value_or(UINT64_MAX)),
                            resources.cpu_period.value_or(kCpuPeriod))));
    if (!resources.cpuset_cpus.empty())
        TRY(set(origin_of(resources, "--cpuset-cpus", "cpu.cpus"), "cpuset.cpus",
                resources.cpuset_cpus));
    if (resources.pids)
        TRY(set_limit(origin_of(resources, "--pids-limit", "pids.limit"), "pids.max",
                      *resources.pids));
    for (const std::string& line : resources.io_max)
        TRY(set("--io-max", "io.max", line));
    for (const Resources::File& one : resources.files)
        TRY(set(one));
    return {};
}

Result<bool> Cgroup::open_memory_events() {
    auto opened = sys::open(base(), file("memory.events").c_str(), O_RDONLY);
    if (!opened && opened.error().is(ENOENT))
        return false;
    memory_events_ = TRY(std::move(opened), "open memory.events of cgroup {}", path_);
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
        cgroup_events_ = TRY(sys::open(base(), file("cgroup.events").c_str(), O_RDONLY),
                             "open cgroup.events of cgroup {}", path_);
    return cgroup_events_.get();
}

Result<bool> Cgroup::is_populated() {
    auto text = [this]() -> Result<std::string> {
        const int events = TRY(open_cgroup_events());
        return reread(events, "cgroup.events");
    }();
    if (!text && (text.error().is(ENOENT) || text.error().is(ENODEV)))
        return false;
    return TRY(std::move(text)).find("populated 1") != std::string::npos;
}

Result<void> Cgroup::write(const char* name, std::string_view value) {
    return sys::write_file(base(), file(name).c_str(), value);
}

Result<uint64_t> Cgroup::read_number(const char* name) const {
    std::string text = TRY(sys::read_file(base(), file(name).c_str()), "read {}", name);
    if (text.ends_with('\n'))
        text.pop_back();
    if (text == "max")
        return UINT64_MAX;
    return parse_number(text);
}

Result<void> Cgroup::kill() {
    return write("cgroup.kill", "1");
}

Result<void> Cgroup::remove_directory() const {
    return parent_ ? sys::rmdirat(parent_.get(), name_.c_str())
                   : sys::rmdirat(host_->root(), CgroupHost::relative(path_));
}

Result<void> Cgroup::remove() {
    auto removed = remove_directory();
    if (!removed && removed.error().is(EBUSY)) {
        if (auto directory = sys::open(base(), file(".").c_str(), O_RDONLY | O_DIRECTORY))
            remove_cgroups_below(directory->get());
        removed = remove_directory();
    }
    if (!removed && !removed.error().is(ENOENT))
        return removed;
    directory_.reset();
    parent_.reset();
    if (parents_)
        (void)host_->remove_made(*parents_);
    parents_.reset();
    host_ = nullptr;
    if (record_)
        std::exchange(record_, nullptr)->forget(entry_);
    return {};
}

}  // namespace sigil::isolation
