// What a bundle sets in its namespaces: names, kernel parameters.
#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/oci_plan.h"

namespace sigil::isolation {
namespace {

// namespaces(7) and ipc_namespaces(7): what each IPC namespace has of its own.
constexpr std::array<std::string_view, 8> kIpcParameters = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
};

// sysctl(8): the separator is the first of '.' and '/' in the name; the other one is a letter.
std::string as_path(std::string name) {
    const size_t first = name.find_first_of("./");
    if (first != std::string::npos && name[first] == '.')
        for (char& letter : name)
            letter = letter == '.' ? '/' : letter == '/' ? '.' : letter;
    return name;
}

bool is_path_beneath(std::string_view path) {
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        if (name.empty() || name == "." || name == "..")
            return false;
        path.remove_prefix(name.size());
        if (path == "/")
            return false;
        if (!path.empty())
            path.remove_prefix(1);
    }
    return true;
}

// Why a parameter may not be set; empty: it may.
std::string_view refusal(const Oci& oci, const std::string& path) {
    std::string dotted = path;
    std::ranges::replace(dotted, '/', '.');
    if (std::ranges::find(kIpcParameters, dotted) != kIpcParameters.end() ||
        dotted.starts_with("fs.mqueue."))
        return oci.find(NamespaceKind::ipc) ? "" : "needs an ipc namespace";
    if (dotted.starts_with("net."))
        return oci.find(NamespaceKind::network) ? "" : "needs a network namespace";
    if (dotted == "kernel.hostname")
        return "is what hostname sets";
    if (dotted == "kernel.domainname")
        return oci.find(NamespaceKind::uts) ? "" : "needs a uts namespace";
    return "is in no namespace: it would be the host's";
}

Result<void> plan_name(StepKind kind, const std::string& name, const char* origin, const Oci& oci,
                       LaunchPlan& plan) {
    if (name.empty())
        return {};
    if (!oci.find(NamespaceKind::uts))
        return failure("{}: needs a uts namespace", origin);
    plan.setup.push_back(
        {.kind = kind, .source = plan.keep(name), .flags = name.size(), .origin = origin});
    return {};
}

bool is_new(const Oci& oci, NamespaceKind kind) {
    const Namespace* space = oci.find(kind);
    return space && space->path.empty();
}

}  // namespace

void plan_oci_early_namespaces(const Oci& oci, LaunchPlan& plan) {
    // Until now the child is a user that its namespace has no number for, and may make no files.
    if (oci.find(NamespaceKind::user))
        plan.setup.push_back({.kind = StepKind::become_user,
                              .flags = kMayBeDenied,
                              .ids = plan.keep(0, 0, {}),
                              .origin = "linux.uidMappings, linux.gidMappings"});
    // Only now is the child in its cgroup, which becomes the namespace's root.
    if (is_new(oci, NamespaceKind::cgroup))
        plan.setup.push_back({.kind = StepKind::unshare_cgroup});
    if (is_new(oci, NamespaceKind::network))
        plan.setup.push_back({.kind = StepKind::raise_loopback});
}

Result<void> plan_oci_names(const Spec& spec, LaunchPlan& plan) {
    const Oci& oci = *spec.oci;
    TRY(plan_name(StepKind::set_hostname, spec.hostname, "hostname", oci, plan));
    TRY(plan_name(StepKind::set_domainname, oci.domainname, "domainname", oci, plan));
    return {};
}

Result<void> plan_oci_sysctl(const Oci& oci, LaunchPlan& plan) {
    for (const auto& [name, value] : oci.sysctl) {
        const std::string path = as_path(name);
        if (path.empty() || !is_path_beneath(path))
            return failure("linux.sysctl: '{}' is not a parameter's name", printable(name));
        if (std::string_view why = refusal(oci, path); !why.empty())
            return failure("linux.sysctl.{} {}", printable(name), why);
        plan.setup.push_back(plan.writing("sys/" + path, value, "linux.sysctl." + name));
    }
    return {};
}

}  // namespace sigil::isolation
