// A bundle's cgroup in the kernel, with processes in it: seen, stopped and measured by one who only
// knows its path.
#include "isolation/bundle_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "isolation/cgroup.h"
#include "isolation/cgroup_control.h"
#include "isolation/cgroup_stats.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;

sys::Nanoseconds soon() {
    return sys::monotonic_now() + std::chrono::seconds(20);
}

class LiveCgroup : public ::testing::Test {
  protected:
    void SetUp() override {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root";
        auto host = CgroupHost::find();
        if (!host || !*host)
            GTEST_SKIP() << "no cgroup v2 on this machine";
        host_.emplace(std::move(**host));
        parent_ = "/sigil-parts-" + std::to_string(::getpid());
    }
    void TearDown() override {
        for (pid_t pid : processes_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
        if (host_) {
            EXPECT_NE(::access(host_->absolute(parent_).c_str(), F_OK), 0);
        }
    }
    // A process in the cgroup that `directory` is open to, which counts up for ever.
    pid_t start(int directory, volatile uint64_t* counter) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            if (!sys::write_file(directory, "cgroup.procs", "0"))
                ::_exit(99);
            for (;;)
                *counter = *counter + 1;
        }
        processes_.push_back(pid);
        while (*counter == 0)
            ::sched_yield();
        return pid;
    }
    [[nodiscard]] bool has_controller(const char* name) const {
        return testing::contains(*sys::read_file(host_->root(), "cgroup.controllers"), name);
    }

    std::optional<CgroupHost> host_;
    std::string parent_;
    std::vector<pid_t> processes_;
};

// A new one, shared with children.
volatile uint64_t* shared_counter() {
    static auto* next = static_cast<volatile uint64_t*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return next++;
}

TEST_F(LiveCgroup, IsTakenIfUnusedAndLeftAloneIfNot) {
    auto cgroup = Cgroup::create_at(&*host_, parent_ + "/web", {});
    ASSERT_EQ(message_of(cgroup), "(no error)");
    const pid_t pid = start(cgroup->directory(), shared_counter());
    EXPECT_HOLDS(message_of(Cgroup::create_at(&*host_, parent_ + "/web", {})),
                 "/web: it has processes already");
    EXPECT_EQ(*cgroup_processes(cgroup->directory()), std::vector<pid_t>{pid});
    ASSERT_TRUE(cgroup->kill());
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    processes_.clear();
    cgroup->keep();
    auto again = Cgroup::create_at(&*host_, parent_ + "/web", {});
    EXPECT_EQ(message_of(again), "(no error)");
    EXPECT_EQ(message_of(again->remove()), "(no error)");
    EXPECT_EQ(message_of(sys::rmdirat(host_->root(), CgroupHost::relative(parent_))), "(no error)");
}

TEST_F(LiveCgroup, StandsStillWhileItIsFrozen) {
    auto cgroup = Cgroup::create_at(&*host_, parent_ + "/web", {});
    ASSERT_EQ(message_of(cgroup), "(no error)");
    volatile uint64_t* counter = shared_counter();
    start(cgroup->directory(), counter);
    auto other = Cgroup::open_at(&*host_, parent_ + "/web");
    EXPECT_FALSE(*is_cgroup_frozen(other->directory()));
    ASSERT_EQ(message_of(freeze_cgroup(other->directory(), soon())), "(no error)");
    EXPECT_TRUE(*is_cgroup_frozen(other->directory()));
    const uint64_t stopped_at = *counter;
    for (int turn = 0; turn < 1000; ++turn)
        ::sched_yield();
    EXPECT_EQ(*counter, stopped_at);
    ASSERT_EQ(message_of(thaw_cgroup(other->directory(), soon())), "(no error)");
    EXPECT_FALSE(*is_cgroup_frozen(other->directory()));
    while (*counter == stopped_at)
        ::sched_yield();
    ASSERT_TRUE(cgroup->kill());
    ASSERT_EQ(::waitpid(processes_[0], nullptr, 0), processes_[0]);
    processes_.clear();
    EXPECT_EQ(message_of(cgroup->remove()), "(no error)");
}

TEST_F(LiveCgroup, ListsProcessesOfTheCgroupsBelow) {
    auto cgroup = Cgroup::create_at(&*host_, parent_ + "/web", {});
    ASSERT_EQ(message_of(cgroup), "(no error)");
    ASSERT_TRUE(sys::mkdirat(cgroup->directory(), "inner", 0755));
    const Fd inner = *sys::open(cgroup->directory(), "inner", O_RDONLY | O_DIRECTORY);
    std::vector<pid_t> started = {start(inner.get(), shared_counter()),
                                  start(cgroup->directory(), shared_counter())};
    std::ranges::sort(started);
    EXPECT_EQ(*cgroup_processes(cgroup->directory()), started);
    ASSERT_TRUE(cgroup->kill());
    for (pid_t pid : started)
        ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    processes_.clear();
    EXPECT_EQ(message_of(cgroup->remove()), "(no error)");
}

TEST_F(LiveCgroup, HasFiguresOfWhatRanInIt) {
    Resources resources;
    const bool has_pids = has_controller("pids");
    const bool has_memory = has_controller("memory");
    if (has_pids)
        resources.pids = 12;
    if (has_memory)
        resources.memory = 64UL << 20;
    auto cgroup = Cgroup::create_at(&*host_, parent_ + "/web", resources);
    ASSERT_EQ(message_of(cgroup), "(no error)");
    start(cgroup->directory(), shared_counter());
    auto stats = read_cgroup_stats(cgroup->directory());
    while (stats && stats->cpu.usage == 0)
        stats = read_cgroup_stats(cgroup->directory());
    ASSERT_EQ(message_of(stats), "(no error)");
    EXPECT_GE(stats->cpu.usage + 2, stats->cpu.user + stats->cpu.system);
    EXPECT_EQ(stats->pids.has_value(), has_pids);
    if (has_pids) {
        EXPECT_EQ(stats->pids->current, 1U);
        EXPECT_EQ(stats->pids->limit, 12U);
    }
    EXPECT_EQ(stats->memory.has_value(), has_memory);
    if (has_memory) {
        EXPECT_EQ(stats->memory->limit, 64UL << 20);
        EXPECT_FALSE(stats->memory->stat.empty());
        EXPECT_FALSE(stats->memory->events.empty());
    }
    // Nobody asked for a limit of it; it counts all the same.
    EXPECT_EQ(stats->hugetlb.empty(), !has_controller("hugetlb"));
    ASSERT_TRUE(cgroup->kill());
    ASSERT_EQ(::waitpid(processes_[0], nullptr, 0), processes_[0]);
    processes_.clear();
    EXPECT_EQ(message_of(cgroup->remove()), "(no error)");
}

TEST_F(LiveCgroup, MayBelongToTheContainersUser) {
    auto cgroup = Cgroup::create_at(&*host_, parent_ + "/web", {});
    ASSERT_EQ(message_of(cgroup), "(no error)");
    ASSERT_EQ(message_of(delegate_cgroup(cgroup->directory(), 4711)), "(no error)");
    auto owner = [&cgroup](const char* file) {
        return sys::stat(cgroup->directory(), file)->stx_uid;
    };
    EXPECT_EQ(owner("."), 4711U);
    for (const char* file : {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"})
        EXPECT_EQ(owner(file), 4711U) << file;
    EXPECT_EQ(owner("cgroup.freeze"), 0U);
}

TEST_F(LiveCgroup, IsNotMadeWithoutTheControllerOfALimit) {
    if (has_controller("pids"))
        GTEST_SKIP() << "every controller is here";
    Resources resources;
    resources.pids = 12;
    EXPECT_HOLDS(message_of(Cgroup::create_at(&*host_, parent_ + "/web", resources)),
                 "cgroup " + parent_ + "/web: the pids controller is bound to a cgroup v1");
}

}  // namespace
}  // namespace sigil::isolation
