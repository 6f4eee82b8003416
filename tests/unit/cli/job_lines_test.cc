// Lines of `sigil run --from`: what each key does, and what is said of each that is wrong.
#include "cli/job_lines.h"

#include <sys/resource.h>

#include <chrono>
#include <string>
#include <vector>

#include "cli/line_reader.h"
#include "core/capabilities.h"
#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::message_of;
using Strings = std::vector<std::string>;
using namespace std::chrono_literals;

RunRequest defaults(std::vector<const char*> words) {
    words.insert(words.begin(), {"--from", "-"});
    auto request = parse_run(words);
    EXPECT_TRUE(request) << message_of(request);
    return request ? std::move(*request) : RunRequest{};
}

Result<Job> parse(std::string_view line) {
    static const RunRequest kDefaults = defaults({"--rootfs", "/r", "true"});
    return parse_job_line(line, kDefaults);
}

// What must be right.
Job job(std::string_view line) {
    auto result = parse(line);
    EXPECT_TRUE(result) << line.substr(0, 200) << ": " << message_of(result);
    return result ? std::move(*result) : Job{};
}

Job job_on(const RunRequest& request, std::string_view line) {
    auto result = parse_job_line(line, request);
    EXPECT_TRUE(result) << line << ": " << message_of(result);
    return result ? std::move(*result) : Job{};
}

uint64_t capability(const char* name) {
    return *parse_capability(name);
}

// ---- what is right ----------------------------------------------------------------------------

TEST(JobLines, EmptyObjectIsTheDefaults) {
    const Job empty = job("{}");
    EXPECT_EQ(empty.spec.rootfs, "/r");
    EXPECT_EQ(empty.spec.args, Strings{"true"});
    EXPECT_EQ(empty.spec.capabilities, default_capabilities());
    EXPECT_EQ(empty.spec.name, "");
    EXPECT_EQ(empty.spec.hostname, "");
}

TEST(JobLines, IdIsTheNameAndTheHostname) {
    for (const char* line : {R"({"id":"web"})", R"({"name":"web"})"}) {
        EXPECT_EQ(job(line).spec.name, "web");
        EXPECT_EQ(job(line).spec.hostname, "web");
    }
    EXPECT_EQ(job(R"({"hostname":"h","id":"web"})").spec.hostname, "h");
    EXPECT_EQ(job(R"({"hostname":"h"})").spec.hostname, "h");
}

TEST(JobLines, WordsOfTheProcess) {
    const Job all = job(R"({"args":["a","","c d"],"cwd":"/w","user":1000,"hostname":"h",
        "timeout":"250ms","stop_timeout":3,"stop_signal":"TERM","restart":"on-failure:2",
        "network":"host","rootfs":"/other","stdin":"in","stdout":"out","stderr":"err",
        "ulimit":["nofile=1:2","core=0"],"signal_group":true})");
    EXPECT_EQ(all.spec.args, (Strings{"a", "", "c d"}));
    EXPECT_EQ(all.spec.cwd, "/w");
    EXPECT_EQ(all.spec.user, "1000");
    EXPECT_EQ(all.spec.timeout, 250ms);
    EXPECT_EQ(all.spec.stop_timeout, 3s);
    EXPECT_EQ(all.stop_signal, 15);
    EXPECT_EQ(all.restart.when, RestartPolicy::on_failure);
    EXPECT_EQ(all.restart.most, 2U);
    EXPECT_EQ(all.spec.network, Network::host);
    EXPECT_EQ(all.spec.rootfs, "/other");
    EXPECT_EQ(all.stdin_path, "in");
    EXPECT_EQ(all.stdout_path, "out");
    EXPECT_EQ(all.stderr_path, "err");
    ASSERT_EQ(all.spec.rlimits.size(), 2U);
    EXPECT_EQ(all.spec.rlimits[0].resource, RLIMIT_NOFILE);
    EXPECT_TRUE(all.spec.signal_group);
    EXPECT_EQ(job(R"({"stop-signal":9})").stop_signal, 9);
    EXPECT_EQ(job(R"({"workdir":"/x"})").spec.cwd, "/x");
}

TEST(JobLines, WordsOfResources) {
    const Job all = job(R"({"memory":67108864,"memory_high":"32M","memory-swap":"max","cpus":1.5,
        "pids":64,"cpuset_cpus":"0-1","oom_group":true,"cgroup_set":["cpu.weight=200"],
        "cgroup_parent":"/p","io_max":["8:0:rbps=1M"]})");
    EXPECT_EQ(all.spec.resources.memory, 64U << 20);
    EXPECT_EQ(all.spec.resources.memory_high, 32U << 20);
    EXPECT_EQ(all.spec.resources.memory_swap, UINT64_MAX);
    EXPECT_EQ(all.spec.resources.cpu_quota, 150'000U);
    EXPECT_EQ(all.spec.resources.pids, 64U);
    EXPECT_EQ(all.spec.resources.cpuset_cpus, "0-1");
    EXPECT_TRUE(all.spec.resources.oom_group);
    ASSERT_EQ(all.spec.resources.files.size(), 1U);
    EXPECT_EQ(all.spec.cgroup_parent, "/p");
    EXPECT_EQ(all.spec.resources.io_max, Strings{"8:0 rbps=1048576"});
    EXPECT_EQ(job(R"({"memory":"64M"})").spec.resources.memory, 64U << 20);
    EXPECT_EQ(job(R"({"memory":-1})").spec.resources.memory, UINT64_MAX);
    EXPECT_EQ(job(R"({"memory":1e9})").spec.resources.memory, 1'000'000'000U);
    EXPECT_EQ(job(R"({"cpus":"0.25"})").spec.resources.cpu_quota, 25'000U);
    EXPECT_EQ(job(R"({"cpus":0.1})").spec.resources.cpu_quota, 10'000U);
    EXPECT_EQ(job(R"({"pids_limit":-1})").spec.resources.pids, UINT64_MAX);
}

TEST(JobLines, NumbersOfTimeAreSeconds) {
    EXPECT_EQ(job(R"({"timeout":10})").spec.timeout, 10s);
    EXPECT_EQ(job(R"({"timeout":0.5})").spec.timeout, 500ms);
}

TEST(JobLines, EnvIsAnObjectAListOrOneEntry) {
    EXPECT_EQ(job(R"({"env":{"A":"b","PORT":8080,"E":""}})").spec.env,
              (Strings{"A=b", "PORT=8080", "E="}));
    EXPECT_EQ(job(R"({"env":["A=b","B==c"]})").spec.env, (Strings{"A=b", "B==c"}));
    EXPECT_EQ(job(R"({"env":"A=b"})").spec.env, Strings{"A=b"});
    EXPECT_EQ(job(R"({"env":["A=1","B=2","A=3"]})").spec.env, (Strings{"B=2", "A=3"}));
}

TEST(JobLines, MountsAreTextsOrObjects) {
    const Job all = job(R"({"mounts":["type=tmpfs,target=/t",
        {"type":"bind","source":"/s,:","target":"/d","options":["nosuid","ro"]},
        {"source":"/x","destination":"/y"},{"type":"proc","target":"/p"}]})");
    ASSERT_EQ(all.spec.mounts.size(), 4U);
    EXPECT_EQ(all.spec.mounts[0].type, "tmpfs");
    EXPECT_EQ(all.spec.mounts[1].source, "/s,:");
    EXPECT_EQ(all.spec.mounts[1].target, "/d");
    EXPECT_EQ(all.spec.mounts[1].options, (Strings{"rbind", "nosuid", "rro"}));
    EXPECT_EQ(all.spec.mounts[1].origin, "mount on /d");
    EXPECT_EQ(all.spec.mounts[2].type, "bind");
    EXPECT_EQ(all.spec.mounts[2].target, "/y");
    EXPECT_EQ(all.spec.mounts[3].type, "proc");
    EXPECT_EQ(job(R"({"mount":{"source":"/x","target":"/y"}})").spec.mounts.size(), 1U);
}

TEST(JobLines, BindsAndTmpfsAreAsOnTheCommandLine) {
    const Job all = job(R"({"binds":["/a:/b:ro","/c:/d"],"tmpfs":["/u","/v:1M"]})");
    ASSERT_EQ(all.spec.mounts.size(), 4U);
    EXPECT_EQ(all.spec.mounts[0].options, (Strings{"rbind", "rro"}));
    EXPECT_EQ(all.spec.mounts[1].target, "/d");
    EXPECT_EQ(all.spec.mounts[3].options.back(), "size=1048576");
    EXPECT_EQ(job(R"({"bind":"/e:/f"})").spec.mounts.size(), 1U);
    EXPECT_TRUE(job(R"({"binds":[]})").spec.mounts.empty());
}

TEST(JobLines, InitAndReadOnlyAreSwitches) {
    EXPECT_TRUE(job("{}").spec.init);
    EXPECT_FALSE(job(R"({"init":false})").spec.init);
    EXPECT_FALSE(job(R"({"no_init":true})").spec.init);
    EXPECT_TRUE(job(R"({"init":true})").spec.init);
    EXPECT_TRUE(job(R"({"read_only":true})").spec.read_only_root);
    EXPECT_FALSE(job(R"({"read-only":false})").spec.read_only_root);
}

TEST(JobLines, CapabilitiesInEitherForm) {
    const uint64_t usual = default_capabilities();
    const uint64_t admin = capability("NET_ADMIN");
    const uint64_t chown = capability("CHOWN");
    for (const char* line : {R"({"capabilities":{"add":["NET_ADMIN"],"drop":["CHOWN"]}})",
                             R"({"cap_add":"NET_ADMIN","cap_drop":["cap_chown"]})"})
        EXPECT_EQ(job(line).spec.capabilities, (usual | admin) & ~chown) << line;
}

TEST(JobLines, ANamedCapabilityCountsMoreThanAllInAnyOrder) {
    for (const char* line : {R"({"cap_add":["NET_ADMIN"],"cap_drop":["ALL"]})",
                             R"({"cap_drop":"all","cap_add":"NET_ADMIN"})",
                             R"({"capabilities":{"add":["NET_ADMIN","ALL"],"drop":["ALL"]}})"})
        EXPECT_EQ(job(line).spec.capabilities, capability("NET_ADMIN")) << line;
}

TEST(JobLines, AfterIsANameOrAList) {
    EXPECT_EQ(job(R"({"after":"a"})").after, Strings{"a"});
    EXPECT_EQ(job(R"({"after":["b","a","b"]})").after, (Strings{"a", "b"}));
}

TEST(JobLines, ReadEscapesAndUnicode) {
    EXPECT_EQ(job(R"({"args":["\u00e4\n\ud83d\ude00","ß"]})").spec.args,
              (Strings{"ä\n\U0001F600", "ß"}));
}

TEST(JobLines, TolerateWhiteSpaceAround) {
    EXPECT_EQ(job(" \t{ \"id\" : \"a\" } \r").spec.name, "a");
}

TEST(JobLines, BlankLinesAskForNothing) {
    for (const char* line : {"", " ", "\t \r", "\n"})
        EXPECT_TRUE(is_blank(line)) << line;
    for (const char* line : {"{}", " x", "\v"})
        EXPECT_FALSE(is_blank(line)) << line;
    EXPECT_FALSE(is_blank(std::string_view("\0", 1)));
}

// ---- defaults of the command line -------------------------------------------------------------

TEST(JobLines, ReplaceTheDefaults) {
    const RunRequest request =
        defaults({"--rootfs", "/r", "--memory", "1M", "--read-only", "--no-init", "--restart",
                  "always", "--stdout", "o", "--name", "base", "echo", "default"});
    const Job same = job_on(request, "{}");
    EXPECT_EQ(same.spec.args, (Strings{"echo", "default"}));
    EXPECT_EQ(same.spec.resources.memory, 1U << 20);
    EXPECT_TRUE(same.spec.read_only_root);
    EXPECT_FALSE(same.spec.init);
    EXPECT_EQ(same.restart.when, RestartPolicy::always);
    EXPECT_EQ(same.stdout_path, "o");
    EXPECT_EQ(same.spec.name, "");
    const Job other = job_on(request, R"({"args":["x"],"memory":"2M","read_only":false,
        "init":true,"restart":"no","stdout":"p","rootfs":"/q"})");
    EXPECT_EQ(other.spec.args, Strings{"x"});
    EXPECT_EQ(other.spec.resources.memory, 2U << 20);
    EXPECT_FALSE(other.spec.read_only_root);
    EXPECT_TRUE(other.spec.init);
    EXPECT_EQ(other.restart.when, RestartPolicy::no);
    EXPECT_EQ(other.stdout_path, "p");
    EXPECT_EQ(other.spec.rootfs, "/q");
    // The defaults themselves are as before.
    EXPECT_EQ(job_on(request, "{}").spec.args, (Strings{"echo", "default"}));
}

TEST(JobLines, AddToWhatTheDefaultsRepeat) {
    const RunRequest request =
        defaults({"--rootfs", "/r", "--bind", "/a:/b", "--tmpfs", "/t", "-e", "A=1", "-e", "B=2",
                  "--ulimit", "core=0", "--cap-add", "NET_ADMIN", "--after", "setup", "true"});
    const Job more = job_on(request, R"({"binds":["/c:/d"],"env":{"B":"3","C":"4"},
        "ulimit":"nofile=5","cap_drop":["NET_ADMIN"],"after":"db"})");
    ASSERT_EQ(more.spec.mounts.size(), 3U);
    EXPECT_EQ(more.spec.mounts[0].target, "/b");
    EXPECT_EQ(more.spec.mounts[1].target, "/t");
    EXPECT_EQ(more.spec.mounts[2].target, "/d");
    EXPECT_EQ(more.spec.env, (Strings{"A=1", "B=3", "C=4"}));
    EXPECT_EQ(more.spec.rlimits.size(), 2U);
    EXPECT_EQ(more.spec.capabilities, default_capabilities());
    EXPECT_EQ(more.after, (Strings{"db", "setup"}));
    EXPECT_EQ(job_on(request, "{}").spec.mounts.size(), 2U);
}

TEST(JobLines, ADefaultToComeAfterOneIsNotForThatOne) {
    const RunRequest request = defaults({"--rootfs", "/r", "--after", "setup", "true"});
    EXPECT_EQ(job_on(request, R"({"id":"setup"})").after, Strings{});
    EXPECT_EQ(job_on(request, R"({"id":"a"})").after, Strings{"setup"});
    EXPECT_EQ(message_of(parse_job_line(R"({"id":"a","after":["a"]})", request)),
              "after: a can't come after itself");
}

TEST(JobLines, MayCompleteTheDefaults) {
    const RunRequest request = defaults({"--memory-swap", "64M"});
    EXPECT_EQ(message_of(parse_job_line("{}", request)), "args: the command is missing");
    EXPECT_EQ(message_of(parse_job_line(R"({"args":["a"]})", request)),
              "rootfs: the root filesystem is missing");
    EXPECT_HOLDS(message_of(parse_job_line(R"({"args":["a"],"rootfs":"/r"})", request)),
                 "memory-swap: it is a limit of memory and swap together: give memory too");
    EXPECT_TRUE(parse_job_line(R"({"args":["a"],"rootfs":"/r","memory":"1M"})", request));
}

// ---- what is wrong ----------------------------------------------------------------------------

struct Wrong {
    const char* line;
    const char* message;  // all of it
};

void expect_wrong(const std::vector<Wrong>& rows) {
    for (const auto& [line, message] : rows)
        EXPECT_EQ(message_of(parse(line)), message) << line;
}

TEST(JobLines, NameThePathOfAWrongValue) {
    expect_wrong({
        {R"({"memory":"64Q"})", "memory: '64Q' has no unit of size that is known (K, M, G, T)"},
        {R"({"memory":true})", "memory: neither a string nor a number"},
        {R"({"memory":null})", "memory: neither a string nor a number"},
        {R"({"memory":{}})", "memory: neither a string nor a number"},
        {R"({"memory":["1M",[]]})", "memory[1]: neither a string nor a number"},
        {R"({"memory":1e30})", "memory: the number is out of range"},
        {R"({"memory":18446744073709551616})", "memory: 18446744073709551616 is too large"},
        {R"({"pids":1.5})", "pids: '1.5' is not a number"},
        {R"({"pids":-5})", "pids: '-5' is not a number"},
        {R"({"pids":99999999})", "pids: 99999999 is more than 4194304"},
        {R"({"cpus":0})", "cpus: '0' is not a number of processors"},
        {R"({"timeout":"5 years"})",
         "timeout: '5 years' has no unit of time that is known (ms, s, m, h)"},
        {R"({"stop_signal":"NOPE"})", "stop_signal: 'NOPE' is not a signal"},
        {R"({"restart":"sometimes"})",
         "restart: 'sometimes' is none of no, on-failure[:N], always"},
        {R"({"after":["a",1.5,"b/c"]})",
         "after[2]: 'b/c' is not a name: 1 to 64 of letters, digits, '_', '.', '-', the first a "
         "letter or digit"},
        {R"({"cwd":"w"})", "cwd: 'w' is not an absolute path"},
        {R"({"network":"bridge"})", "network: 'bridge' is neither none nor host"},
        {R"({"stdin":""})", "stdin: the path is empty"},
        {R"({"binds":["/a:/b","/c"]})", "binds[1]: '/c' is not SRC:DST[:ro]"},
        {R"({"tmpfs":"/t:x"})", "tmpfs: 'x' does not start with a number"},
        {R"({"read_only":"yes"})", "read_only: neither true nor false"},
        {R"({"read_only":[true]})", "read_only: neither true nor false"},
        {R"({"init":1})", "init: neither true nor false"},
        {R"({"rootfs":""})", "rootfs: the root filesystem is missing"},
        {R"({"signal_group":true,"init":false})",
         "signal-group: it is the init that signals the group: not with no-init"},
        {R"({"cap_add":"SYS_PTRACE"})", "cap-add SYS_PTRACE: it needs no-init"},
    });
    EXPECT_HOLDS(message_of(parse(R"({"id":"a b"})")), "id: 'a b' is not a name");
}

TEST(JobLines, NameThePathOfAWrongArgument) {
    expect_wrong({
        {R"({"args":"ls"})", "args: not an array"},
        {R"({"args":["ls",1]})", "args[1]: not a string"},
        {R"({"args":[["ls"]]})", "args[0]: not a string"},
        {R"({"args":[]})", "args: the command is missing"},
        {R"({"args":[""]})", "args[0]: the command is empty"},
        {R"({"args":null})", "args: not an array"},
    });
}

TEST(JobLines, NameThePathOfAWrongVariable) {
    expect_wrong({
        {R"({"env":{"A":true}})", "env.A: neither a string nor a number"},
        {R"({"env":{"":"x"}})", "env: '' is not the name of a variable"},
        {R"({"env":{"A=B":"x"}})", "env: 'A=B' is not the name of a variable"},
        {R"({"env":{"A":"1","B":"2","A":"3"}})", "env: 'A' is given twice"},
        {R"({"env":["A=1","=2"]})", "env[1]: '=2' has no name"},
        {R"({"env":[{}]})", "env[0]: neither a string nor a number"},
        {R"({"env":null})", "env: neither a string nor a number"},
    });
}

TEST(JobLines, NameThePathOfAWrongMount) {
    expect_wrong({
        {R"({"mounts":[1]})", "mounts[0]: neither a string nor an object"},
        {R"({"mounts":{"target":"/t"}})", "mounts: it has no source"},
        {R"({"mounts":["type=tmpfs"]})", "mounts[0]: 'type=tmpfs': it has no target"},
        {R"({"mounts":[{"type":"tmpfs"}]})", "mounts[0]: it has no target"},
        {R"({"mounts":[{"type":"","target":"/t"}]})", "mounts[0]: it has no type"},
        {R"({"mounts":[{"target":1}]})", "mounts[0]: target: not a string"},
        {R"({"mounts":[{"sourse":"/a"}]})",
         "mounts[0]: unknown key 'sourse'; did you mean 'source'?"},
        {R"({"mounts":[{"zzzzzzzzzz":1}]})", "mounts[0]: unknown key 'zzzzzzzzzz'"},
        {R"({"mounts":[{"target":"/t","destination":"/t"}]})",
         "mounts[0]: 'destination' is given twice"},
        {R"({"mounts":[{"options":"ro"}]})", "mounts[0]: options: not an array"},
        {R"({"mounts":[{"options":["ro",1]}]})", "mounts[0]: options[1]: not a string"},
    });
    EXPECT_HOLDS(
        message_of(parse(R"({"mounts":[{"source":"/a","target":"/b","options":["nope"]}]})")),
        "mounts[0]: ");
}

TEST(JobLines, NameThePathOfAWrongCapability) {
    expect_wrong({
        {R"({"capabilities":["CHOWN"]})", "capabilities: not an object"},
        {R"({"capabilities":{"give":[]}})", "capabilities: 'give' is neither add nor drop"},
        {R"({"capabilities":{"add":[],"add":[]}})", "capabilities: 'add' is given twice"},
        {R"({"capabilities":{"add":[1]}})", "capabilities.add[0]: not a string"},
        {R"({"cap_add":7})", "cap_add: not a string"},
    });
    EXPECT_HOLDS(message_of(parse(R"({"cap_add":["CHOWN","NOPE"]})")), "cap_add[1]: ");
    EXPECT_HOLDS(message_of(parse(R"({"capabilities":{"drop":["NOPE"]}})")),
                 "capabilities.drop[0]: ");
}

// ---- bundles ------------------------------------------------------------------------------------

const char* const kConfig = R"({"ociVersion":"1.2.0","root":{"path":"rootfs"},
    "process":{"cwd":"/","args":["true"],"env":["A=1"],"user":{"uid":7,"gid":8}},
    "linux":{"namespaces":[{"type":"pid"},{"type":"mount"}]}})";

TEST(JobLines, TakeTheContainerOfABundle) {
    const testing::TempDir bundle;
    bundle.write("config.json", kConfig);
    auto job = parse(fmt::format(
        R"({{"id":"a","memory":"64M","env":{{"B":"2"}},"bundle":"{}","restart":"always"}})",
        bundle.path()));
    ASSERT_TRUE(job) << job.error().message();
    EXPECT_EQ(job->spec.name, "a");
    EXPECT_EQ(job->spec.rootfs, bundle.at("rootfs"));
    EXPECT_EQ(job->spec.args, (std::vector<std::string>{"true"}));
    EXPECT_EQ(job->spec.env, (std::vector<std::string>{"A=1", "B=2"}));
    EXPECT_EQ(job->spec.hostname, "") << "not its name: it may be the host's";
    EXPECT_EQ(job->spec.resources.memory, 64U << 20);
    EXPECT_EQ(job->restart.when, RestartPolicy::always);
    ASSERT_TRUE(job->spec.oci);
    EXPECT_EQ(job->spec.oci->process.uid, 7U);
}

TEST(JobLines, RefuseBesideABundleWhatItsConfigSays) {
    const testing::TempDir bundle;
    bundle.write("config.json", kConfig);
    for (const char* own : {R"("rootfs":"/")", R"("user":"1")", R"("network":"host")",
                            R"("mounts":[])", R"("init":true)", R"("capabilities":{})",
                            R"("cap_add":"CHOWN")", R"("seccomp":"unconfined")", R"("tmpfs":"/a")",
                            R"("read_only":true)", R"("hostname":"h")", R"("ulimit":"core=0")"}) {
        const std::string message =
            message_of(parse(fmt::format(R"({{{},"bundle":"{}"}})", own, bundle.path())));
        EXPECT_HOLDS(message, ": with a bundle, that is its config.json's to say");
    }
}

TEST(JobLines, TellWhatIsWrongWithABundle) {
    EXPECT_EQ(message_of(parse(R"({"bundle":7})")), "bundle: not a string");
    EXPECT_HOLDS(message_of(parse(R"({"bundle":"/nowhere"})")), "bundle: ");
    const testing::TempDir bundle;
    bundle.write("config.json", R"({"ociVersion":"1.2.0","root":{"path":7}})");
    EXPECT_HOLDS(message_of(parse(fmt::format(R"({{"bundle":"{}"}})", bundle.path()))),
                 "config.json: root.path: ");
    std::string hooks = kConfig;
    hooks.insert(1, R"("hooks":{"poststop":[{"path":"/bin/true"}]},)");
    bundle.write("config.json", hooks);
    EXPECT_HOLDS(message_of(parse(fmt::format(R"({{"bundle":"{}"}})", bundle.path()))),
                 "bundle: hooks.poststop: they need a run of this bundle alone");
}

TEST(JobLines, RefuseKeysThatAreUnknown) {
    expect_wrong({
        {R"({"memroy":"64M"})", "unknown key 'memroy'; did you mean 'memory'?"},
        {R"({"stop_timeuot":1})", "unknown key 'stop_timeuot'; did you mean 'stop_timeout'?"},
        {R"({"Memory":1})", "unknown key 'Memory'; did you mean 'memory'?"},
        {R"({"quite_something_else":1})", "unknown key 'quite_something_else'"},
        {R"({"":1})", "unknown key ''"},
        {R"({"--memory":1})", "unknown key '--memory'; did you mean 'memory'?"},
    });
    EXPECT_EQ(message_of(parse("{\"" + std::string(500'000, 'm') + "\":1}")),
              "unknown key '" + std::string(64, 'm') + "...'");
}

TEST(JobLines, RefuseOptionsOfTheWholeRun) {
    for (const char* key :
         {"count", "from", "jobs", "events", "report", "quiet", "warm", "launchers", "pass-fd",
          "pass_fd", "log-dir", "log_policy", "output", "fail_fast", "help"})
        for (const char* value : {"1", "true", "\"x\"", "[]"})
            EXPECT_EQ(message_of(parse(fmt::format("{{\"{}\":{}}}", key, value))),
                      fmt::format("{}: it is for the whole run: give it on the command line", key));
}

TEST(JobLines, RefuseAKeyTwiceWhateverItIsCalled) {
    expect_wrong({
        {R"({"memory":1,"memory":1})", "memory: given twice"},
        {R"({"id":"a","name":"a"})", "name: given twice"},
        {R"({"bind":"/a:/b","binds":[]})", "binds: given twice"},
        {R"({"cwd":"/","workdir":"/"})", "workdir: given twice"},
        {R"({"stop-timeout":1,"stop_timeout":1})", "stop_timeout: given twice"},
        {R"({"args":["a"],"args":["a"]})", "args: given twice"},
        {R"({"init":true,"no-init":true})", "no-init: given twice"},
        {R"({"capabilities":{},"capabilities":{}})", "capabilities: given twice"},
    });
}

TEST(JobLines, NameTheColumnOfASyntaxError) {
    expect_wrong({
        {R"({"id":"a"} x)", "column 12: the document root must not be followed by other values"},
        {R"({"id":"a"}{})", "column 11: the document root must not be followed by other values"},
        {R"({"id" "a"})", "column 7: missing a colon after a name of object member"},
        {R"({"id":"a" "b":1})", "column 11: missing a comma or '}' after an object member"},
        {R"({"id":"a)", "column 9: missing a closing quotation mark in string"},
        {R"({"memory":1e400})", "column 11: number too big to be stored in double"},
        {R"({'id':1})", "column 2: missing a name for object member"},
        {R"([])", "not a JSON object"},
        {R"("a")", "not a JSON object"},
        {R"(null)", "not a JSON object"},
        {"", "column 1: the document is empty"},
        {"# no comments", "column 1: invalid value"},
    });
}

// ---- hostile ----------------------------------------------------------------------------------

TEST(JobLines, SurviveNestingOfAnyDepth) {
    constexpr size_t kDepth = 100'000;
    const std::string open(kDepth, '[');
    const std::string close(kDepth, ']');
    EXPECT_EQ(message_of(parse("{\"memory\":" + open + close + "}")),
              "memory[0]: neither a string nor a number");
    EXPECT_EQ(message_of(parse(open + close)), "not a JSON object");
    EXPECT_HOLDS(message_of(parse("{\"args\":" + open)), "column ");
    std::string objects;
    for (size_t level = 0; level < kDepth; ++level)
        objects += "{\"env\":";
    EXPECT_HOLDS(message_of(parse(objects)), "column ");
    EXPECT_EQ(message_of(parse(objects + "1" + std::string(kDepth, '}'))),
              "env.env: neither a string nor a number");
}

TEST(JobLines, TakeALineOfOneMebibyteButNoLonger) {
    const std::string start = R"({"args":[")";
    const std::string end = R"("]})";
    const std::string word(kLongestLine - start.size() - end.size(), 'x');
    EXPECT_EQ(job(start + word + end).spec.args[0].size(), word.size());
    EXPECT_EQ(message_of(parse(start + word + "x" + end)), "the line is longer than 1048576 bytes");
}

TEST(JobLines, AreQuickWithManySmallParts) {
    std::string variables;
    std::string members;
    std::string names;
    for (int index = 0; index < 60'000; ++index) {
        variables += fmt::format("{}\"v{}=\"", index ? "," : "", index);
        members += fmt::format("{}\"v{}\":1", index ? "," : "", index);
        names += fmt::format("{}\"n{}\"", index ? "," : "", index);
    }
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(job("{\"env\":[" + variables + "]}").spec.env.size(), 60'000U);
    EXPECT_EQ(job("{\"env\":{" + members + "}}").spec.env.size(), 60'000U);
    EXPECT_EQ(job("{\"after\":[" + names + "]}").after.size(), 60'000U);
    EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST(JobLines, RefuseInvalidUtf8) {
    for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\x80"}) {
        const std::string line = fmt::format("{{\"args\":[\"{}\"]}}", bytes);
        EXPECT_HOLDS(message_of(parse(line)), "invalid encoding in string");
    }
    EXPECT_HOLDS(message_of(parse(R"({"args":["\ud800"]})")), "column ");
}

TEST(JobLines, RefuseNulBytesInAnyForm) {
    EXPECT_EQ(message_of(parse(std::string_view("{}\0garbage", 10))), "column 3: a NUL byte");
    EXPECT_EQ(message_of(parse(std::string_view("{\"id\":\"a\0\"}", 11))), "column 9: a NUL byte");
    expect_wrong({
        {R"({"args":["a\u0000b"]})", "args[0]: a NUL byte in a string"},
        {R"({"rootfs":"/a\u0000"})", "rootfs: a NUL byte in a string"},
        {R"({"env":{"A":"\u0000"}})", "env.A: a NUL byte in a string"},
        {R"({"env":{"A\u0000":"x"}})", "env: a NUL byte in a string"},
        {R"({"env":["A=\u0000"]})", "env[0]: a NUL byte in a string"},
        {R"({"mounts":["\u0000"]})", "mounts[0]: a NUL byte in a string"},
        {R"({"mounts":[{"target":"\u0000"}]})", "mounts[0]: target: a NUL byte in a string"},
        {R"({"cap_add":"CHOWN\u0000"})", "cap_add: a NUL byte in a string"},
        {R"({"memory\u0000":1})", "unknown key 'memory\\x00'; did you mean 'memory'?"},
    });
}

}  // namespace
}  // namespace sigil::cli
