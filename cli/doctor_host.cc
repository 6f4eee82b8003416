// How many containers the host takes, what it forbids, and what is sigil's own on it.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "cli/capacity.h"
#include "cli/doctor.h"
#include "core/capabilities.h"
#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/sweep.h"

namespace sigil::cli {
namespace {

// Fewer than this is a limit that somebody will run into unawares.
constexpr uint64_t kManyContainers = 100;

Finding of_bound(std::string_view name, const char* mend) {
    const std::vector<Bound> bounds = Capacity::bounds(RunRequest());
    const auto bound = std::ranges::find(bounds, name, &Bound::name);
    std::string text = fmt::format("{}: up to {:L} container{} at a time", bound->value,
                                   bound->containers, bound->containers == 1 ? "" : "s");
    if (bound->containers < kManyContainers)
        return {Verdict::warning, std::move(text), mend};
    return {Verdict::good, std::move(text), {}};
}

// The value of a line such as "Seccomp:\t0".
std::string field(std::string_view text, std::string_view key) {
    const size_t at = text.find(key);
    if (at == std::string_view::npos)
        return {};
    text.remove_prefix(at + key.size());
    text = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
    return std::string(text);
}

std::vector<std::string> names_of(uint64_t set) {
    std::vector<std::string> names;
    const auto known = capability_names();
    for (size_t number = 0; number < known.size(); ++number)
        if (set >> number & 1)
            names.emplace_back(known[number]);
    return names;
}

std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Finding check_open_files(const Host&) {
    return of_bound("open files", "ulimit -Hn 1048576, or LimitNOFILE= of the service");
}

Finding check_processes(const Host&) {
    return of_bound("processes", "sysctl -w kernel.pid_max=4194304 kernel.threads-max=4194304");
}

Finding check_memory(const Host&) {
    return of_bound("available memory", "");
}

Finding check_capabilities(const Host&) {
    auto own = sys::permitted_capabilities();
    if (!own)
        return {Verdict::failure, own.error().message(), {}};
    auto bit = [](int number) { return uint64_t{1} << number; };
    const bool is_root = ::geteuid() == 0;
    if (!is_root && *own == 0)
        return {Verdict::note,
                "none: an ordinary user's containers are in a user namespace, their root is that "
                "user",
                {}};
    if (!(*own & bit(CAP_SYS_ADMIN)))
        return {Verdict::warning, "not SYS_ADMIN: no namespaces but a user's",
                "start the container that this is with all capabilities (--privileged)"};
    const uint64_t wanted = default_capabilities() | bit(CAP_SYS_ADMIN) | bit(CAP_NET_ADMIN) |
                            bit(CAP_MKNOD) | bit(CAP_SYS_RESOURCE);
    const uint64_t missing = wanted & ~*own;
    if (!missing)
        return {Verdict::good, "all that sigil uses", {}};
    const std::string text = fmt::format("not {}", fmt::join(names_of(missing), ", "));
    if (missing == bit(CAP_SYS_RESOURCE))
        return {Verdict::note, text + ": limits such as nofile can be lowered, not raised", {}};
    return {Verdict::warning, text, "start sigil with them"};
}

Finding check_seccomp(const Host& host) {
    constexpr std::array kActions = {"kill_process", "kill_thread", "trap", "errno",
                                     "user_notif",   "trace",       "log",  "allow"};
    const auto actions = host.read("/proc/sys/kernel/seccomp/actions_avail");
    if (!actions)
        return {Verdict::warning, "not in this kernel: containers cannot have filters",
                "a kernel with CONFIG_SECCOMP_FILTER"};
    std::vector<std::string> missing;
    for (const char* action : kActions)
        if ((" " + *actions + " ").find(fmt::format(" {} ", action)) == std::string::npos)
            missing.emplace_back(action);
    const auto status = host.read("/proc/self/status");
    const bool is_filtered = status && field(*status, "\nSeccomp:") == "2";
    if (!missing.empty())
        return {Verdict::warning, fmt::format("no action {}", fmt::join(missing, ", ")),
                "a newer kernel"};
    if (is_filtered)
        return {Verdict::note, "all actions; sigil itself is under a filter", {}};
    return {Verdict::good, "all actions", {}};
}

Finding check_security_modules(const Host& host) {
    std::vector<std::string> there;
    const bool has_apparmor =
        host.read("/sys/module/apparmor/parameters/enabled").value_or("") == "Y";
    if (has_apparmor)
        there.emplace_back("AppArmor");
    if (const auto enforcing = host.number("/sys/fs/selinux/enforce"))
        there.emplace_back(*enforcing ? "SELinux (enforcing)" : "SELinux (permissive)");
    // With a size of 0 and this flag, it tells its version (landlock_create_ruleset(2)).
    const long abi =
        raw::call(__NR_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi > 0)
        there.push_back(fmt::format("Landlock (ABI {})", abi));
    const auto all = host.read("/sys/kernel/security/lsm");
    if (all && ("," + *all + ",").find(",bpf,") != std::string::npos)
        there.emplace_back("BPF");
    const auto profile = host.read("/proc/self/attr/current");
    if (has_apparmor && profile && !profile->empty() && !profile->starts_with("unconfined"))
        return {
            Verdict::warning,
            fmt::format("AppArmor confines sigil itself by {}, which may forbid mounts", *profile),
            "aa-exec -p unconfined -- sigil ..."};
    if (there.empty())
        return {Verdict::note, "none", {}};
    return {Verdict::note, fmt::format("{}", fmt::join(there, ", ")), {}};
}

Finding check_record(const Host& host) {
    std::string path = host.root;
    if (!sys::stat(AT_FDCWD, path.c_str())) {
        path = parent_of(path);
        if (!sys::stat(AT_FDCWD, path.c_str()))
            return {Verdict::failure, fmt::format("{} is not there", path), "mkdir -p " + path};
    }
    auto may_write = sys::check_writable(AT_FDCWD, path.c_str());
    if (!may_write)
        return {Verdict::failure, fmt::format("{}: {}", path, may_write.error().message()),
                "name another directory with --root"};
    return {Verdict::good, host.root, {}};
}

Finding check_leftovers(const Host& host) {
    const isolation::Swept swept =
        isolation::sweep({.root = host.root, .dry_run = true, .wait = Runs::Wait::no});
    if (!swept.failures.empty())
        return {Verdict::warning, swept.failures[0].message(), {}};
    if (swept.removed.empty())
        return {Verdict::good, "nothing", {}};
    const std::string root = host.root == kDefaultRoot ? "" : fmt::format(" --root {}", host.root);
    return {Verdict::warning,
            fmt::format("{} of killed supervisors: {}{}", swept.removed.size(), swept.removed[0],
                        swept.removed.size() > 1 ? ", ..." : ""),
            "sigil sweep" + root};
}

}  // namespace sigil::cli
