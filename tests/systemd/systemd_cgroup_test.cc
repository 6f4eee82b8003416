// Scopes of systemd: what is asked of it in which words, and what becomes of its answers.
#include "isolation/systemd_cgroup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/sys.h"
#include "manager.h"

namespace sigil::isolation {
namespace {

using testing::Answer;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeManager;
using ::testing::IsSupersetOf;
using testing::message_of;

SystemdHelper helper(std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    return {.path = SIGIL_SYSTEMD_CGROUP, .timeout = timeout};
}
const SystemdUnit kUnit = {.slice = "machine-a.slice", .scope = "web.scope"};

Result<SystemdScope> start(const std::vector<std::string>& properties = {},
                           std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    return SystemdScope::start(helper(timeout), kUnit, "sigil container web", properties);
}

TEST(SystemdScope, IsStartedWithAPlaceholderAndDelegated) {
    const FakeManager manager(Answer::done);
    auto scope = start();
    ASSERT_EQ(message_of(scope), "(no error)");
    EXPECT_EQ(scope->cgroup(), "/test.slice/web.scope");
    EXPECT_THAT(manager.asked(),
                ElementsAre("Subscribe", "StartTransientUnit web.scope fail",
                            "  Description s sigil container web", "  Slice s machine-a.slice",
                            "  PIDs au " + std::to_string(manager.pid()), "  Delegate b 1",
                            "  DefaultDependencies b 0"));
}

TEST(SystemdScope, HoldsItsPlaceholderUntilItIsReleased) {
    const FakeManager manager(Answer::done);
    auto scope = start();
    ASSERT_EQ(message_of(scope), "(no error)");
    auto placeholder = sys::pidfd_open(manager.pid());
    ASSERT_EQ(message_of(placeholder), "(no error)");
    pollfd ended = {.fd = placeholder->get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ended, 1, 0), 0);
    scope->release();
    EXPECT_EQ(::poll(&ended, 1, -1), 1);
}

TEST(SystemdScope, GetsLimitsAsProperties) {
    const FakeManager manager(Answer::done);
    auto scope = start({"MemoryMax=4096", "TasksMax=infinity", "AllowedCPUs=0-2,9",
                        "CollectMode=inactive-or-failed", "SendSIGHUP=1"});
    ASSERT_EQ(message_of(scope), "(no error)");
    EXPECT_THAT(manager.asked(),
                IsSupersetOf({"  MemoryMax t 4096", "  TasksMax t 18446744073709551615",
                              "  AllowedCPUs ay 7,2", "  CollectMode s inactive-or-failed",
                              "  SendSIGHUP b 1"}));
}

TEST(SystemdScope, ThatHasFailedBeforeIsForgottenAndStartedAgain) {
    const FakeManager manager(Answer::existing);
    auto scope = start();
    ASSERT_EQ(message_of(scope), "(no error)");
    EXPECT_THAT(manager.asked(), Contains("ResetFailedUnit"));
    EXPECT_EQ(std::ranges::count(manager.asked(), "StartTransientUnit web.scope fail"), 2);
}

// One that runs is somebody else's.
TEST(SystemdScope, OfANameThatIsTakenIsAnErrorToBranchOn) {
    const FakeManager manager(Answer::taken);
    const auto scope = start();
    ASSERT_FALSE(scope);
    EXPECT_TRUE(scope.error().is(EEXIST));
    EXPECT_EQ(message_of(scope),
              "--systemd-cgroup: start web.scope: a unit of that name is there already: File "
              "exists");
}

// A start that fails leaves no placeholder.
void expect_failed_start(Answer answer, const std::string& message,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    const FakeManager manager(answer);
    EXPECT_EQ(message_of(start({}, timeout)), message);
    if (const pid_t pid = manager.pid(); pid > 0) {
        if (auto placeholder = sys::pidfd_open(pid)) {
            pollfd ended = {.fd = placeholder->get(), .events = POLLIN, .revents = 0};
            EXPECT_EQ(::poll(&ended, 1, 20000), 1);
        }
    }
}

TEST(SystemdScope, ThatSystemdRefusesIsAnErrorInItsWords) {
    expect_failed_start(Answer::refused,
                        "--systemd-cgroup: start web.scope: systemd: StartTransientUnit: Cannot "
                        "set property");
}

TEST(SystemdScope, WhoseJobFailsIsAnError) {
    expect_failed_start(Answer::failed,
                        "--systemd-cgroup: start web.scope: systemd: the job ended as failed");
}

TEST(SystemdScope, WhoseJobDoesNotEndIsAnErrorAtTheTimeout) {
    expect_failed_start(Answer::never,
                        "--systemd-cgroup: start web.scope: systemd has not ended the job in time",
                        std::chrono::milliseconds(300));
}

TEST(SystemdScope, IsAnErrorAtTheTimeoutWhereSystemdIsSilent) {
    expect_failed_start(Answer::silence,
                        "--systemd-cgroup: systemd: Subscribe: Connection timed out",
                        std::chrono::milliseconds(300));
}

TEST(SystemdScope, IsAnErrorWithoutABus) {
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", 1);
    EXPECT_EQ(message_of(start()),
              "--systemd-cgroup: connect to the system's bus of D-Bus: No such file or directory");
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

TEST(SystemdScope, IsStoppedAndForgotten) {
    const FakeManager manager(Answer::done);
    EXPECT_EQ(message_of(stop_systemd_scope(helper(), "web.scope")), "(no error)");
    EXPECT_THAT(manager.asked(),
                ElementsAre("Subscribe", "StopUnit web.scope replace", "ResetFailedUnit"));
}

TEST(SystemdScope, ThatIsGoneIsStoppedAlready) {
    const FakeManager manager(Answer::missing);
    EXPECT_EQ(message_of(stop_systemd_scope(helper(), "web.scope")), "(no error)");
}

TEST(SystemdScope, TakesNewLimits) {
    const FakeManager manager(Answer::done);
    EXPECT_EQ(message_of(set_systemd_properties(helper(), "web.scope", {"CPUWeight=50"})),
              "(no error)");
    EXPECT_THAT(manager.asked(), ElementsAre("SetUnitProperties", "  CPUWeight t 50"));
}

TEST(SystemdScope, DoesNotTakeWhatIsNoProperty) {
    EXPECT_EQ(message_of(set_systemd_properties(helper(), "web.scope", {"Nonsense=1"})),
              "--systemd-cgroup: --property Nonsense=1: no property that sigil knows");
    EXPECT_EQ(message_of(set_systemd_properties(helper(), "web.scope", {"AllowedCPUs=5-2"})),
              "--systemd-cgroup: --property AllowedCPUs=5-2: 5-2 is no range");
    EXPECT_EQ(message_of(set_systemd_properties(helper(), "web.scope", {"TasksMax=few"})),
              "--systemd-cgroup: --property TasksMax=few: 'few' is not a number");
}

TEST(SystemdScope, NeedsTheHelper) {
    const auto none =
        set_systemd_properties({.path = "/nowhere/helper"}, "web.scope", {"TasksMax=1"});
    EXPECT_EQ(message_of(none), "--systemd-cgroup: run /nowhere/helper: No such file or directory");
}

TEST(SystemdScope, SaysWhereTheHelperWasLookedFor) {
    if (auto found = SystemdHelper::find())
        GTEST_SKIP() << "it is installed: " << found->path;
    EXPECT_TRUE(message_of(SystemdHelper::find())
                    .starts_with("--systemd-cgroup: sigil-systemd-cgroup is neither in "));
}

std::string unit_of(std::string_view cgroups_path, bool is_user = false) {
    auto unit = systemd_unit(cgroups_path, "web", is_user);
    return unit ? unit->slice + " " + unit->scope : unit.error().message();
}

TEST(SystemdUnit, IsSlicePrefixAndName) {
    EXPECT_EQ(unit_of("machine.slice:libpod:abc"), "machine.slice libpod-abc.scope");
    EXPECT_EQ(unit_of("machine.slice::abc"), "machine.slice abc.scope");
    EXPECT_EQ(unit_of(":docker:abc"), "system.slice docker-abc.scope");
    EXPECT_EQ(unit_of(":docker:abc", true), "user.slice docker-abc.scope");
    EXPECT_EQ(unit_of(""), "system.slice sigil-web.scope");
}

TEST(SystemdUnit, IsAnErrorInAnyOtherForm) {
    EXPECT_EQ(unit_of("/a/b"),
              "linux.cgroupsPath: /a/b is not of the form slice:prefix:name, which "
              "--systemd-cgroup wants");
    EXPECT_EQ(unit_of("a.slice:b:c:d").find("linux.cgroupsPath: a.slice:b:c:d is not"), 0U);
    EXPECT_EQ(unit_of("machine.slice:a:pod.slice"),
              "linux.cgroupsPath: pod.slice: a slice holds no processes");
    EXPECT_EQ(unit_of("machine:a:b"), "linux.cgroupsPath: machine is no slice's name");
    EXPECT_EQ(unit_of("a.slice:b:"), "linux.cgroupsPath: b-.scope is no unit's name");
    EXPECT_EQ(unit_of("a.slice:b:c/d"), "linux.cgroupsPath: b-c/d.scope is no unit's name");
}

TEST(SlicePath, HasADirectoryForEachDash) {
    EXPECT_EQ(*slice_path("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
    EXPECT_EQ(*slice_path("system.slice"), "/system.slice");
    EXPECT_EQ(*slice_path("-.slice"), "/");
    for (const char* wrong : {"", ".slice", "-a.slice", "a-.slice", "a--b.slice", "a/b.slice", "a"})
        EXPECT_EQ(message_of(slice_path(wrong)),
                  std::string("linux.cgroupsPath: ") + wrong + " is no slice's name");
}

TEST(SystemdProperties, AreTheLimitsThatSystemdKnows) {
    Resources resources;
    resources.memory = 4096;
    resources.memory_high = 2048;
    resources.memory_swap = 6144;
    resources.pids = UINT64_MAX;
    resources.cpu_quota = 50'000;
    resources.cpuset_cpus = "0-1";
    resources.files = {
        {"cpu.weight", "200"},
        {"memory.low", "max"},
        {"cpuset.mems", "0"},
        {"memory.oom.group", "1"},
        {"cpu.max", "30000 60000"},
        {.name = "io.bfq.weight", .value = "20", .other_name = "io.weight", .other_value = "102"},
        {.name = "io.bfq.weight",
         .value = "8:0 20",
         .other_name = "io.weight",
         .other_value = "8:0 102"}};
    EXPECT_THAT(
        systemd_properties(resources),
        ElementsAre("MemoryMax=4096", "MemoryHigh=2048", "MemorySwapMax=2048", "TasksMax=infinity",
                    "CPUQuotaPerSecUSec=500000", "CPUQuotaPeriodUSec=100000", "AllowedCPUs=0-1",
                    "CPUWeight=200", "MemoryLow=infinity", "AllowedMemoryNodes=0",
                    "CPUQuotaPerSecUSec=500000", "CPUQuotaPeriodUSec=60000", "IOWeight=102"));
    EXPECT_TRUE(systemd_properties({}).empty());
    EXPECT_THAT(systemd_properties({.cpu_quota = 10'000, .cpu_period = 20'000}),
                ElementsAre("CPUQuotaPerSecUSec=500000", "CPUQuotaPeriodUSec=20000"));
    EXPECT_THAT(systemd_properties({.cpu_quota = UINT64_MAX}),
                ElementsAre("CPUQuotaPerSecUSec=infinity", "CPUQuotaPeriodUSec=100000"));
}

}  // namespace
}  // namespace sigil::isolation
