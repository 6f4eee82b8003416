// The system call filter as the command meets it: by default, without one, by a profile of the
// user's.
#include <linux/sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "fixture.h"

namespace sigil::e2e {
namespace {

// A file of a profile, for as long as a test takes.
class ProfileFile {
  public:
    explicit ProfileFile(std::string_view text) {
        char path[] = "/tmp/sigil-profile-XXXXXX";
        const int file = ::mkstemp(path);
        EXPECT_GE(file, 0);
        ::close(file);
        path_ = path;
        write_file(path_, text);
    }
    ~ProfileFile() { ::unlink(path_.c_str()); }
    ProfileFile(const ProfileFile&) = delete;
    ProfileFile& operator=(const ProfileFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// "ok" or "error ENAME".
std::string outcome_of(Words options, long number, const Words& words = {}) {
    Words command = {"/bin/probe", "call", std::to_string(number)};
    command.insert(command.end(), words.begin(), words.end());
    std::string out = run(std::move(options), command).out;
    return out.substr(0, out.find('\n'));
}

// How many filters a process of the container has beyond those that the test itself has.
int added_filters(Words options, const std::string& process) {
    constexpr std::string_view kKey = "Seccomp_filters:\t";
    auto count = [&](const std::string& text) {
        const size_t at = text.find(kKey);
        return at == std::string::npos ? -1 : std::atoi(text.c_str() + at + kKey.size());
    };
    // The command runs before its init does.
    std::string script = "until grep -q sigil-init /proc/1/comm; do :; done; ";
    if (process != "1")
        script.clear();
    const Finished finished =
        run_script(std::move(options), script + "cat /proc/" + process + "/status");
    return count(finished.out) - count(read_file("/proc/self/status"));
}

using Seccomp = E2e;

TEST_F(Seccomp, FiltersTheCommandAndItsInitUnlessToldNotTo) {
    for (const char* process : {"self", "1"}) {
        EXPECT_EQ(added_filters({}, process), 1) << process;
        EXPECT_EQ(added_filters({"--seccomp", "default"}, process), 1) << process;
        EXPECT_EQ(added_filters({"--seccomp", "unconfined"}, process), 0) << process;
    }
    EXPECT_EQ(added_filters({"--no-init"}, "self"), 1);
    EXPECT_EQ(added_filters({"--cap-drop", "ALL"}, "self"), 1);
    EXPECT_EQ(added_filters({"--cap-add", "SYS_ADMIN"}, "self"), 1);
}

struct Call {
    const char* name;
    long number;
    Words words;
    const char* outcome = "error EPERM";
};

TEST_F(Seccomp, RefusesByDefaultWhatReachesOutOfAContainer) {
    const std::string new_user = std::to_string(CLONE_NEWUSER);
    const Call kCalls[] = {
        {"mount", SYS_mount, {}},
        {"umount2", SYS_umount2, {}},
        {"fsopen", SYS_fsopen, {}},
        {"keyctl", SYS_keyctl, {"0", "-3"}},
        {"add_key", SYS_add_key, {}},
        {"bpf", SYS_bpf, {}},
        {"unshare", SYS_unshare, {new_user}},
        {"clone", SYS_clone, {new_user}},
        {"clone3", SYS_clone3, {}, "error ENOSYS"},
        {"setns", SYS_setns, {}},
        {"io_uring_setup", SYS_io_uring_setup, {}},
        {"userfaultfd", SYS_userfaultfd, {}},
        {"perf_event_open", SYS_perf_event_open, {}},
        {"init_module", SYS_init_module, {}},
        {"kexec_load", SYS_kexec_load, {}},
        {"open_by_handle_at", SYS_open_by_handle_at, {}},
        {"personality", SYS_personality, {"0x400000"}},
        {"socket", SYS_socket, {std::to_string(AF_VSOCK), std::to_string(SOCK_STREAM)}},
        {"newer than any", 999, {}, "error ENOSYS"},
    };
    for (const Call& call : kCalls)
        EXPECT_EQ(outcome_of({}, call.number, call.words), call.outcome) << call.name;
}

TEST_F(Seccomp, AllowsByDefaultWhatProgramsNeed) {
    const Call kCalls[] = {
        {"getpid", SYS_getpid, {}, "ok"},
        {"personality", SYS_personality, {"0xffffffff"}, "ok"},
        {"socket", SYS_socket, {std::to_string(AF_UNIX), std::to_string(SOCK_STREAM)}, "ok"},
        {"chroot", SYS_chroot, {}, "error EFAULT"},
        {"fork", SYS_fork, {}, "ok"},
        {"seccomp", SYS_seccomp, {"99"}, "error EINVAL"},
    };
    for (const Call& call : kCalls)
        EXPECT_EQ(outcome_of({}, call.number, call.words), call.outcome) << call.name;
    EXPECT_EQ(run_script({}, "echo a | sed s/a/b/; ps | wc -l >/dev/null; (exit 3); echo $?").out,
              "b\n3\n");
}

// Each of these is refused by the filter alone.
TEST_F(Seccomp, UnconfinedAllowsWhatTheKernelDoes) {
    const Words options = {"--seccomp", "unconfined"};
    EXPECT_EQ(outcome_of(options, SYS_keyctl, {"0", "-3"}), "ok");
    EXPECT_EQ(outcome_of(options, SYS_clone3), "error EINVAL");
    EXPECT_EQ(outcome_of(options, SYS_personality, {"0x400000"}), "ok");
}

TEST_F(Seccomp, GivesCallsWithTheirCapability) {
    EXPECT_EQ(run_script({"--cap-add", "SYS_ADMIN"}, "mount -t tmpfs none /tmp && echo done").out,
              "done\n");
    EXPECT_EQ(outcome_of({"--cap-add", "SYS_ADMIN"}, SYS_clone3), "error EINVAL");
    EXPECT_EQ(outcome_of({"--cap-add", "SYS_NICE"}, SYS_get_mempolicy), "ok");
    EXPECT_EQ(outcome_of({}, SYS_get_mempolicy), "error EPERM");
}

// ---- profiles -----------------------------------------------------------------------------------

TEST_F(Seccomp, TakesTheSeccompOfABundle) {
    const ProfileFile profile(R"({"defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
                     {"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}]})");
    const Words options = {"--seccomp", profile.path()};
    EXPECT_EQ(outcome_of(options, SYS_sync), "error ENOSPC");
    EXPECT_EQ(outcome_of(options, SYS_keyctl, {"0", "-3"}), "ok");
    EXPECT_EQ(run(options, {"/bin/probe", "call", std::to_string(SYS_getppid)}).code(), 128 + 31);
}

TEST_F(Seccomp, TakesAProfileOfDockersForTheCapabilitiesThatThereAre) {
    const ProfileFile profile(R"({"defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errno": "ENOSPC",
                      "excludes": {"caps": ["CAP_SYS_NICE"]}, "includes": {"minKernel": "4.8"}}]})");
    EXPECT_EQ(outcome_of({"--seccomp", profile.path()}, SYS_sync), "error ENOSPC");
    EXPECT_EQ(outcome_of({"--seccomp", profile.path(), "--cap-add", "SYS_NICE"}, SYS_sync), "ok");
}

TEST_F(Seccomp, HasOneProfileForMany) {
    const ProfileFile profile(R"({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]})");
    const Finished finished =
        run({"--count", "3", "--output", "inherit", "--quiet", "--seccomp", profile.path()},
            {"/bin/probe", "call", std::to_string(SYS_sync)});
    EXPECT_EQ(finished.out, "error ENOSPC\nerror ENOSPC\nerror ENOSPC\n");
}

TEST_F(Seccomp, EachLineMayHaveItsOwn) {
    const std::string call =
        R"("args":["/bin/probe","call",")" + std::to_string(SYS_clone3) + "\"]}\n";
    const ProfileFile lines(R"({"id":"a",)" + call + R"({"id":"b","seccomp":"unconfined",)" + call +
                            R"({"id":"c","cap_add":["SYS_ADMIN"],)" + call +
                            R"({"id":"d","seccomp":"/nonexistent",)" + call);
    const Finished finished = run({"--from", lines.path(), "--jobs", "1"}, {});
    EXPECT_NE(finished.out.find("a | error ENOSYS\n"), std::string::npos) << finished.out;
    EXPECT_NE(finished.out.find("b | error EINVAL\n"), std::string::npos) << finished.out;
    EXPECT_NE(finished.out.find("c | error EINVAL\n"), std::string::npos) << finished.out;
    EXPECT_NE(finished.err.find("line 4: seccomp: /nonexistent: "), std::string::npos)
        << finished.err;
}

// ---- failures -----------------------------------------------------------------------------------

TEST_F(Seccomp, NamesWhatIsWrongWithAProfile) {
    const std::pair<const char*, const char*> kWrong[] = {
        {"{", "not JSON"},
        {"[]", "not an object"},
        {"{}", "defaultAction: '' is not an action"},
        {R"({"defaultAction":"ALLOW"})", "defaultAction: 'ALLOW' is not an action"},
        {R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"NO"}]})",
         "syscalls[0].action: 'NO' is not an action"},
        {R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_TRAP",
             "args":[{"index":0,"value":"1","op":"SCMP_CMP_EQ"}]}]})",
         "syscalls[0].args[0].value: not a number"},
        {R"({"defaultAction":"SCMP_ACT_NOTIFY"})", "listenerPath"},
        {R"({"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/x"})", "listenerPath"},
    };
    for (const auto& [text, part] : kWrong) {
        const ProfileFile profile(text);
        const Finished finished = run({"--seccomp", profile.path()}, {"echo", "ran"});
        expect_failure(finished, "--seccomp: " + profile.path() + ": " + part);
        EXPECT_EQ(finished.out, "");
    }
    expect_failure(run({"--seccomp", "/nonexistent"}, {"echo"}),
                   "--seccomp: /nonexistent: No such file or directory");
    expect_failure(run({"--seccomp", ""}, {"echo"}), "--seccomp: the profile is missing");
    expect_failure(run({"--seccomp", "/dev/zero"}, {"echo"}), "--seccomp: /dev/zero: larger than");
}

// The launch itself is under the filter from its last step on: it can't even exit.
TEST_F(Seccomp, EndsWhereTheProfileAllowsNothing) {
    const ProfileFile refusing(R"({"defaultAction":"SCMP_ACT_ERRNO",
        "syscalls":[{"names":["read","execveat"],"action":"SCMP_ACT_ALLOW"}]})");
    const ProfileFile killing(R"({"defaultAction":"SCMP_ACT_KILL_PROCESS"})");
    for (const Words& init : {Words{}, Words{"--no-init"}}) {
        Words options = init;
        options.insert(options.end(), {"--seccomp", refusing.path()});
        expect_failure(run(options, {"/bin/true"}), "/bin/true: Operation not permitted", 126);
        options.back() = killing.path();
        EXPECT_EQ(run(options, {"/bin/true"}).code(), 128 + 31);
    }
}

}  // namespace
}  // namespace sigil::e2e
