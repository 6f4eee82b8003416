// The process half of the launch recipe: which steps, in which order.
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "isolation/init/protocol.h"
#include "isolation/plan_text.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kCapabilities = 0x1234;

Spec default_spec() {
    Spec spec;
    spec.name = spec.hostname = "web";
    spec.args = {"/bin/true", "--flag"};
    spec.capabilities = kCapabilities;
    return spec;
}

ProcessSources default_sources() {
    return {.env = {"PATH=/bin"}, .supervisor = 10, .init_image = 11};
}

LaunchPlan planned(const Spec& spec, const ProcessSources& sources = default_sources()) {
    LaunchPlan plan;
    plan_process(spec, sources, plan);
    return plan;
}

Lines without(Lines lines, const std::string& line) {
    std::erase(lines, line);
    return lines;
}

std::vector<std::string> words_of(const char* const* words) {
    std::vector<std::string> found;
    for (; *words; ++words)
        found.emplace_back(*words);
    return found;
}

// A supervisor that is root need not become root again.
const char* becoming_root() {
    return ::getuid() == 0 && ::getgid() == 0 ? "set_groups" : "set_ids";
}

const Lines kSetup = {"enter root", "new_keyring", "no_new_privileges", "new_session",
                      "die_with_parent"};

const Lines kTarget = {
    "set_umask",         "own_group",       "change_directory /",
    "drop_bounding",     becoming_root(),   "set_capabilities",
    "close_descriptors", "unblock_signals", "exec_command </bin/true>",
};

const Lines kInit = {"close_on_exec", "set_capabilities", "exec_init"};

TEST(PlanProcess, IsTheWholeRecipeInOrder) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(lines_of(plan.setup), kSetup);
    EXPECT_EQ(lines_of(plan.target), kTarget);
    EXPECT_EQ(lines_of(plan.init), kInit);
}

TEST(PlanProcess, WithoutAnInitTheTargetDiesWithTheSupervisor) {
    Spec spec = default_spec();
    spec.init = false;
    const LaunchPlan plan = planned(spec);
    Lines expected = kTarget;
    expected[1] = "new_session";
    // While the supervisor's pidfd is still open.
    expected.insert(std::ranges::find(expected, "close_descriptors"), "die_with_parent");
    EXPECT_EQ(lines_of(plan.target), expected);
    EXPECT_EQ(lines_of(plan.setup), (Lines{"enter root", "new_keyring", "no_new_privileges"}));
    EXPECT_TRUE(plan.init.empty());
    EXPECT_EQ(find_step(plan.target, StepKind::die_with_parent)->fd, 10);
}

// prctl(2), PR_SET_PDEATHSIG: a change of credentials clears it.
TEST(PlanProcess, AsksToDieAfterTheIdsAreSet) {
    Spec spec = default_spec();
    spec.init = false;
    ProcessSources sources = default_sources();
    sources.uid = 1000;
    const Lines lines = lines_of(planned(spec, sources).target);
    EXPECT_LT(index_of(lines, "set_ids"), index_of(lines, "die_with_parent"));
}

TEST(PlanProcess, KeepsItsSessionOnASharedTerminal) {
    Spec spec = default_spec();
    spec.shares_terminal = true;
    const LaunchPlan plan = planned(spec);
    EXPECT_EQ(lines_of(plan.setup), without(kSetup, "new_session"));
    EXPECT_EQ(lines_of(plan.target), without(kTarget, "own_group"));
}

TEST(PlanProcess, OwnsAForegroundGroupOnASharedTerminalWithSignalGroup) {
    Spec spec = default_spec();
    spec.shares_terminal = true;
    spec.signal_group = true;
    const LaunchPlan plan = planned(spec);
    EXPECT_EQ(lines_of(plan.target), kTarget);
    EXPECT_EQ(find_step(plan.target, StepKind::own_group)->flags, 1U);
}

TEST(PlanProcess, OwnsAGroupInTheSessionOfItsInit) {
    Spec spec = default_spec();
    for (bool is_group : {false, true}) {
        spec.signal_group = is_group;
        const LaunchPlan plan = planned(spec);
        EXPECT_EQ(lines_of(plan.target), kTarget);
        EXPECT_EQ(find_step(plan.target, StepKind::own_group)->flags, 0U);
    }
}

TEST(PlanProcess, LeadsASessionOfItsOwnForItsTerminal) {
    Spec spec = default_spec();
    spec.terminal.emplace();
    Lines expected = kTarget;
    expected[1] = "new_session";
    expected.insert(expected.begin() + 2, "open_console");
    EXPECT_EQ(lines_of(planned(spec).target), expected);
}

TEST(PlanProcess, TellsTheInitWhomToSignal) {
    Spec spec = default_spec();
    EXPECT_EQ(words_of(find_step(planned(spec).init, StepKind::exec_init)->exec->argv),
              (Lines{"sigil-init", "-"}));
    spec.signal_group = true;
    const LaunchPlan plan = planned(spec);
    EXPECT_EQ(words_of(find_step(plan.init, StepKind::exec_init)->exec->argv),
              (Lines{"sigil-init", "g"}));
}

// ---- privileges ---------------------------------------------------------------------------------

TEST(PlanProcess, DropsNothingThatItsLauncherHasDropped) {
    ProcessSources sources = default_sources();
    sources.bounding = kCapabilities;
    EXPECT_FALSE(has_kind(planned(default_spec(), sources).target, StepKind::drop_bounding));
    sources.bounding = kCapabilities | 1;
    EXPECT_TRUE(has_kind(planned(default_spec(), sources).target, StepKind::drop_bounding));
}

TEST(BoundingOf, HoldsWhatTheInitNeeds) {
    constexpr uint64_t kKill = uint64_t{1} << CAP_KILL;
    Spec spec = default_spec();
    spec.capabilities = 0;
    EXPECT_EQ(bounding_of(spec), kKill);
    spec.init = false;
    EXPECT_EQ(bounding_of(spec), 0U);
}

TEST(PlanProcess, GivesRootTheCapabilitiesItWasGranted) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(find_step(plan.target, StepKind::drop_bounding)->flags, kCapabilities);
    EXPECT_EQ(find_step(plan.target, StepKind::set_capabilities)->flags, kCapabilities);
}

TEST(PlanProcess, GivesAnotherUserNone) {
    ProcessSources sources = default_sources();
    sources.uid = 1000;
    sources.gid = 100;
    sources.groups = {4, 44};
    const LaunchPlan plan = planned(default_spec(), sources);
    Lines expected = without(kTarget, "set_capabilities");
    expected[4] = "set_ids";
    EXPECT_EQ(lines_of(plan.target), expected);
    const Ids& ids = *find_step(plan.target, StepKind::set_ids)->ids;
    EXPECT_EQ(ids.uid, 1000U);
    EXPECT_EQ(ids.gid, 100U);
    ASSERT_EQ(ids.group_count, 2U);
    EXPECT_EQ(ids.groups[0], 4U);
    EXPECT_EQ(ids.groups[1], 44U);
}

TEST(PlanProcess, SetsTheIdsForAnotherGroupAlone) {
    ProcessSources sources = default_sources();
    sources.gid = 5;
    const LaunchPlan plan = planned(default_spec(), sources);
    const Step* step = find_step(plan.target, StepKind::set_ids);
    ASSERT_TRUE(step);
    EXPECT_EQ(step->ids->uid, 0U);
    EXPECT_EQ(step->ids->gid, 5U);
    EXPECT_TRUE(has_kind(plan.target, StepKind::set_capabilities));
}

TEST(PlanProcess, LeavesRootNoGroupOfTheSupervisors) {
    const LaunchPlan plan = planned(default_spec());
    const Step* step = find_step(plan.target, StepKind::set_groups);
    if (!step)
        step = find_step(plan.target, StepKind::set_ids);
    ASSERT_TRUE(step);
    EXPECT_EQ(step->ids->group_count, 0U);
}

// capabilities(7): dropping from the bounding set needs CAP_SETPCAP, which set_ids may take away.
TEST(PlanProcess, DropsTheBoundingSetBeforeTheIds) {
    ProcessSources sources = default_sources();
    sources.uid = 1000;
    const Lines lines = lines_of(planned(default_spec(), sources).target);
    EXPECT_LT(index_of(lines, "drop_bounding"), index_of(lines, "set_ids"));
}

TEST(PlanProcess, RaisesLimitsWhileItMay) {
    Spec spec = default_spec();
    spec.rlimits = {{RLIMIT_NOFILE, 1024, 4096, "--ulimit nofile=1024:4096"},
                    {RLIMIT_CORE, 0, 0, "--ulimit core=0"}};
    const LaunchPlan plan = planned(spec);
    Lines expected = kTarget;
    expected.insert(expected.begin() + 3, 2, "set_rlimit");
    EXPECT_EQ(lines_of(plan.target), expected);
    const Step* step = find_step(plan.target, StepKind::set_rlimit);
    EXPECT_EQ(step->fd, int{RLIMIT_NOFILE});
    EXPECT_EQ(step->flags, 1024U);
    EXPECT_EQ(step->device, 4096U);
    EXPECT_STREQ(step->origin, "--ulimit nofile=1024:4096");
}

TEST(PlanProcess, LeavesPrivilegesToBeGainedOnlyWhenAsked) {
    Spec spec = default_spec();
    spec.no_new_privileges = false;
    const LaunchPlan plan = planned(spec);
    EXPECT_EQ(lines_of(plan.setup), without(kSetup, "no_new_privileges"));
    EXPECT_EQ(lines_of(plan.target), kTarget);
    Lines expected = kInit;
    expected.insert(expected.end() - 1, "no_new_privileges");  // the init never needs any
    EXPECT_EQ(lines_of(plan.init), expected);
}

TEST(PlanProcess, LeavesTheInitOneCapability) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(find_step(plan.init, StepKind::set_capabilities)->flags, uint64_t{1} << CAP_KILL);
}

// ---- the system call filter
// ----------------------------------------------------------------------

std::shared_ptr<const SeccompProgram> one_instruction() {
    SeccompProgram program;
    program.instructions = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    program.flags = SECCOMP_FILTER_FLAG_LOG;
    return std::make_shared<const SeccompProgram>(std::move(program));
}

// It filters what comes after it: nothing but the execve.
TEST(PlanProcess, InstallsTheFilterLast) {
    Spec spec = default_spec();
    spec.seccomp = one_instruction();
    const LaunchPlan plan = planned(spec);
    Lines expected = kTarget;
    expected.insert(expected.end() - 1, "seccomp");
    EXPECT_EQ(lines_of(plan.target), expected);
    const Step* step = find_step(plan.target, StepKind::seccomp);
    EXPECT_EQ(step->flags, uint64_t{SECCOMP_FILTER_FLAG_LOG});
    EXPECT_EQ(step->filter->len, 1);
    EXPECT_EQ(step->filter->filter, spec.seccomp->instructions.data());
}

// seccomp(2): without no_new_privs it takes CAP_SYS_ADMIN, which the ids take away.
TEST(PlanProcess, InstallsTheFilterBeforePrivilegesAreGoneIfNewOnesMayBeGained) {
    Spec spec = default_spec();
    spec.no_new_privileges = false;
    spec.seccomp = one_instruction();
    const LaunchPlan plan = planned(spec);
    Lines expected = kTarget;
    expected.insert(std::ranges::find(expected, becoming_root()), "seccomp");
    EXPECT_EQ(lines_of(plan.target), expected);
    EXPECT_EQ(lines_of(plan.init), (Lines{"close_on_exec", "set_capabilities", "no_new_privileges",
                                          "seccomp", "exec_init"}));
}

// A process of the container can trace PID 1 and have it make any call that PID 1 may make.
TEST(PlanProcess, GivesTheInitAFilterOfItsOwnWhereTheContainerHasOne) {
    Spec spec = default_spec();
    EXPECT_FALSE(has_kind(planned(spec).init, StepKind::seccomp));
    spec.seccomp = one_instruction();
    const LaunchPlan plan = planned(spec);
    const Step* step = find_step(plan.init, StepKind::seccomp);
    ASSERT_TRUE(step);
    EXPECT_NE(step->filter->filter, spec.seccomp->instructions.data());
    EXPECT_EQ(step->flags, 0U);
}

// Sigil's own filter, which lets through what is left to do.
TEST(PlanProcess, GivesTheInitAndItsCommandOneFilterWhereThatAdmitsTheLaunch) {
    Spec spec = default_spec();
    SeccompProgram program = *one_instruction();
    program.admits_launch = true;
    spec.seccomp = std::make_shared<const SeccompProgram>(program);
    const LaunchPlan plan = planned(spec);
    ASSERT_EQ(plan.setup.back().kind, StepKind::seccomp);
    EXPECT_EQ(plan.setup.back().filter->filter, spec.seccomp->instructions.data());
    EXPECT_FALSE(has_kind(plan.target, StepKind::seccomp));
    EXPECT_FALSE(has_kind(plan.init, StepKind::seccomp));
    spec.no_new_privileges = false;
    EXPECT_TRUE(has_kind(planned(spec).target, StepKind::seccomp));
    EXPECT_TRUE(has_kind(planned(spec).init, StepKind::seccomp));
    spec.no_new_privileges = true;
    spec.terminal = ConsoleSize{};  // mounts
    EXPECT_TRUE(has_kind(planned(spec).target, StepKind::seccomp));
    EXPECT_TRUE(has_kind(planned(spec).init, StepKind::seccomp));
}

// ---- descriptors and signals --------------------------------------------------------------------

TEST(PlanProcess, ClosesEverythingAboveTheStandardThree) {
    const LaunchPlan plan = planned(default_spec());
    const Step* step = find_step(plan.target, StepKind::close_descriptors);
    EXPECT_EQ(step->flags, 3U);
    EXPECT_EQ(step->device, uint64_t{UINT_MAX});
}

// Closed before the execve, because the command's own path could lead through /proc/self/fd.
TEST(PlanProcess, ClosesTheDescriptorsAroundThoseThatArePassed) {
    Spec spec = default_spec();
    spec.passed_fds = {9, 3, 5};
    const LaunchPlan plan = planned(spec);
    std::vector<std::pair<uint64_t, uint64_t>> closed;
    std::vector<int> passed;
    for (const Step& step : plan.target) {
        if (step.kind == StepKind::close_descriptors)
            closed.emplace_back(step.flags, step.device);
        if (step.kind == StepKind::keep_descriptor)
            passed.push_back(step.fd);
    }
    EXPECT_EQ(closed, (std::vector<std::pair<uint64_t, uint64_t>>{{4, 4}, {6, 8}, {10, UINT_MAX}}));
    EXPECT_EQ(passed, (std::vector<int>{3, 5, 9}));
    EXPECT_STREQ(find_step(plan.target, StepKind::keep_descriptor)->origin, "--pass-fd 3");
}

TEST(PlanProcess, LeavesTheInitNoDescriptor) {
    const LaunchPlan plan = planned(default_spec());
    const Step* closed = find_step(plan.init, StepKind::close_on_exec);
    EXPECT_EQ(closed->flags, 0U);
    EXPECT_EQ(closed->device, uint64_t{UINT_MAX});
    EXPECT_EQ(find_step(plan.init, StepKind::exec_init)->fd, 11);
}

TEST(PlanProcess, GivesTheCommandItsStreams) {
    ProcessSources sources = default_sources();
    sources.streams = {-1, 20, 21};
    const LaunchPlan plan = planned(default_spec(), sources);
    std::vector<std::pair<int, int>> moved;
    for (const Step& step : plan.target)
        if (step.kind == StepKind::move_descriptor)
            moved.emplace_back(step.fd, step.fd2);
    EXPECT_EQ(moved, (std::vector<std::pair<int, int>>{{20, 1}, {21, 2}}));
    EXPECT_EQ(find_step(plan.init, StepKind::move_descriptor), nullptr);
}

// Its streams come by their place among those that are passed.
TEST(PlanProcess, GivesTheCommandOfOneThatIsParkedItsStreamsAndNoFilter) {
    Spec spec = default_spec();
    SeccompProgram program = *one_instruction();
    program.admits_launch = true;
    spec.seccomp = std::make_shared<const SeccompProgram>(program);
    ProcessSources sources = default_sources();
    sources.streams = {-1, 20, 21};
    sources.is_parked = true;
    for (const bool has_init : {true, false}) {
        spec.init = has_init;
        const LaunchPlan plan = planned(spec, sources);
        std::vector<std::pair<int, int>> moved;
        for (const Step& step : plan.target)
            if (step.kind == StepKind::move_passed)
                moved.emplace_back(step.fd, step.fd2);
        EXPECT_EQ(moved, (std::vector<std::pair<int, int>>{{0, 1}, {1, 2}}));
        EXPECT_FALSE(has_kind(plan.target, StepKind::move_descriptor));
        EXPECT_EQ(plan.setup.back().kind, StepKind::seccomp);
        EXPECT_FALSE(has_kind(plan.target, StepKind::seccomp));
        EXPECT_EQ(find_step(plan.setup, StepKind::drop_bounding)->flags, bounding_of(spec));
    }
}

TEST(PlanProcess, ResetsWhatTheSupervisorInheritedAsIgnored) {
    ProcessSources sources = default_sources();
    sources.ignored_signals = {SIGHUP, SIGPIPE};
    const LaunchPlan plan = planned(default_spec(), sources);
    Lines expected = kTarget;
    expected.insert(expected.begin() + 7, 2, "reset_signal");
    EXPECT_EQ(lines_of(plan.target), expected);
    EXPECT_EQ(find_step(plan.target, StepKind::reset_signal)->fd, SIGHUP);
}

TEST(PlanProcess, SetsAUsualUmask) {
    const LaunchPlan plan = planned(default_spec());
    EXPECT_EQ(find_step(plan.target, StepKind::set_umask)->mode, 022U);
}

// ---- the command --------------------------------------------------------------------------------

TEST(PlanProcess, ExecutesTheCommandLast) {
    ProcessSources sources = default_sources();
    sources.env = {"A=1", "PATH=/bin"};
    const LaunchPlan plan = planned(default_spec(), sources);
    const Step& step = plan.target.back();
    ASSERT_EQ(step.kind, StepKind::exec_command);
    EXPECT_EQ(words_of(step.exec->argv), (Lines{"/bin/true", "--flag"}));
    EXPECT_EQ(words_of(step.exec->envp), (Lines{"A=1", "PATH=/bin"}));
    EXPECT_EQ(words_of(step.exec->candidates), (Lines{"/bin/true"}));
}

std::vector<std::string> candidates_of(const std::string& command,
                                       const std::vector<std::string>& env) {
    Spec spec = default_spec();
    spec.args = {command};
    ProcessSources sources = default_sources();
    sources.env = env;
    const LaunchPlan plan = planned(spec, sources);
    return words_of(plan.target.back().exec->candidates);
}

TEST(PlanProcess, LooksACommandUpInThePathOfTheContainer) {
    EXPECT_EQ(candidates_of("true", {"PATH=/usr/bin:/bin"}), (Lines{"/usr/bin/true", "/bin/true"}));
    EXPECT_EQ(candidates_of("true", {"XPATH=/no", "PATH=/bin"}), (Lines{"/bin/true"}));
}

TEST(PlanProcess, TakesAPathWithASlashAsItIs) {
    EXPECT_EQ(candidates_of("./true", {"PATH=/bin"}), Lines{"./true"});
    EXPECT_EQ(candidates_of("bin/true", {"PATH=/bin"}), Lines{"bin/true"});
}

// environ(7): an empty entry is the working directory, at the end too.
TEST(PlanProcess, TakesAnEmptyEntryOfThePathForTheWorkingDirectory) {
    EXPECT_EQ(candidates_of("true", {"PATH=:/bin"}), (Lines{"true", "/bin/true"}));
    EXPECT_EQ(candidates_of("true", {"PATH=/a::/b"}), (Lines{"/a/true", "true", "/b/true"}));
    EXPECT_EQ(candidates_of("true", {"PATH=/bin:"}), (Lines{"/bin/true", "true"}));
}

TEST(PlanProcess, FindsNothingWithoutAPath) {
    EXPECT_EQ(candidates_of("true", {}), Lines{});
    EXPECT_EQ(candidates_of("true", {"PATH="}), Lines{});
}

TEST(PlanProcess, StartsInTheDirectoryAskedFor) {
    Spec spec = default_spec();
    spec.cwd = "/work dir";
    const LaunchPlan plan = planned(spec);
    EXPECT_STREQ(find_step(plan.target, StepKind::change_directory)->path, "/work dir");
}

// It is made where it is missing, which the user may not be allowed to.
TEST(PlanProcess, ChangesDirectoryBeforeItBecomesTheUser) {
    ProcessSources sources = default_sources();
    sources.uid = 1000;
    const Lines lines = lines_of(planned(default_spec(), sources).target);
    EXPECT_LT(index_of(lines, "change_directory /"), index_of(lines, "set_ids"));
}

}  // namespace
}  // namespace sigil::isolation
