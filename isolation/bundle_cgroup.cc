#include "isolation/bundle_cgroup.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr gid_t kSameGroup = static_cast<gid_t>(-1);

std::string parent_of(const std::string& path) {
    return path.substr(0, std::max<size_t>(path.rfind('/'), 1));
}

std::string file_in(const std::string& path, const char* file) {
    return std::string(CgroupHost::relative(path)) + "/" + file;
}

std::optional<uint32_t> on_the_host(const std::vector<IdMapping>& mappings, uint32_t id) {
    for (const IdMapping& one : mappings)
        if (id >= one.container_id && id - one.container_id < one.size)
            return one.host_id + (id - one.container_id);
    return std::nullopt;
}

bool has_writable_cgroups(const Spec& spec) {
    for (const Mount& mount : spec.mounts) {
        std::string_view target = mount.target;
        while (target.ends_with('/'))
            target.remove_suffix(1);
        if ((mount.type == "cgroup" || mount.type == "cgroup2") && target == "/sys/fs/cgroup")
            return std::ranges::find(mount.options, "ro") == mount.options.end();
    }
    return false;
}

}  // namespace

Result<std::string> bundle_cgroup_path(const std::string& cgroups_path, const std::string& parent,
                                       const std::string& id) {
    const std::string whole = cgroups_path.empty()     ? "/" + id
                              : cgroups_path[0] == '/' ? cgroups_path
                                                       : parent + "/" + cgroups_path;
    std::string clean;
    for (std::string_view rest = whole; !rest.empty();) {
        const size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view name = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (name == "..")
            clean.resize(clean.empty() ? 0 : clean.rfind('/'));
        else if (!name.empty() && name != ".")
            clean.append("/").append(name);
    }
    if (clean.empty())
        return failure("linux.cgroupsPath: {} is the root of all cgroups", cgroups_path);
    return clean;
}

Result<void> prepare_bundle_parent(const CgroupHost& host, const std::string& path,
                                   const std::vector<std::string>& needed, MadeCgroups& made) {
    const std::string parent = parent_of(path);
    TRY(host.prepare_parent(parent, needed, made));
    auto known = sys::read_file(host.root(), "cgroup.controllers");
    auto enabled = sys::read_file(host.root(), file_in(parent, "cgroup.subtree_control").c_str());
    if (!known || !enabled)
        return {};
    const std::vector<std::string_view> has = words_of(*enabled);
    for (const std::string_view controller : words_of(*known))
        if (std::ranges::find(has, controller) == has.end())
            (void)host.prepare_parent(parent, {std::string(controller)}, made);
    return {};
}

// As runc: the user who runs the process, who need not be the container's root.
std::optional<uid_t> bundle_cgroup_owner(const Spec& spec) {
    if (!spec.oci)
        return std::nullopt;
    const Oci& oci = *spec.oci;
    const Namespace* cgroup = oci.find(NamespaceKind::cgroup);
    if (!oci.find(NamespaceKind::user) || !cgroup || !cgroup->path.empty())
        return std::nullopt;
    if (!has_writable_cgroups(spec))
        return std::nullopt;
    return on_the_host(oci.uid_mappings, oci.process.uid);
}

Result<void> delegate_cgroup(int directory, uid_t owner, const char* list) {
    TRY(sys::fchownat(directory, ".", owner, kSameGroup), "give the cgroup to user {}", owner);
    const std::string text = sys::read_file(AT_FDCWD, list)
                                 .value_or("cgroup.procs cgroup.subtree_control cgroup.threads");
    for (const std::string_view word : words_of(text)) {
        if (word.find('/') != std::string::npos)
            continue;
        const std::string file(word);
        auto given = sys::fchownat(directory, file.c_str(), owner, kSameGroup);
        // Of a controller that is not enabled here.
        if (!given && !given.error().is(ENOENT))
            TRY(std::move(given), "give the cgroup's {} to user {}", file, owner);
    }
    return {};
}

}  // namespace sigil::isolation
