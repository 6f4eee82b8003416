// config.md, "Process".
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/resource.h>

#include <algorithm>

#include "core/capabilities.h"
#include "core/environment.h"
#include "core/rlimits.h"
#include "core/spec_reader_parts.h"

namespace sigil::spec_reader {
namespace {

constexpr unsigned kMostProcessors = 8192;  // NR_CPUS of the largest kernels

Result<void> read_command(const Json& process, Spec& spec) {
    TRY(read_absolute(process, "cwd", spec.cwd));
    const Json args = TRY(process.need("args"));
    TRY(process.read("args", spec.args));
    if (spec.args.empty())
        return args.fail("is empty: the first is the program");
    if (spec.args[0].empty())
        return args.fail("the first, the program, is empty");
    return {};
}

Result<void> read_environment(const Json& process, Spec& spec) {
    auto add_variable = [&](const Json& value) -> Result<void> {
        const std::string_view entry = TRY(value.text());
        const size_t equals = entry.find('=');
        if (equals == std::string_view::npos || equals == 0)
            return value.fail("'{}' is not NAME=value", printable(entry));
        spec.env.emplace_back(entry);
        return {};
    };
    TRY(process.each_value("env", add_variable));
    keep_last_values(spec.env);
    return {};
}

Result<void> read_user(const Json& process, OciProcess& into) {
    const auto user = TRY(process.object("user"));
    if (!user)
        return {};
    TRY(user->read("uid", into.uid));
    TRY(user->read("gid", into.gid));
    TRY(user->read("umask", into.umask, 0U, 0777U));
    return user->each_value("additionalGids", [&](const Json& value) -> Result<void> {
        into.additional_gids.push_back(static_cast<uint32_t>(TRY(value.whole(0, UINT32_MAX))));
        return {};
    });
}

// A name that the kernel may know some day is no reason to fail (config.md, "Linux Process":
// capabilities that can't be granted are logged).
Result<void> read_capability_set(const Json& sets, const char* key, uint64_t& set, Oci& oci) {
    return sets.each_value(key, [&](const Json& value) -> Result<void> {
        const std::string_view name = TRY(value.text());
        const bool is_full =
            name.size() > 4 && (name.starts_with("CAP_") || name.starts_with("cap_"));
        const auto capability = parse_capability(name);
        if (is_full && capability)
            set |= *capability;
        else
            oci.warnings.push_back(fmt::format("{}: '{}' is not a capability: ignored",
                                               value.path(), printable(name)));
        return {};
    });
}

Result<void> read_capabilities(const Json& process, Oci& oci) {
    const auto sets = TRY(process.object("capabilities"));
    if (!sets)
        return {};
    CapabilitySets& into = oci.process.capabilities;
    TRY(read_capability_set(*sets, "bounding", into.bounding, oci));
    TRY(read_capability_set(*sets, "effective", into.effective, oci));
    TRY(read_capability_set(*sets, "inheritable", into.inheritable, oci));
    TRY(read_capability_set(*sets, "permitted", into.permitted, oci));
    return read_capability_set(*sets, "ambient", into.ambient, oci);
}

// "RLIMIT_NOFILE"
std::optional<int> find_oci_rlimit(std::string_view type) {
    constexpr std::string_view kPrefix = "RLIMIT_";
    if (!type.starts_with(kPrefix))
        return std::nullopt;
    std::string name(type.substr(kPrefix.size()));
    for (char& c : name) {
        if (c < 'A' || c > 'Z')
            return std::nullopt;
        c = static_cast<char>(c | 0x20);
    }
    return find_rlimit(name);
}

Result<void> read_rlimit(const Json& object, Spec& spec) {
    const Json type = TRY(object.need("type"));
    const std::string_view name = TRY(type.text());
    const auto resource = find_oci_rlimit(name);
    if (!resource)
        return type.fail("'{}' is not a resource limit", printable(name));
    if (std::ranges::find(spec.rlimits, *resource, &Rlimit::resource) != spec.rlimits.end())
        return type.fail("{} is given twice", name);
    Rlimit limit = {*resource, 0, 0, object.path()};
    limit.soft = TRY(object.need_whole<uint64_t>("soft"));
    limit.hard = TRY(object.need_whole<uint64_t>("hard"));
    if (limit.soft > limit.hard)
        return object.fail("the soft limit is above the hard one");
    spec.rlimits.push_back(std::move(limit));
    return {};
}

constexpr std::array kIoClasses = {
    Named<uint32_t>{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    Named<uint32_t>{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    Named<uint32_t>{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

Result<void> read_io_priority(const Json& process, OciProcess& into) {
    const auto object = TRY(process.object("ioPriority"));
    if (!object)
        return {};
    const Json io_class = TRY(object->need("class"));
    const uint32_t number = TRY(find_named(io_class, kIoClasses, "a class of I/O priority"));
    constexpr uint32_t kLowest = 7;
    const auto level = TRY(object->need_whole<uint32_t>("priority", 0, kLowest));
    into.io_priority = IOPRIO_PRIO_VALUE(number, level);
    return {};
}

constexpr uint32_t kSchedIso = 4;  // reserved in linux/sched.h, and named by the specification
constexpr std::array kPolicies = {
    Named<uint32_t>{"SCHED_OTHER", SCHED_NORMAL},
    Named<uint32_t>{"SCHED_FIFO", SCHED_FIFO},
    Named<uint32_t>{"SCHED_RR", SCHED_RR},
    Named<uint32_t>{"SCHED_BATCH", SCHED_BATCH},
    Named<uint32_t>{"SCHED_ISO", kSchedIso},
    Named<uint32_t>{"SCHED_IDLE", SCHED_IDLE},
    Named<uint32_t>{"SCHED_DEADLINE", SCHED_DEADLINE},
};
constexpr std::array kSchedulerFlags = {
    Named<uint64_t>{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
    Named<uint64_t>{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    Named<uint64_t>{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
    Named<uint64_t>{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    Named<uint64_t>{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
    Named<uint64_t>{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    Named<uint64_t>{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

// sched_setattr(2): which policy takes which number.
Result<void> read_scheduler(const Json& process, OciProcess& into) {
    const auto object = TRY(process.object("scheduler"));
    if (!object)
        return {};
    Scheduler scheduler;
    const Json policy = TRY(object->need("policy"));
    scheduler.policy = TRY(find_named(policy, kPolicies, "a scheduling policy"));
    auto add_flag = [&](const Json& flag) -> Result<void> {
        scheduler.flags |= TRY(find_named(flag, kSchedulerFlags, "a scheduling flag"));
        return {};
    };
    TRY(object->each_value("flags", add_flag));
    TRY(object->read("nice", scheduler.nice, -20, 19));
    TRY(object->read("priority", scheduler.priority, 0U, 99U));
    TRY(object->read("runtime", scheduler.runtime));
    TRY(object->read("deadline", scheduler.deadline));
    TRY(object->read("period", scheduler.period));
    const bool is_real_time = scheduler.policy == SCHED_FIFO || scheduler.policy == SCHED_RR;
    if (scheduler.priority && !is_real_time)
        return object->fail("a priority is for SCHED_FIFO and SCHED_RR");
    if (scheduler.policy != SCHED_DEADLINE &&
        (scheduler.runtime || scheduler.deadline || scheduler.period))
        return object->fail("runtime, deadline and period are for SCHED_DEADLINE");
    into.scheduler = scheduler;
    return {};
}

Result<void> read_processors(const Json& affinity, const char* key, std::string& into) {
    const auto list = affinity.find(key);
    if (!list)
        return {};
    const std::string_view text = TRY(list->text());
    TRY(parse_number_list(text, kMostProcessors - 1), "{}", list->path());
    into = text;
    return {};
}

Result<void> read_affinity(const Json& process, OciProcess& into) {
    const auto affinity = TRY(process.object("execCPUAffinity"));
    if (!affinity)
        return {};
    TRY(read_processors(*affinity, "initial", into.cpu_affinity_initial));
    return read_processors(*affinity, "final", into.cpu_affinity_final);
}

Result<void> read_console(const Json& process, OciProcess& into) {
    TRY(process.read("terminal", into.terminal));
    const auto size = TRY(process.object("consoleSize"));
    if (!size || !into.terminal)  // without a terminal it must be ignored
        return {};
    into.console_size = ConsoleSize{.height = TRY(size->need_whole<uint16_t>("height")),
                                    .width = TRY(size->need_whole<uint16_t>("width"))};
    return {};
}

}  // namespace

Result<void> read_process_object(const Json& process, Spec& spec, Oci& oci) {
    OciProcess& into = oci.process;
    TRY(read_command(process, spec));
    TRY(read_environment(process, spec));
    TRY(read_user(process, into));
    TRY(read_capabilities(process, oci));
    TRY(process.each("rlimits", [&](const Json& limit) { return read_rlimit(limit, spec); }));
    spec.no_new_privileges = false;
    TRY(process.read("noNewPrivileges", spec.no_new_privileges));
    TRY(process.read("oomScoreAdj", into.oom_score_adj, -1000, 1000));
    TRY(process.read("apparmorProfile", into.apparmor_profile));
    TRY(process.read("selinuxLabel", into.selinux_label));
    TRY(read_io_priority(process, into));
    TRY(read_scheduler(process, into));
    TRY(read_affinity(process, into));
    return read_console(process, into);
}

}  // namespace sigil::spec_reader
