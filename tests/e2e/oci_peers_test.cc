// The same bundle under sigil, crun and runc: what its command sees must be the same. What differs
// on purpose stands in kIntended, with the reason, and in docs/oci.md.
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "bundle.h"
#include "cgroups.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

struct Difference {
    const char* peer;
    const char* start;  // of the fact, as normalised
    const char* reason;
};

constexpr Difference kIntended[] = {
    {"runc", "fd.", "'runc run' copies the command's streams through pipes of its own"},
    {"runc", "stream.", "they are those pipes, /dev/null too"},
    {"crun", "stream.0", "it takes /dev/null too, the host's own"},
    {"runc", "mount /sys ",
     "'ro' of a sysfs is the mount's, not the file system's, which other mounts may share"},
    {"crun", "link.core ", "it makes the link where the kernel has no /proc/kcore too"},
    {"crun", "mount /sys/fs/cgroup ", "it calls the mount cgroup2, not as config.json does"},
};

std::string peer_path(const std::string& name) {
    for (const char* directory : {"/usr/local/bin/", "/usr/bin/", "/usr/local/sbin/", "/usr/sbin/"})
        if (::access((directory + name).c_str(), X_OK) == 0)
            return directory + name;
    return {};
}

std::string sorted(const std::string& options) {
    std::set<std::string> words;
    size_t from = 0;
    for (size_t comma = 0; comma != std::string::npos; from = comma + 1) {
        comma = options.find(',', from);
        words.insert(options.substr(from, comma - from));
    }
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : ",") + word;
    return text;
}

// A line of mountinfo (proc(5)) as "/target /root options type source super-options". How a path
// is masked is each runtime's own affair; that it is, is not.
std::string normal_mount(const std::string& line, const Words& masked) {
    const Words words = words_of(line);
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 6 || words.end() - dash < 4)
        return line;
    const std::string& target = words[4];
    if (std::ranges::find(masked, target) != masked.end())
        return target + " masked";
    std::string tags;
    for (auto word = words.begin() + 6; word != dash; ++word)
        tags += word->substr(0, word->find(':')) + " ";
    return target + " " + words[3] + " " + sorted(words[5]) + " " + tags + dash[1] + " " + dash[2] +
           " " + sorted(dash[3]);
}

std::string normal_namespace(const std::string& kind, const std::string& link) {
    char host[64] = {};
    (void)!::readlink(("/proc/self/ns/" + kind).c_str(), host, sizeof host - 1);
    return link == host ? "the host's" : "its own";
}

// Lines of status that are the process's, not the moment's.
bool is_steady(const std::string& key) {
    constexpr const char* kKeys[] = {
        "CapAmb", "CapBnd", "CapEff", "CapInh",  "CapPrm",       "Gid",      "Groups", "NoNewPrivs",
        "NSpgid", "NSpid",  "NSsid",  "Seccomp", "Cpus_allowed", "Threads",  "ShdPnd", "SigBlk",
        "SigCgt", "SigIgn", "SigPnd", "Uid",     "Umask",        "TracerPid"};
    return std::ranges::find(kKeys, key) != std::end(kKeys);
}

std::set<std::string> normal_facts(const std::string& output, const Words& masked) {
    std::set<std::string> facts;
    for (const std::string& line : lines_of(output)) {
        const std::string key = line.substr(0, line.find(' '));
        std::string value = line.size() > key.size() ? line.substr(key.size() + 1) : "";
        if (key.starts_with("status.") && !is_steady(key.substr(7)))
            continue;
        if (key == "keyring")  // a number that is never the same
            continue;
        if (key == "cgroup" && !value.starts_with("0:"))  // of a hierarchy that sigil leaves alone
            continue;
        if (key == "mount")
            value = normal_mount(value, masked);
        else if (key.starts_with("ns."))
            value = normal_namespace(key.substr(3), value);
        else if (key.starts_with("fd."))
            value = value.substr(0, value.find('['));
        facts.insert(key + " " + value);
    }
    return facts;
}

class OciPeers : public CgroupE2e, public testing::WithParamInterface<const char*> {
  protected:
    void SetUp() override {
        CgroupE2e::SetUp();
        if (!IsSkipped() && peer_path(GetParam()).empty())
            GTEST_SKIP() << GetParam() << " is not installed";
    }

    // What `sigil spec` writes. Without its rules for devices: crun sets RLIMIT_MEMLOCK for them,
    // which not every root may do.
    static Bundle written_bundle() {
        const std::string directory = make_directory_outside();
        EXPECT_EQ(run_program(sigil({"spec", "--bundle", directory})).code(), 0);
        Bundle bundle(read_file(directory + "/config.json"), {"/bin/probe", "facts"});
        bundle.set("/process/terminal", "false")
            .set("/ociVersion", "\"1.0.2\"")  // Debian's crun knows no later one
            .remove("/linux/resources");
        return bundle;
    }
    static Bundle rich_bundle() {
        Bundle bundle = written_bundle();
        const std::string outside = make_directory_outside();
        make_directory(outside + "/data");
        write_file(outside + "/file", "x");
        const std::string root = make_rootfs();
        write_file(root + "/etc/hidden", "y");
        const std::string sets = R"(["CAP_CHOWN", "CAP_NET_RAW", "CAP_SETUID"])";
        for (const char* set : {"bounding", "effective", "permitted", "inheritable"})
            bundle.set((std::string("/process/capabilities/") + set).c_str(), sets);
        bundle.set("/process/capabilities/ambient", R"(["CAP_NET_RAW"])")
            .set("/process/user",
                 R"({"uid": 1000, "gid": 1001, "additionalGids": [10, 44], "umask": 23})")
            .set("/process/cwd", "\"/tmp\"")
            .append("/process/env", "\"COLOUR=blue=green\"")
            .set("/process/rlimits", R"([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                         {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}])")
            .set("/process/oomScoreAdj", "500")
            .set("/process/noNewPrivileges", "false")
            .set("/root", R"({"path": ")" + root + R"(", "readonly": false})")
            .set("/hostname", "\"rich\"")
            .append("/mounts", R"({"destination": "/scratch", "type": "tmpfs", "source": "scratch",
                "options": ["nosuid", "nodev", "noexec", "mode=1777", "size=1m"]})")
            .append("/mounts", R"({"destination": "/data/here", "type": "bind", "source": ")" +
                                   outside + R"(/data", "options": ["rbind", "ro", "nosuid"]})")
            .append("/mounts", R"({"destination": "/etc/file", "type": "bind", "source": ")" +
                                   outside + R"(/file", "options": ["bind", "rprivate"]})")
            .set("/linux/sysctl", R"({"kernel.msgmax": "4096",
                                      "net.ipv4.ip_unprivileged_port_start": "80"})")
            .set("/linux/devices", R"([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229,
                                        "fileMode": 416, "uid": 1000, "gid": 1001},
                                       {"path": "/dev/pipe", "type": "p", "fileMode": 384}])")
            .append("/linux/maskedPaths", "\"/etc/hidden\"")
            .append("/linux/readonlyPaths", "\"/tmp\"")
            .set("/linux/rootfsPropagation", "\"private\"");
        return bundle;
    }

    // All in a mount namespace where /sys/fs/cgroup is cgroup v2 alone: on a machine that keeps v1
    // crun refuses to run, and runc would use that.
    Finished run_under(const std::string& program, Bundle& bundle) {
        const std::string id = "peers-" + std::to_string(::getpid());
        const std::string state = make_directory_outside();
        bundle.set("/linux/cgroupsPath", "\"/" + id + "\"");
        Start start = {.command = {program, "--root", state, "run", "--bundle", bundle.path(), id}};
        start.before_exec = [] {
            if (::unshare(CLONE_NEWNS) != 0 ||
                ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                (cgroup_mount() != "/sys/fs/cgroup" &&
                 ::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                         nullptr) != 0))
                ::_exit(99);
        };
        const Finished finished = run_program(start);
        EXPECT_EQ(finished.code(), 0) << program << ": " << testing::PrintToString(finished);
        if (exists(cgroup_mount() + "/" + id))  // crun's and runc's retries may end too early
            remove_cgroup("/" + id);
        return finished;
    }

    static bool is_intended(const std::string& fact) {
        return std::ranges::any_of(kIntended, [&](const Difference& one) {
            return one.peer == std::string_view(GetParam()) && fact.starts_with(one.start);
        });
    }

    void expect_same(Bundle bundle) {
        Words masked;
        for (int index = 0;; ++index) {
            const std::string at = "/linux/maskedPaths/" + std::to_string(index);
            masked.push_back(member_of(bundle.config(), at.c_str()));
            if (masked.back() == "(none)")
                break;
        }
        const auto ours = normal_facts(run_under(sigil_path(), bundle).out, masked);
        const auto theirs = normal_facts(run_under(peer_path(GetParam()), bundle).out, masked);
        EXPECT_GT(ours.size(), 80U);
        Words only_ours;
        Words only_theirs;
        std::ranges::set_difference(ours, theirs, std::back_inserter(only_ours));
        std::ranges::set_difference(theirs, ours, std::back_inserter(only_theirs));
        std::erase_if(only_ours, is_intended);
        std::erase_if(only_theirs, is_intended);
        EXPECT_EQ(only_ours, Words{}) << "under sigil alone";
        EXPECT_EQ(only_theirs, Words{}) << "under " << GetParam() << " alone";
    }
};

TEST_P(OciPeers, SeeTheSameInWhatSpecWrites) {
    expect_same(written_bundle());
}

TEST_P(OciPeers, SeeTheSameInARicherOne) {
    expect_same(rich_bundle());
}

INSTANTIATE_TEST_SUITE_P(Peers, OciPeers, testing::Values("crun", "runc"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace sigil::e2e
