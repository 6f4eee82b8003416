#include "cli/run_options.h"

#include <stdlib.h>
#include <sys/auxv.h>

#include <array>

#include "cli/container_words.h"
#include "cli/device_words.h"
#include "cli/fleet_words.h"
#include "cli/globals.h"
#include "cli/seccomp_words.h"
#include "cli/terminal.h"
#include "core/capabilities.h"
#include "core/environment.h"
#include "core/parse.h"
#include "core/rlimits.h"

namespace sigil::cli {
namespace {

using Request = RunRequest;
using Text = std::string_view;

// ---- the table --------------------------------------------------------------------------------

constexpr uint64_t kMostContainers = 1'000'000;
constexpr uint64_t kMostWarm = 100'000;
constexpr uint64_t kMostLaunchers = 64;
constexpr uint64_t kLeastLogSize = 4096;
constexpr uint64_t kMostLogFiles = 1000;

Result<void> set_flag(bool& flag, Text value) {
    flag = value != "false";
    return {};
}

constexpr std::array kOptions = {
    Option<Request>{"Container", "rootfs", 0, "DIR", "The root filesystem, a directory (required)",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.rootfs = v;
                        return {};
                    }},
    Option<Request>{nullptr, "name", 0, "NAME", "Its name; default: twelve hexadecimal digits",
                    [](Request& r, Text v) -> Result<void> {
                        TRY(check_name(v));
                        r.job.spec.name = v;
                        return {};
                    }},
    Option<Request>{nullptr, "hostname", 0, "NAME", "Its hostname; default: its name",
                    [](Request& r, Text v) -> Result<void> {
                        TRY(check_name(v));
                        r.job.spec.hostname = v;
                        return {};
                    }},
    Option<Request>{nullptr, "network", 0, "none|host",
                    "none: only a loopback (the default); host: the host's",
                    [](Request& r, Text v) { return set_network(r.job.spec, v); }},
    Option<Request>{nullptr, "userns", 0, "host|auto|UID:GID:SIZE[,...]",
                    "host: its users are the host's (the default); auto: they are\n"
                    "65,536 users that nobody else is; or those from UID and GID on",
                    [](Request& r, Text v) { return set_userns(r.job.spec, v); }},
    Option<Request>{nullptr, "no-init", 0, nullptr,
                    "Make the command PID 1, instead of the child of sigil's init",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.init = v == "false";
                        return {};
                    }},
    Option<Request>{nullptr, "signal-group", 0, nullptr,
                    "Forward signals to the command's whole process group",
                    [](Request& r, Text v) { return set_flag(r.job.spec.signal_group, v); }},

    Option<Request>{"Process", "env", 'e', "NAME[=VALUE]",
                    "Set a variable; without a value, sigil's own",
                    [](Request& r, Text v) { return add_variable(r.job.spec, v); }},
    Option<Request>{nullptr, "env-file", 0, "FILE",
                    "Set the variables of a file, one NAME=VALUE a line",
                    [](Request& r, Text v) { return read_env_file(r.job.spec, v); }},
    Option<Request>{nullptr, "workdir", 'w', "DIR",
                    "Start in this directory, made if it is missing; default: /",
                    [](Request& r, Text v) { return set_workdir(r.job.spec, v); }},
    Option<Request>{nullptr, "user", 'u', "USER[:GROUP]",
                    "Run as this user, by number or by the container's passwd",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.user = v;
                        return {};
                    }},
    Option<Request>{nullptr, "cap-add", 0, "NAME", "Give a capability, or ALL",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.capabilities |= TRY(parse_capability_to_give(v));
                        return {};
                    }},
    Option<Request>{nullptr, "cap-drop", 0, "NAME", "Take a capability away, or ALL",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.capabilities &= ~TRY(parse_capability(v));
                        return {};
                    }},
    Option<Request>{nullptr, "seccomp", 0, "default|unconfined|FILE",
                    "Filter its system calls by Docker's default (the default),\n"
                    "not at all, or by a profile as Docker, podman or an OCI\n"
                    "bundle has it",
                    [](Request& r, Text v) -> Result<void> {
                        if (v.empty())
                            return failure("the profile is missing");
                        r.seccomp = v;
                        return {};
                    }},
    Option<Request>{nullptr, "privileged", 0, nullptr,
                    "Give it all capabilities, system calls and devices, and a\n"
                    "writable /sys: it is no longer kept from the host",
                    [](Request& r, Text v) { return set_flag(r.job.spec.privileged, v); }},
    Option<Request>{nullptr, "ulimit", 0, "NAME=SOFT[:HARD]",
                    "Set a resource limit: nofile, nproc, core, stack, ...",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.rlimits.push_back(TRY(parse_rlimit(v)));
                        return {};
                    }},
    Option<Request>{nullptr, "pass-fd", 0, "N",
                    "Let the command have descriptor N; nothing but 0, 1 and 2\notherwise",
                    [](Request& r, Text v) { return pass_descriptor(r.job.spec, v); }, true},
    Option<Request>{nullptr, "tty", 't', nullptr,
                    "Give it a terminal of its own, joined to sigil's stdin and\nstdout",
                    [](Request& r, Text v) { return set_flag(r.tty, v); }, true},
    Option<Request>{nullptr, "detach-keys", 0, "KEYS",
                    "With --tty, let sigil's terminal go when these are typed;\n"
                    "default: ctrl-p,ctrl-q; none if empty",
                    [](Request& r, Text v) -> Result<void> {
                        r.detach_keys = TRY(parse_keys(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "timeout", 0, "TIME", "Kill it after this long (ms, s, m, h)",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.timeout = TRY(parse_duration(v));
                        return {};
                    }},
    Option<Request>{nullptr, "stop-timeout", 0, "TIME",
                    "Kill it this long after SIGTERM or SIGINT, 0: at once;\n"
                    "default: 10s",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.stop_timeout = TRY(parse_duration(v));
                        return {};
                    }},
    Option<Request>{nullptr, "stop-signal", 0, "SIGNAL",
                    "Send this to stop it; default: what sigil got",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.stop_signal = TRY(parse_signal(v));
                        return {};
                    }},
    Option<Request>{nullptr, "restart", 0, "POLICY",
                    "Start it again after its end: no (the default),\n"
                    "on-failure[:N], N times at most, or always",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.restart = TRY(parse_restart(v));
                        return {};
                    }},

    Option<Request>{"Filesystem", "read-only", 0, nullptr, "Make the root filesystem read-only",
                    [](Request& r, Text v) { return set_flag(r.job.spec.read_only_root, v); }},
    Option<Request>{nullptr, "bind", 0, "SRC:DST[:ro]",
                    "Bind a file or directory of the host, with all mounts\nbelow it",
                    [](Request& r, Text v) { return add_bind(r.job.spec, v); }},
    Option<Request>{nullptr, "tmpfs", 0, "DST[:SIZE]", "Mount an empty tmpfs",
                    [](Request& r, Text v) { return add_tmpfs(r.job.spec, v); }},
    Option<Request>{nullptr, "device", 0, "PATH[:INSIDE][:rwm]",
                    "Give it a device of the host, to read, write and make nodes\n"
                    "of; INSIDE is below /dev",
                    [](Request& r, Text v) { return add_device(r.job.spec, v); }},
    Option<Request>{nullptr, "mount", 0, "type=T,source=S,target=D,...",
                    "Mount anything: a bind, a tmpfs, or any filesystem, with\n"
                    "the options of mount(8)",
                    [](Request& r, Text v) { return add_mount(r.job.spec, v); }},

    Option<Request>{"Resources", "memory", 'm', "SIZE",
                    "Limit of memory (memory.max; no swap unless --memory-swap)",
                    [](Request& r, Text v) { return set_limit(r.job.spec.resources.memory, v); }},
    Option<Request>{
        nullptr, "memory-high", 0, "SIZE", "Above this it is slowed down (memory.high)",
        [](Request& r, Text v) { return set_limit(r.job.spec.resources.memory_high, v); }},
    Option<Request>{
        nullptr, "memory-swap", 0, "SIZE", "Limit of memory and swap together; max: no limit",
        [](Request& r, Text v) { return set_limit(r.job.spec.resources.memory_swap, v); }},
    Option<Request>{nullptr, "oom-group", 0, nullptr,
                    "Out of memory, kill all of it (memory.oom.group)",
                    [](Request& r, Text v) { return set_flag(r.job.spec.resources.oom_group, v); }},
    Option<Request>{nullptr, "cpus", 0, "NUMBER", "Limit of processor time, such as 1.5 (cpu.max)",
                    [](Request& r, Text v) { return set_cpus(r.job.spec, v); }},
    Option<Request>{nullptr, "cpuset-cpus", 0, "LIST",
                    "Only these processors, such as 0-3,7 (cpuset.cpus)",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.spec.resources.cpuset_cpus = v;
                        return {};
                    }},
    Option<Request>{nullptr, "pids-limit", 0, "NUMBER", "Limit of processes and threads (pids.max)",
                    [](Request& r, Text v) { return set_pids(r.job.spec, v); }},
    Option<Request>{nullptr, "io-max", 0, "DEVICE:KEY=VALUE[,...]",
                    "Limit of a block device: rbps, wbps, riops, wiops (io.max)",
                    [](Request& r, Text v) { return add_io_max(r.job.spec, v); }},
    Option<Request>{nullptr, "cgroup-set", 0, "FILE=VALUE", "Write any other file of the cgroup",
                    [](Request& r, Text v) { return add_cgroup_file(r.job.spec, v); }},
    Option<Request>{nullptr, "cgroup-parent", 0, "PATH",
                    "The cgroup to be in: absolute, or relative to sigil's own",
                    [](Request& r, Text v) { return set_cgroup_parent(r.job.spec, v); }},

    Option<Request>{"Many containers", "count", 0, "N", "Run this many, named NAME-1 to NAME-N",
                    [](Request& r, Text v) -> Result<void> {
                        r.count = TRY(parse_count(v, kMostContainers));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "from", 0, "FILE|-",
                    "Run one for each line of a file: a JSON object of these\n"
                    "options, such as {\"id\":\"a\",\"args\":[\"ls\"],\"memory\":\"64M\"};\n"
                    "options given here are the defaults of every line",
                    [](Request& r, Text v) -> Result<void> {
                        r.from = TRY(parse_path(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "jobs", 0, "N",
                    "Run at most this many at a time; default: as many as\nthe machine's limits "
                    "let, which is said",
                    [](Request& r, Text v) -> Result<void> {
                        r.jobs = TRY(parse_count(v, kMostContainers));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "after", 0, "NAME",
                    "Start it once the container NAME has started;\n"
                    "may be given more than once",
                    [](Request& r, Text v) { return add_after(r.job, v); }},
    Option<Request>{nullptr, "fail-fast", 0, nullptr,
                    "Once one has failed, start no more and stop the rest",
                    [](Request& r, Text v) { return set_flag(r.fail_fast, v); }, true},
    Option<Request>{nullptr, "warm", 0, "N",
                    "Keep this many containers ready but for their command,\n"
                    "and as many network namespaces; default: 0",
                    [](Request& r, Text v) -> Result<void> {
                        r.warm = TRY(parse_number(v, kMostWarm));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "launchers", 0, "N", "Start containers from this many threads",
                    [](Request& r, Text v) -> Result<void> {
                        r.launchers = TRY(parse_count(v, kMostLaunchers));
                        return {};
                    },
                    true},

    Option<Request>{"Output", "stdin", 0, "FILE",
                    "Let it read this file; default: sigil's stdin for one,\n"
                    "/dev/null for many",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.stdin_path = TRY(parse_path(v));
                        return {};
                    }},
    Option<Request>{nullptr, "stdout", 0, "FILE", "Write its stdout to this file",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.stdout_path = TRY(parse_path(v));
                        return {};
                    }},
    Option<Request>{nullptr, "stderr", 0, "FILE", "Write its stderr to this file",
                    [](Request& r, Text v) -> Result<void> {
                        r.job.stderr_path = TRY(parse_path(v));
                        return {};
                    }},
    Option<Request>{nullptr, "output", 0, "WHERE",
                    "inherit: sigil's stdout and stderr (the default for one);\n"
                    "prefix: the same, each line led by the name (for many);\n"
                    "events: into --events; discard: nowhere",
                    [](Request& r, Text v) -> Result<void> {
                        r.output = TRY(parse_output(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "log-dir", 0, "DIR",
                    "Write what each writes to files of its own in DIR",
                    [](Request& r, Text v) -> Result<void> {
                        r.log_dir = TRY(parse_path(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "log-max-size", 0, "SIZE",
                    "Start a log anew when it is as large as this; the one\n"
                    "before is ID.log.1, and so on",
                    [](Request& r, Text v) -> Result<void> {
                        r.log_max_size = TRY(parse_size(v));
                        if (*r.log_max_size < kLeastLogSize)
                            return failure("'{}' is less than 4K", printable(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "log-max-files", 0, "N",
                    "Keep this many files of each log; default: 5",
                    [](Request& r, Text v) -> Result<void> {
                        r.log_max_files = TRY(parse_count(v, kMostLogFiles));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "log-policy", 0, "block|drop",
                    "While its output is not taken, let it wait (the default)\n"
                    "or lose output",
                    [](Request& r, Text v) -> Result<void> {
                        r.log_policy = TRY(parse_log_policy(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "log-format", 0, "text|json",
                    "Of sigil's own messages; as before the command",
                    [](Request&, Text v) -> Result<void> {
                        set_log_format(TRY(parse_log_format(v)));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "events", 0, "FILE|fd:N|-",
                    "Write what happens, when it does, one JSON object a line",
                    [](Request& r, Text v) -> Result<void> {
                        r.events = TRY(parse_path(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "report", 0, "FILE|fd:N|-",
                    "Write how it went, as one JSON object for each container",
                    [](Request& r, Text v) -> Result<void> {
                        r.report = TRY(parse_path(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "metrics", 0, "unix:PATH|[HOST:]PORT",
                    "Serve figures for Prometheus at http://HOST:PORT/metrics,\n"
                    "or on a Unix socket; HOST is an address, default:\n"
                    "127.0.0.1",
                    [](Request& r, Text v) -> Result<void> {
                        r.metrics = TRY(parse_metrics(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "notify", 0, "sigil|container|ignore",
                    "Who tells $NOTIFY_SOCKET that the service is ready: sigil,\n"
                    "once the containers have started (the default), or they\n"
                    "themselves, over a $NOTIFY_SOCKET of their own",
                    [](Request& r, Text v) -> Result<void> {
                        r.notify = TRY(parse_notify(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "notification-fd", 0, "N",
                    "Write a newline to descriptor N when ready, and close it\n"
                    "(s6)",
                    [](Request& r, Text v) -> Result<void> {
                        r.notification_fd = TRY(parse_notification_fd(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "root", 0, "DIR",
                    "Where sigil writes down what 'sigil sweep' has to remove\n"
                    "if sigil is killed; default: /run/sigil",
                    [](Request& r, Text v) -> Result<void> {
                        if (v.empty())
                            return failure("the directory is missing");
                        r.root = v;
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "ring", 0, "auto|uring|epoll",
                    "Wait by io_uring, or by epoll; default: $SIGIL_RING, else\n"
                    "auto: io_uring where the host allows it",
                    [](Request& r, Text v) -> Result<void> {
                        r.ring = TRY(parse_ring(v));
                        return {};
                    },
                    true},
    Option<Request>{nullptr, "quiet", 0, nullptr,
                    "Say nothing on stderr but what is wrong with sigil's own\n"
                    "work",
                    [](Request& r, Text v) { return set_flag(r.quiet, v); }, true},
    Option<Request>{nullptr, "help", 'h', nullptr, "Show this",
                    [](Request& r, Text v) { return set_flag(r.wants_help, v); }, true},
};

// Twelve digits of the 16 random bytes that the kernel gives each program (getauxval(3)).
std::string random_name() {
    const auto* bytes = reinterpret_cast<const unsigned char*>(::getauxval(AT_RANDOM));
    std::string name;
    for (int index = 0; index < 6; ++index)
        name += fmt::format("{:02x}", bytes[index]);
    return name;
}

}  // namespace

std::span<const Option<RunRequest>> run_options() {
    return kOptions;
}

Result<void> check_job(const Job& job, Text dashes) {
    const Spec& spec = job.spec;
    const Resources& resources = spec.resources;
    if (spec.rootfs.empty())
        return failure("{}rootfs: the root filesystem is missing", dashes);
    if (spec.signal_group && !spec.init)
        return failure(
            "{0}signal-group: it is the init that signals the group: not with {0}no-init", dashes);
    // The command runs a moment before the init replaces what PID 1 was: a tracer could reach into
    // it. Who has all capabilities needs no such way.
    if (spec.init && can_trace_but_not_administer(spec.capabilities))
        return failure("{0}cap-add SYS_PTRACE: it needs {0}no-init", dashes);
    if (resources.memory_swap && !resources.memory && *resources.memory_swap != UINT64_MAX)
        return failure(
            "{0}memory-swap: it is a limit of memory and swap together: give {0}memory too",
            dashes);
    if (resources.memory_swap && resources.memory && *resources.memory_swap < *resources.memory)
        return failure(
            "{0}memory-swap: it is a limit of memory and swap together: not below {0}memory",
            dashes);
    return {};
}

Result<void> number_job(Job& job, Text base, uint64_t number) {
    std::string name = fmt::format("{}-{}", base, number);
    TRY(check_name(name));
    if (job.spec.hostname.empty() && !job.spec.oci)  // a bundle's may be the host's
        job.spec.hostname = name;
    job.spec.name = std::move(name);
    return {};
}

Result<RunRequest> parse_run(std::span<const char* const> arguments) {
    RunRequest request;
    request.root = globals().root;
    request.job.spec.capabilities = default_capabilities();
    if (const char* ring = ::getenv("SIGIL_RING"); ring && *ring)
        request.ring = TRY(parse_ring(ring), "SIGIL_RING");
    TRY(parse_options(run_options(), request, arguments));
    if (request.wants_help)
        return request;
    Spec& spec = request.job.spec;
    keep_last_values(spec.env);
    spec.args.assign(arguments.begin(), arguments.end());
    if (spec.name.empty())
        spec.name = random_name();
    if (spec.hostname.empty() && !request.is_many())
        spec.hostname = spec.name;
    TRY(check_run(request));
    if (!request.from)  // else a line may say otherwise
        TRY(complete_privileged(spec), "--privileged");
    TRY(set_seccomp(spec, request.seccomp), "--seccomp");
    if (!request.from)  // else a line may complete it
        TRY(check_job(request.job, "--"));
    if (spec.args.empty() && !request.from)
        return failure("the command is missing: sigil run [OPTIONS] [--] COMMAND [ARG...]");
    if (!spec.args.empty() && spec.args[0].empty())
        return failure("the command is empty");
    return request;
}

}  // namespace sigil::cli
