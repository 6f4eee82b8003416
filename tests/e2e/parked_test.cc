// `--warm`: containers that are there ahead but for their command.
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "cgroups.h"
#include "many.h"
#include "tracer.h"

namespace sigil::e2e {
namespace {

constexpr size_t kWarm = 2;

// A run whose jobs come from its input, one after the other; what they print is in files.
class Jobs {
  public:
    explicit Jobs(const Words& options = {})
        : running_(start([&options] {
              Words all = {"--warm", std::to_string(kWarm), "--from", "-", "--jobs", "1",
                           "--quiet"};
              all.insert(all.end(), options.begin(), options.end());
              return all;
          }())) {}

    [[nodiscard]] pid_t sigil() const { return running_.pid(); }
    // Those that are ready, while no container runs.
    [[nodiscard]] std::vector<pid_t> ready() const { return children_of(running_.pid()); }
    [[nodiscard]] bool await_ready(size_t count = kWarm) const {
        return eventually([&] { return ready().size() == count; });
    }
    // `more`: of the line, beside its id.
    void ask(const std::string& more) {
        ++asked_;
        running_.type(R"({"id":")" + id() + "\"," + more + "}\n");
    }
    bool run(const std::string& more) {
        ask(more);
        return outputs_.await("exited", asked_);
    }
    [[nodiscard]] std::string id() const { return numbered("job", asked_); }
    [[nodiscard]] std::string output() const { return outputs_.log(id()); }
    // Of the latest that has started.
    [[nodiscard]] pid_t pid() const {
        const EventLog events(outputs_.events);
        return static_cast<pid_t>(EventLog::number(*events.named("started").back(), "pid"));
    }
    [[nodiscard]] EventLog events() const { return EventLog(outputs_.events); }
    int finish() {
        running_.close_input();
        return running_.wait().code();
    }
    Running& running() { return running_; }

  private:
    Start start(const Words& options) {
        Start start = sigil_run(outputs_.with(options), {});
        start.keeps_input_open = true;
        return start;
    }

    Outputs outputs_;
    Running running_;
    unsigned asked_ = 0;
};

constexpr const char* kTrue = R"("args":["/bin/true"])";

bool contains(const std::vector<pid_t>& all, pid_t one) {
    return std::ranges::find(all, one) != all.end();
}

using Parked = E2e;

TEST_F(Parked, TheNextOfTheKindTakesOneThatIsReady) {
    for (const char* network : {"none", "host"}) {
        Jobs jobs({"--network", network});
        ASSERT_TRUE(jobs.run(kTrue));
        for (int round = 0; round < 3; ++round) {
            ASSERT_TRUE(jobs.await_ready());
            const std::vector<pid_t> ready = jobs.ready();
            ASSERT_TRUE(jobs.run(kTrue));
            EXPECT_TRUE(contains(ready, jobs.pid()));
        }
        EXPECT_EQ(jobs.finish(), 0);
    }
}

TEST_F(Parked, WithoutAnInitToo) {
    Jobs jobs({"--no-init"});
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    const std::vector<pid_t> ready = jobs.ready();
    ASSERT_TRUE(jobs.run(R"("args":["/bin/sh","-c","echo $$"])"));
    EXPECT_EQ(jobs.output(), "1\n");
    EXPECT_TRUE(contains(ready, jobs.pid()));
    EXPECT_EQ(jobs.finish(), 0);
}

bool is_of_one_container(const std::string& fact) {
    for (const char* start : {"ns.", "cgroup", "fd.", "keyring", "pid1"})
        if (fact.starts_with(start))
            return true;
    return false;
}

// Of the moment: what the kernel counts of its memory and its waiting.
bool is_of_the_moment(const std::string& fact) {
    return fact.starts_with("status.Vm") || fact.starts_with("status.Rss") ||
           fact.find("ctxt_switches") != std::string::npos;
}

// All that a program can tell of its container, but for what no two containers share.
Words facts_of_second(Jobs& jobs) {
    EXPECT_TRUE(jobs.run(R"("args":["/bin/probe","facts"],"env":["A=b"],"cwd":"/tmp",)"
                         R"("user":"7:8","hostname":"same")"));
    Words facts;
    for (const std::string& line : lines_of(jobs.output())) {
        if (is_of_the_moment(line))
            continue;
        Words words = words_of(line);
        if (words[0] == "mount")  // its number, its parent's and the filesystem's
            words.erase(words.begin() + 1, words.begin() + 4);
        if (is_of_one_container(line))
            words.resize(1);
        std::string fact;
        for (const std::string& word : words)
            fact += word + " ";
        facts.push_back(std::move(fact));
    }
    return facts;
}

TEST_F(Parked, OneIsLikeAnyOther) {
    const std::vector<Words> kinds = {
        {}, {"--no-init"}, {"--network", "host"}, {"--seccomp", "unconfined", "--cap-add", "kill"}};
    for (const Words& options : kinds) {
        Words cold;
        {
            Words more = options;
            more.insert(more.end(), {"--warm", "0"});
            Jobs jobs(more);
            ASSERT_TRUE(jobs.run(kTrue));
            cold = facts_of_second(jobs);
            EXPECT_GT(cold.size(), 50U);
            EXPECT_EQ(jobs.finish(), 0);
        }
        Jobs jobs(options);
        ASSERT_TRUE(jobs.run(kTrue));
        ASSERT_TRUE(jobs.await_ready());
        const std::vector<pid_t> ready = jobs.ready();
        const Words parked = facts_of_second(jobs);
        EXPECT_TRUE(contains(ready, jobs.pid()));
        ASSERT_EQ(parked.size(), cold.size());
        for (size_t index = 0; index < cold.size(); ++index)
            EXPECT_EQ(parked[index], cold[index]);
        EXPECT_EQ(jobs.finish(), 0);
    }
}

TEST_F(Parked, ItGetsTheNameOfItsContainer) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    ASSERT_TRUE(jobs.run(R"("args":["/bin/sh","-c","hostname; echo $HOSTNAME"])"));
    EXPECT_EQ(jobs.output(), "job-2\njob-2\n");
    ASSERT_TRUE(jobs.await_ready());
    ASSERT_TRUE(jobs.run(R"("args":["/bin/hostname"],"hostname":"own")"));
    EXPECT_EQ(jobs.output(), "own\n");
    // One that is started as always, afterwards: the launcher has its own hostname again.
    ASSERT_TRUE(jobs.run(R"("args":["/bin/hostname"],"read_only":true)"));
    EXPECT_EQ(jobs.output(), "job-4\n");
    EXPECT_EQ(jobs.finish(), 0);
}

TEST_F(Parked, ItHasTheStreamsOfItsJob) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    const std::string directory = make_directory_outside();
    write_file(directory + "/in", "given\n");
    ASSERT_TRUE(jobs.run(R"("args":["/bin/sh","-c","cat; echo told >&2"],"stdin":")" + directory +
                         R"(/in","stdout":")" + directory + R"(/out","stderr":")" + directory +
                         R"(/err")"));
    EXPECT_EQ(read_file(directory + "/out"), "given\n");
    EXPECT_EQ(read_file(directory + "/err"), "told\n");
    EXPECT_EQ(jobs.finish(), 0);
}

TEST_F(Parked, ACommandThatIsNotThereIsToldOfAsEver) {
    for (const char* init : {"--init", "--no-init"}) {
        Jobs jobs(std::string(init) == "--init" ? Words{} : Words{"--no-init"});
        ASSERT_TRUE(jobs.run(kTrue));
        ASSERT_TRUE(jobs.await_ready());
        const std::vector<pid_t> ready = jobs.ready();
        ASSERT_TRUE(jobs.run(R"("args":["/bin/none"])"));
        ASSERT_TRUE(jobs.await_ready());
        ASSERT_TRUE(jobs.run(R"("args":["/etc"])"));
        ASSERT_TRUE(jobs.await_ready());
        ASSERT_TRUE(jobs.run(R"("args":["/bin/true"],"user":"nobody!")"));
        EXPECT_EQ(jobs.finish(), 127);
        const EventLog events = jobs.events();
        const auto exited = events.named("exited");
        EXPECT_NE(ready, std::vector<pid_t>{});
        ASSERT_EQ(exited.size(), 4U);
        EXPECT_EQ(EventLog::number(*exited[1], "exit_code"), 127);
        EXPECT_EQ(EventLog::number(*exited[2], "exit_code"), 126);
        EXPECT_EQ(EventLog::number(*exited[3], "exit_code"), 125);
    }
}

TEST_F(Parked, AFilterThatLetsNothingBeToldHidesNoFailure) {
    const std::string profile = make_directory_outside() + "/profile";
    write_file(profile, R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[)"
                        R"({"names":["sendto","sendmsg","write"],"action":"SCMP_ACT_ERRNO"}]})");
    for (const Words& mode : {Words{}, Words{"--no-init"}}) {
        Words options = {"--seccomp", profile};
        options.insert(options.end(), mode.begin(), mode.end());
        Jobs jobs(options);
        for (int round = 0; round < 3; ++round) {
            ASSERT_TRUE(jobs.run(R"("args":["/bin/none"])"));
            ASSERT_TRUE(jobs.await_ready(mode.empty() ? kWarm : 0));
        }
        EXPECT_EQ(jobs.finish(), 127);
        const EventLog events = jobs.events();
        for (const auto* error : events.named("error"))
            EXPECT_EQ(EventLog::text(*error, "error"), "/bin/none: No such file or directory");
        EXPECT_EQ(events.count("error"), 3U);
    }
}

TEST_F(Parked, ACommandWhoseStartCannotBeSeenDoesNotRunOn) {
    bool has_failed = false;
    Trace trace;
    trace.process = "0.1";  // the launcher: the first is started as always, and nothing is told it
    trace.on_call = [&](const TracedCall& call) -> Verdict {
        if (call.number != SYS_recvmsg)
            return {};
        has_failed = true;
        return {.error = ENOMEM};
    };
    const Finished finished = run_traced(
        sigil_run({"--name", "web", "--count", "2", "--jobs", "1", "--launchers", "1", "--warm",
                   "1", "--quiet"},
                  {"/bin/sh", "-c", "[ $(hostname) = web-2 ] && exec sleep 1h; sleep 0.5"}),
        trace);
    EXPECT_TRUE(has_failed);
    EXPECT_FALSE(finished.hung);
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.err, "sigil: web-2: recvmsg: Cannot allocate memory\n");
}

TEST_F(Parked, OneThatWasKilledIsNoneThatIsReady) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    const std::vector<pid_t> ready = jobs.ready();
    for (pid_t pid : ready) {
        ASSERT_TRUE(kill_child(jobs.sigil(), pid));
        ASSERT_TRUE(eventually([pid] {
            return read_file("/proc/" + std::to_string(pid) + "/status").find("State:\tZ") !=
                   std::string::npos;
        }));
    }
    ASSERT_TRUE(jobs.run(kTrue));
    EXPECT_FALSE(contains(ready, jobs.pid()));
    EXPECT_TRUE(eventually([&] {
        const std::vector<pid_t> now = jobs.ready();
        return now.size() == kWarm &&
               std::ranges::none_of(now, [&](pid_t pid) { return contains(ready, pid); });
    })) << "others take their place";
    EXPECT_EQ(jobs.finish(), 0);
}

TEST_F(Parked, OfAnotherKindIsNotTaken) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    std::vector<pid_t> ready = jobs.ready();
    ASSERT_TRUE(jobs.run(R"("args":["/bin/sh","-c","touch /x || true"],"read_only":true)"));
    EXPECT_FALSE(contains(ready, jobs.pid()));
    // The last kind is the one that is kept ready.
    ASSERT_TRUE(eventually([&] {
        const std::vector<pid_t> now = jobs.ready();
        return now.size() == kWarm &&
               std::ranges::none_of(now, [&](pid_t pid) { return contains(ready, pid); });
    }));
    ready = jobs.ready();
    ASSERT_TRUE(jobs.run(R"("args":["/bin/touch","/x"],"read_only":true)"));
    EXPECT_TRUE(contains(ready, jobs.pid()));
    EXPECT_NE(jobs.finish(), 0) << "its root is read-only";
}

TEST_F(Parked, AnotherDirectoryUnderTheSamePathIsAnotherRoot) {
    const std::string parent = make_directory_outside();
    const std::string rootfs = parent + "/rootfs";
    auto make = [&](const std::string& text) {
        std::filesystem::rename(make_rootfs(), rootfs);
        write_file(rootfs + "/version", text);
    };
    make("one\n");
    Jobs jobs({"--rootfs", rootfs});
    const std::string tell = R"("args":["/bin/cat","/version"])";
    ASSERT_TRUE(jobs.run(tell));
    ASSERT_TRUE(jobs.await_ready());
    std::filesystem::rename(rootfs, parent + "/old");
    make("two\n");
    ASSERT_TRUE(jobs.run(tell));
    EXPECT_EQ(jobs.output(), "two\n");
    EXPECT_EQ(jobs.finish(), 0);
}

TEST_F(Parked, OneWhoseSysWasTakenAwayIsNotTaken) {
    const std::string rootfs = make_rootfs();
    Jobs jobs({"--rootfs", rootfs, "--network", "host"});
    const std::string look =
        R"("args":["/bin/sh","-c","ls /sys | grep -c ^kernel$; cat /proc/self/comm"])";
    ASSERT_TRUE(jobs.run(look));
    for (const char* name : {"/sys", "/proc"}) {
        ASSERT_TRUE(jobs.await_ready());
        std::filesystem::rename(rootfs + name, rootfs + name + "-old");
        std::filesystem::create_directory(rootfs + name);
        ASSERT_TRUE(jobs.run(look));
        EXPECT_EQ(jobs.output(), "1\ncat\n");
    }
    EXPECT_EQ(jobs.finish(), 0);
}

TEST_F(Parked, IsListedUnderTheNameOfItsContainerAndNotBefore) {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 here";
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    EXPECT_EQ(run_program(sigil({"list", "-q"})).out, "");
    jobs.ask(R"("args":["/bin/sleep","100000"])");
    ASSERT_TRUE(eventually([&] { return jobs.events().count("started") == 2; }));
    EXPECT_EQ(run_program(sigil({"list", "-q"})).out, "job-2\n");
    EXPECT_EQ(run_program(sigil({"exec", "job-2", "/bin/hostname"})).out, "job-2\n");
    EXPECT_EQ(run_program(sigil({"kill", "job-2", "KILL"})).code(), 0);
    EXPECT_EQ(jobs.finish(), 128 + SIGKILL);
}

TEST_F(Parked, TheyDieWithTheirSupervisor) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    jobs.running().send(SIGKILL);
    EXPECT_EQ(jobs.running().wait().signal(), SIGKILL);
    EXPECT_TRUE(await_no_processes());
    EXPECT_EQ(run_program(sigil({"sweep"})).code(), 0);
}

TEST_F(Parked, AStopEndsThemToo) {
    Jobs jobs;
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    jobs.running().send(SIGTERM);
    EXPECT_EQ(jobs.running().wait().code(), 0) << "none of its containers was stopped";
}

TEST_F(Parked, RestartsTakeThem) {
    Jobs jobs({"--restart", "on-failure:2"});
    ASSERT_TRUE(jobs.run(kTrue));
    ASSERT_TRUE(jobs.await_ready());
    std::vector<pid_t> ready = jobs.ready();
    jobs.ask(R"("args":["/bin/false"])");
    ASSERT_TRUE(eventually([&] { return jobs.events().count("exited") == 4; }));
    EXPECT_EQ(jobs.finish(), 1);
    const EventLog events = jobs.events();
    const auto started = events.named("started");
    ASSERT_EQ(started.size(), 4U);
    EXPECT_TRUE(contains(ready, static_cast<pid_t>(EventLog::number(*started[1], "pid"))));
}

}  // namespace
}  // namespace sigil::e2e
