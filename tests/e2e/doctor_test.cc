// `sigil doctor` and `sigil features` on this machine, and on one where something is missing.
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>

#include <rapidjson/document.h>

#include "fixture.h"
#include "machine.h"
#include "seccomp.h"

namespace sigil::e2e {
namespace {

class Doctor : public E2e {};

struct Finding {
    std::string verdict;
    std::string text;
    std::string mend;
};

// What `sigil doctor --json` says of one thing.
Finding finding_of(const Finished& finished, std::string_view name) {
    rapidjson::Document document;
    document.Parse(finished.out.c_str());
    if (document.HasParseError() || !document.IsObject()) {
        ADD_FAILURE() << "no JSON: " << testing::PrintToString(finished);
        return {};
    }
    EXPECT_EQ(document["works"].GetBool(), finished.code() == 0);
    for (const auto& check : document["checks"].GetArray())
        if (check["name"].GetString() == name)
            return {check["verdict"].GetString(), check["text"].GetString(),
                    check.HasMember("mend") ? check["mend"].GetString() : ""};
    ADD_FAILURE() << "no check is called " << name;
    return {};
}

Finished doctor_without(int number, int error) {
    Start start = sigil({"doctor", "--json"});
    start.before_exec = [number, error] { make_fail(number, error); };
    return run_program(start);
}

TEST_F(Doctor, FindsThatThisMachineRunsContainers) {
    const Finished finished = run_program(sigil({"doctor", "--json"}));
    EXPECT_EQ(finished.code(), 0) << finished.out;
    EXPECT_EQ(finished.err, "");
    for (const char* name : {"system calls", "namespaces", "a container"})
        EXPECT_EQ(finding_of(finished, name).verdict, "ok") << name;
}

TEST_F(Doctor, TellsPeopleTheSame) {
    const Finished finished = run_program(sigil({"doctor"}));
    EXPECT_EQ(finished.code(), 0) << finished.out;
    EXPECT_NE(finished.out.find("sigil run works here"), std::string::npos) << finished.out;
    EXPECT_EQ(finished.out.find('\x1b'), std::string::npos);  // no terminal, no colours
}

TEST_F(Doctor, TellsThatIoUringIsRefusedAndWhetherARunWorksWithoutIt) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer fails before sigil does";
    const Finished finished = doctor_without(SYS_io_uring_setup, EPERM);
    const Finding ring = finding_of(finished, "io_uring");
    EXPECT_EQ(ring.verdict, "warning");
    EXPECT_NE(ring.text.find("refused"), std::string::npos) << ring.text;
    EXPECT_NE(ring.mend.find("io_uring_setup"), std::string::npos) << ring.mend;

    Start start = sigil_run({}, {"/bin/bare", "0"});
    start.before_exec = [] { make_fail(SYS_io_uring_setup, EPERM); };
    const bool works = run_program(start).code() == 0;
    EXPECT_EQ(finding_of(finished, "a container").verdict, works ? "ok" : "failure");
    EXPECT_EQ(finished.code(), works ? 0 : 1);
}

TEST_F(Doctor, NamesASystemCallThatTheKernelDoesNotKnow) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer fails before sigil does";
    for (int number : {SYS_openat2, SYS_mount_setattr, SYS_pidfd_open}) {
        const Finished finished = doctor_without(number, ENOSYS);
        const Finding calls = finding_of(finished, "system calls");
        EXPECT_EQ(calls.verdict, "failure");
        const char* name = number == SYS_openat2         ? "openat2"
                           : number == SYS_mount_setattr ? "mount_setattr"
                                                         : "pidfd_open";
        EXPECT_NE(calls.text.find(name), std::string::npos) << calls.text;
        EXPECT_EQ(finished.code(), 1);
    }
}

TEST_F(Doctor, SaysWhatARunSaysWhereAContainerCannotStart) {
    if (is_sanitized())
        GTEST_SKIP() << "the sanitizer fails before sigil does";
    const Finding container = finding_of(doctor_without(SYS_pivot_root, EPERM), "a container");
    EXPECT_EQ(container.verdict, "failure");
    EXPECT_NE(container.text.find("pivot_root"), std::string::npos) << container.text;
}

TEST_F(Doctor, CountsTheContainersThatAFewDescriptorsAllow) {
    Start start = sigil({"doctor", "--json"});
    start.before_exec = [] {
        const rlimit few = {128, 128};
        if (::setrlimit(RLIMIT_NOFILE, &few) < 0)
            ::_exit(1);
    };
    const Finished finished = run_program(start);
    const Finding files = finding_of(finished, "open files");
    EXPECT_EQ(files.verdict, "warning");
    EXPECT_EQ(files.text, "128: up to 16 containers at a time");
    EXPECT_NE(files.mend.find("LimitNOFILE"), std::string::npos);
    EXPECT_EQ(finished.code(), 0) << "one container is started all the same";
}

TEST_F(Doctor, LeavesWhatKilledSupervisorsLeft) {
    const std::string root = make_directory_outside();
    make_directory(root + "/runs");
    make_directory(root + "/runs/dead");
    const Finished finished = run_program(sigil({"doctor", "--json", "--root", root}));
    EXPECT_EQ(finding_of(finished, "left behind").mend, "sigil sweep --root " + root);
    const Finished swept = run_program(sigil({"sweep", "--root", root}));
    EXPECT_NE(swept.out.find("dead"), std::string::npos) << swept.out;
}

TEST_F(Doctor, TakesNoArguments) {
    expect_failure(run_program(sigil({"doctor", "now"})), "doctor");
    expect_failure(run_program(sigil({"doctor", "--jso"})), "did you mean '--json'");
}

TEST_F(Doctor, FeaturesAreTheSpecificationsDocument) {
    const Finished finished = run_program(sigil({"features"}));
    ASSERT_EQ(finished.code(), 0);
    rapidjson::Document document;
    document.Parse(finished.out.c_str());
    ASSERT_FALSE(document.HasParseError());
    EXPECT_STREQ(document["ociVersionMin"].GetString(), "1.0.0");
    EXPECT_STREQ(document["ociVersionMax"].GetString(), "1.3.0");
    auto has = [](const rapidjson::Value& list, std::string_view word) {
        return std::any_of(list.Begin(), list.End(),
                           [word](const auto& each) { return each.GetString() == word; });
    };
    EXPECT_TRUE(has(document["hooks"], "createContainer"));
    EXPECT_TRUE(has(document["mountOptions"], "rro"));
    EXPECT_TRUE(has(document["mountOptions"], "rbind"));
    const auto& kernel = document["linux"];
    EXPECT_TRUE(has(kernel["namespaces"], "network"));
    EXPECT_TRUE(has(kernel["capabilities"], "CAP_SYS_ADMIN"));
    EXPECT_FALSE(kernel["cgroup"]["v1"].GetBool());
    EXPECT_TRUE(kernel["cgroup"]["v2"].GetBool());
    EXPECT_TRUE(kernel["seccomp"]["enabled"].GetBool());
    EXPECT_TRUE(has(kernel["seccomp"]["actions"], "SCMP_ACT_NOTIFY"));
    EXPECT_TRUE(kernel["mountExtensions"]["idmap"]["enabled"].GetBool());
}

}  // namespace
}  // namespace sigil::e2e
