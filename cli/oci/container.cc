#include "cli/oci/container.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "cli/globals.h"
#include "cli/oci/verbs.h"
#include "core/parse.h"
#include "core/runs.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_control.h"
#include "isolation/container_note.h"
#include "isolation/parked.h"

namespace sigil::cli::oci {
namespace {

using isolation::Cgroup;
using isolation::CgroupHost;

constexpr std::string_view kGroupPrefix = "sigil-";

// A cgroup of a living supervisor's container: the container's name, and the path from the mount.
struct Supervised {
    std::string name;
    std::string path;
};

std::string_view base_of(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

// Of a container that was made ahead of need; empty: it waits for one.
std::string name_given_to(int group, const std::string& below) {
    const auto directory = sys::open(group, below.c_str(), O_RDONLY | O_DIRECTORY);
    if (!directory)
        return {};
    auto note = isolation::read_note(directory->get());
    return note ? std::move(note->name) : std::string();
}

// A group is written down for a run of many, and their cgroups are below it; else the container's
// own is.
void add_supervised(const CgroupHost& host, std::string_view target,
                    std::vector<Supervised>& found) {
    if (!target.starts_with(host.mount_point()))
        return;
    const std::string path(target.substr(host.mount_point().size()));
    auto directory = sys::open(host.root(), CgroupHost::relative(path), O_RDONLY | O_DIRECTORY);
    if (!directory)
        return;
    bool is_group = false;
    const auto names = sys::all_names(directory->get());
    if (!names)
        return;
    for (const std::string& below : *names) {
        if (!below.starts_with(kGroupPrefix))
            continue;
        is_group = true;
        std::string name = below.substr(kGroupPrefix.size());
        if (name.starts_with(isolation::kParkedMark))
            name = name_given_to(directory->get(), below);
        if (!name.empty())
            found.push_back({std::move(name), fmt::format("{}/{}", path, below)});
    }
    const std::string_view base = base_of(path);
    if (!is_group && base.starts_with(kGroupPrefix))
        found.push_back({std::string(base.substr(kGroupPrefix.size())), path});
}

Result<std::vector<Supervised>> all_supervised(const CgroupHost& host) {
    std::vector<Supervised> found;
    const auto runs = TRY(Runs::open(globals().root, Runs::Wait::yes));
    if (!runs)
        return found;
    for (const std::string& name : TRY(runs->names())) {
        auto run = runs->look(name);
        if (!run || !*run || !(*run)->is_alive)
            continue;
        for (const Runs::Link& link : (*run)->links)
            if (link.kind == RunRecord::Kind::cgroup)
                add_supervised(host, link.target, found);
    }
    return found;
}

// Whether the process is the first of its pid namespace: its last number is 1 (proc(5), NSpid).
bool is_first_of_namespace(pid_t pid) {
    auto status = sys::read_file(AT_FDCWD, fmt::format("/proc/{}/status", pid).c_str());
    if (!status)
        return false;
    const size_t at = status->find("\nNSpid:");
    if (at == std::string::npos)
        return false;
    std::string_view line = std::string_view(*status).substr(at + 1);
    line = line.substr(0, line.find('\n'));
    return line.ends_with("\t1") && line.find('\t') != line.rfind('\t');
}

// "/proc/PID/root" as a path of the host, where the kernel can tell.
std::string root_of(pid_t pid) {
    auto root = sys::readlinkat(AT_FDCWD, fmt::format("/proc/{}/root", pid).c_str());
    return root ? *root : std::string();
}

using Host = std::shared_ptr<const CgroupHost>;

// Null: the machine has no cgroup v2. Looked for once, however many containers are listed.
Result<Host> find_host() {
    static std::optional<Host> host;
    if (!host) {
        auto found = TRY(CgroupHost::find());
        host = found ? std::make_shared<const CgroupHost>(std::move(*found)) : nullptr;
    }
    return *host;
}

// Nothing: it is gone.
Result<std::optional<Cgroup>> open_cgroup(const Host& host, const std::string& path) {
    auto opened = Cgroup::open_at(host.get(), path);
    if (!opened && opened.error().is(ENOENT))
        return std::nullopt;
    return std::optional(TRY(std::move(opened)));
}

Result<std::optional<Container>> take(const Supervised& supervised, const Host& host) {
    Container container;
    container.cgroups = host;
    container.cgroup = TRY(open_cgroup(host, supervised.path));
    if (!container.cgroup)
        return std::nullopt;
    ContainerState& state = container.state;
    state.id = supervised.name;
    state.cgroup = supervised.path;
    for (const pid_t pid : TRY(isolation::cgroup_processes(container.cgroup->directory())))
        if (is_first_of_namespace(pid)) {
            state.pid = pid;
            break;
        }
    if (state.pid <= 0)
        return std::nullopt;
    state.start_time = start_time_of(state.pid).value_or(0);
    container.process = TRY(living_process(state));
    if (!container.process)
        return std::nullopt;
    state.rootfs = root_of(state.pid);
    container.status = TRY(isolation::is_cgroup_frozen(container.cgroup->directory()))
                           ? ContainerStatus::paused
                           : ContainerStatus::running;
    return container;
}

}  // namespace

Error Container::not_while(std::string_view verb) const {
    return Error::because(
        fmt::format("cannot {} container {}: it is {}", verb, state.id, name(status)));
}

// What the state file and the kernel say together.
Result<void> Container::look() {
    process = TRY(living_process(state));
    if (!state.cgroup.empty()) {
        cgroups = TRY(find_host());
        if (cgroups)
            cgroup = TRY(open_cgroup(cgroups, state.cgroup));
    }
    if (!process) {
        status = state.pid <= 0 ? ContainerStatus::creating : ContainerStatus::stopped;
        return {};
    }
    if (!state.is_created)
        status = ContainerStatus::creating;
    else if (cgroup && TRY(isolation::is_cgroup_frozen(cgroup->directory())))
        status = ContainerStatus::paused;
    else if (TRY(directory->is_awaited()))
        status = ContainerStatus::created;
    else
        status = ContainerStatus::running;
    return {};
}

Result<std::optional<Container>> Container::find_supervised(const std::string& id) {
    const Host host = TRY(find_host());
    if (!host)
        return std::nullopt;
    for (const Supervised& supervised : TRY(all_supervised(*host)))
        if (supervised.name == id)
            return take(supervised, host);
    return std::nullopt;
}

Result<Container> Container::from(Result<ContainerDirectory> directory, const std::string& id) {
    if (!directory) {
        auto supervised = find_supervised(id);
        if (supervised && *supervised)
            return std::move(**supervised);
        return tl::unexpected(std::move(directory).error());
    }
    Container container;
    container.directory = std::move(*directory);
    container.state = TRY(container.directory->read());
    TRY(container.look(), "container {}", id);
    return container;
}

Result<Container> Container::open(const std::string& id) {
    TRY(check_container_id(id));
    return from(ContainerDirectory::open(globals().root, id), id);
}

Result<Container> Container::look_up(const std::string& id) {
    TRY(check_container_id(id));
    return from(ContainerDirectory::look(globals().root, id), id);
}

Result<Container> Container::open_only(Arguments arguments, std::string_view verb) {
    const std::string id = TRY(only_id(arguments, verb));
    return open(id);
}

Result<Container> Container::look_up_only(Arguments arguments, std::string_view verb) {
    const std::string id = TRY(only_id(arguments, verb));
    return look_up(id);
}

Result<std::vector<Container>> Container::all() {
    std::vector<Container> containers;
    for (const std::string& id : TRY(ContainerDirectory::list(globals().root))) {
        auto container = look_up(id);
        if (container)
            containers.push_back(std::move(*container));
        else if (!container.error().is(ENOENT))  // removed meanwhile
            log(Level::warning, container.error().message());
    }
    const Host host = TRY(find_host());
    if (!host)
        return containers;
    for (const Supervised& supervised : TRY(all_supervised(*host))) {
        auto container = take(supervised, host);
        if (container && *container)
            containers.push_back(std::move(**container));
    }
    return containers;
}

}  // namespace sigil::cli::oci
