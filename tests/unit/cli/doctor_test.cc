// What the checks make of a host of files, and how it is told.
#include "cli/doctor.h"

#include <unistd.h>

#include <algorithm>

#include <rapidjson/document.h>

#include "temp_dir.h"

namespace sigil::cli {
namespace {

using testing::TempDir;

// Any filesystem stands for cgroup v2.
Host host_in(const TempDir& directory) {
    Host host;
    host.prefix = directory.path();
    host.root = directory.at("run/sigil");
    host.cgroup_filesystem = *sys::filesystem_type(directory.path().c_str());
    return host;
}

void make_unified(const TempDir& directory, std::string_view own, std::string_view controllers) {
    directory.write("sys/fs/cgroup/cgroup.procs", "");
    directory.write("sys/fs/cgroup/cgroup.controllers", controllers);
    directory.write("proc/self/cgroup", "0::" + std::string(own) + "\n");
    directory.make_directory("sys/fs/cgroup" + std::string(own));
}

TEST(Doctor, ATableHasEachNameOnce) {
    std::vector<std::string> names;
    for (const Check& check : checks())
        names.emplace_back(check.name);
    std::ranges::sort(names);
    EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
    EXPECT_TRUE(checks()[0].section);
}

TEST(Doctor, UnifiedCgroupsAreGood) {
    const TempDir directory;
    make_unified(directory, "/", "cpuset cpu io memory hugetlb pids\n");
    const Host host = host_in(directory);
    EXPECT_EQ(check_cgroup_layout(host).verdict, Verdict::good);
    const Finding controllers = check_controllers(host);
    EXPECT_EQ(controllers.verdict, Verdict::good);
    EXPECT_EQ(controllers.text, "cpuset cpu io memory hugetlb pids");
    EXPECT_EQ(check_cgroup_place(host).text, directory.at("sys/fs/cgroup"));
}

TEST(Doctor, AMissingControllerIsNamedWithWhoHasIt) {
    const TempDir directory;
    make_unified(directory, "/", "cpuset cpu io pids\n");
    directory.write("proc/cgroups",
                    "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t1\t1\n");
    Finding finding = check_controllers(host_in(directory));
    EXPECT_EQ(finding.verdict, Verdict::warning);
    EXPECT_TRUE(finding.text.starts_with("not memory: ")) << finding.text;
    EXPECT_NE(finding.text.find("v1"), std::string::npos) << finding.text;
    EXPECT_NE(finding.mend.find("cgroup_no_v1"), std::string::npos) << finding.mend;

    directory.write("proc/cgroups",
                    "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n");
    finding = check_controllers(host_in(directory));
    EXPECT_NE(finding.mend.find("cgroup_disable"), std::string::npos) << finding.mend;
}

TEST(Doctor, WithoutCgroupV2NothingElseIsSaidOfIt) {
    const TempDir directory;
    directory.write("proc/self/mountinfo", "");
    const Host host = host_in(directory);
    EXPECT_EQ(check_cgroup_layout(host).verdict, Verdict::warning);
    for (auto* check : {check_controllers, check_cgroup_place, check_cgroup_kill})
        EXPECT_EQ(check(host).text, "no cgroup v2");
}

TEST(Doctor, LimitedContainersOfAnOccupiedCgroupAreSaidToGoElsewhere) {
    const TempDir directory;
    make_unified(directory, "/user.slice/shell", "cpu\n");
    EXPECT_EQ(check_cgroup_place(host_in(directory)).text,
              directory.at("sys/fs/cgroup/user.slice/shell") + "; with limits " +
                  directory.at("sys/fs/cgroup/sigil"));
}

TEST(Doctor, CgroupKillIsLookedForWhereItCanBe) {
    const TempDir directory;
    make_unified(directory, "/", "");
    EXPECT_EQ(check_cgroup_kill(host_in(directory)).verdict, Verdict::note);
    directory.make_directory("sys/fs/cgroup/some");
    EXPECT_EQ(check_cgroup_kill(host_in(directory)).verdict, Verdict::warning);
    directory.write("sys/fs/cgroup/some/cgroup.kill", "");
    EXPECT_EQ(check_cgroup_kill(host_in(directory)).verdict, Verdict::good);
}

TEST(Doctor, EachSwitchThatForbidsUserNamespacesIsNamedWithItsCommand) {
    const std::pair<const char*, const char*> rows[] = {
        {"user/max_user_namespaces", "0"},
        {"kernel/unprivileged_userns_clone", "0"},
        {"kernel/apparmor_restrict_unprivileged_userns", "1"},
    };
    for (const auto& [file, value] : rows) {
        const TempDir directory;
        directory.write("proc/self/ns/user", "");
        EXPECT_EQ(check_user_namespaces(host_in(directory)).verdict, Verdict::good);
        directory.write("proc/sys/" + std::string(file), value);
        const Finding finding = check_user_namespaces(host_in(directory));
        std::string name = file;
        std::ranges::replace(name, '/', '.');
        EXPECT_EQ(finding.verdict, ::geteuid() == 0 ? Verdict::note : Verdict::warning);
        EXPECT_NE(finding.mend.find("sysctl -w " + name), std::string::npos) << finding.mend;
    }
}

TEST(Doctor, SubordinateIdsNeedToolsAndRanges) {
    const TempDir directory;
    const std::string uid = std::to_string(::getuid());
    directory.write("etc/passwd", "other:x:4711:1::/:\nme:x:" + uid + ":1::/:\n");
    const Host host = host_in(directory);
    EXPECT_NE(check_subordinate_ids(host).mend.find("apt install uidmap"), std::string::npos);
    for (const char* tool : {"usr/bin/newuidmap", "usr/bin/newgidmap"})
        directory.write(tool, "");
    EXPECT_NE(check_subordinate_ids(host).text.find("may not change ids"), std::string::npos);
    for (const char* tool : {"usr/bin/newuidmap", "usr/bin/newgidmap"})
        ASSERT_EQ(::chmod(directory.at(tool).c_str(), 04755), 0);
    EXPECT_EQ(check_subordinate_ids(host).text, "/etc/subuid has no range for me");
    directory.write("etc/subuid", "some:100000:65536\nme:165536:65536\n");
    EXPECT_EQ(check_subordinate_ids(host).text, "/etc/subgid has no range for me");
    directory.write("etc/subgid", uid + ":165536:65536\n");
    EXPECT_EQ(check_subordinate_ids(host).verdict, Verdict::good);
}

TEST(Doctor, SeccompWithoutAnActionIsAWarning) {
    const TempDir directory;
    const Host host = host_in(directory);
    EXPECT_EQ(check_seccomp(host).verdict, Verdict::warning);
    directory.write("proc/sys/kernel/seccomp/actions_avail",
                    "kill_process kill_thread trap errno trace log allow\n");
    EXPECT_EQ(check_seccomp(host).text, "no action user_notif");
    directory.write("proc/sys/kernel/seccomp/actions_avail",
                    "kill_process kill_thread trap errno user_notif trace log allow\n");
    EXPECT_EQ(check_seccomp(host).verdict, Verdict::good);
    directory.write("proc/self/status", "Name:\tx\nSeccomp:\t2\n");
    EXPECT_EQ(check_seccomp(host).verdict, Verdict::note);
}

TEST(Doctor, AnAppArmorProfileOfOurOwnIsAWarning) {
    const TempDir directory;
    directory.write("sys/module/apparmor/parameters/enabled", "Y\n");
    directory.write("proc/self/attr/current", "unconfined\n");
    const Host host = host_in(directory);
    EXPECT_EQ(check_security_modules(host).verdict, Verdict::note);
    EXPECT_TRUE(check_security_modules(host).text.starts_with("AppArmor"));
    directory.write("proc/self/attr/current", "docker-default (enforce)\n");
    EXPECT_EQ(check_security_modules(host).verdict, Verdict::warning);
}

TEST(Doctor, ANamespaceThatIsMissingIsAFailure) {
    const TempDir directory;
    for (const char* name : {"mnt", "pid", "net", "ipc", "uts"})
        directory.write("proc/self/ns/" + std::string(name), "");
    EXPECT_EQ(check_namespaces(host_in(directory)).text, "not in this kernel: cgroup");
    EXPECT_EQ(check_namespaces(host_in(directory)).verdict, Verdict::failure);
    directory.write("proc/self/ns/cgroup", "");
    EXPECT_EQ(check_namespaces(host_in(directory)).verdict, Verdict::note);  // user, time
}

TEST(Doctor, TheRecordsPlaceNeedNotBeThereButItsParent) {
    const TempDir directory;
    EXPECT_EQ(check_record(host_in(directory)).verdict, Verdict::failure);
    directory.make_directory("run");
    EXPECT_EQ(check_record(host_in(directory)).verdict, Verdict::good);
}

TEST(Doctor, LeftoversAreAWarningThatNamesTheSweep) {
    const TempDir directory;
    const Host host = host_in(directory);
    EXPECT_EQ(check_leftovers(host).verdict, Verdict::good);
    directory.make_directory("run/sigil/runs/dead");
    const Finding finding = check_leftovers(host);
    EXPECT_EQ(finding.verdict, Verdict::warning) << finding.text;
    EXPECT_EQ(finding.mend, "sigil sweep --root " + host.root);
    EXPECT_TRUE(directory.has("run/sigil/runs/dead"));
}

// ---- how it is told -----------------------------------------------------------------------------

constexpr Check kOne = {"First", "one", nullptr};
constexpr Check kTwo = {nullptr, "two", nullptr};

std::vector<Diagnosis> two(Verdict verdict) {
    return {{&kOne, {Verdict::good, "fine", {}}}, {&kTwo, {verdict, "not\nso", "do this"}}};
}

TEST(Doctor, OnlyFailuresMakeItFail) {
    EXPECT_EQ(exit_code(two(Verdict::good)), 0);
    EXPECT_EQ(exit_code(two(Verdict::warning)), 0);
    EXPECT_EQ(exit_code(two(Verdict::failure)), 1);
}

TEST(Doctor, LinesAreAlignedAndSafeForATerminal) {
    EXPECT_EQ(describe(two(Verdict::warning), false),
              "First\n"
              "  ok       one               fine\n"
              "  warning  two               not\\x0aso\n"
              "                             mend: do this\n"
              "\n"
              "sigil run works here; 1 warning\n");
}

TEST(Doctor, ColoursAreForTerminals) {
    EXPECT_EQ(describe(two(Verdict::failure), false).find('\x1b'), std::string::npos);
    EXPECT_NE(describe(two(Verdict::failure), true).find("\x1b[1;31mfailure"), std::string::npos);
}

TEST(Doctor, JsonHasEachCheckInItsSection) {
    rapidjson::Document document;
    document.Parse(to_json(two(Verdict::failure)).c_str());
    ASSERT_FALSE(document.HasParseError());
    EXPECT_FALSE(document["works"].GetBool());
    ASSERT_EQ(document["checks"].Size(), 2U);
    const auto& last = document["checks"][1];
    EXPECT_STREQ(last["section"].GetString(), "First");
    EXPECT_STREQ(last["name"].GetString(), "two");
    EXPECT_STREQ(last["verdict"].GetString(), "failure");
    EXPECT_STREQ(last["mend"].GetString(), "do this");
    EXPECT_FALSE(document["checks"][0].HasMember("mend"));
}

}  // namespace
}  // namespace sigil::cli
