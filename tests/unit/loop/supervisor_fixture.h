// A supervisor on a fake ring, with a launcher that launches nothing and an observer that writes
// down what it is told. Processes are real children; cgroups are directories of plain files.
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "loop/child.h"
#include "loop/fake_ring.h"
#include "loop/supervisor.h"
#include "temp_dir.h"

namespace sigil::loop {

class FakeLauncher final : public Launcher {
  public:
    void launch(Token token, const isolation::LaunchRequest&) override {
        launched.push_back(token);
    }
    void cancel(Token token) override { cancelled.push_back(token); }

    std::vector<Token> launched;
    std::vector<Token> cancelled;
};

// What a test asks of an Outcome, which can't be copied.
struct Ended {
    pid_t pid = -1;
    Cause cause = Cause::failed;
    ExitStatus status;
    isolation::MemoryEvents memory;
    std::optional<uint64_t> memory_peak;
    std::optional<uint64_t> memory_max;
    Times times;
    int error_exit_code = 0;
    std::string error;
};

class Record final : public Observer {
  public:
    void started(const Subject& subject, const Outcome&) override {
        log.push_back(subject.name + " started");
    }
    void out_of_memory(const Subject& subject, const Outcome& so_far) override {
        log.push_back(fmt::format("{} oom {}", subject.name, so_far.memory.oom_kill));
        memory_max = so_far.memory_max;
    }
    void stopping(const Subject& subject) override { asked_to_stop.push_back(subject.name); }
    void ended(const Subject& subject, Outcome&& outcome) override {
        log.push_back(
            fmt::format("{} {} {}", subject.name, name(outcome.cause), outcome.status.exit_code()));
        last = {.pid = outcome.pid,
                .cause = outcome.cause,
                .status = outcome.status,
                .memory = outcome.memory,
                .memory_peak = outcome.memory_peak,
                .memory_max = outcome.memory_max,
                .times = outcome.times,
                .error_exit_code = outcome.error ? outcome.error->exit_code() : 0,
                .error = outcome.error ? outcome.error->message() : ""};
    }
    void warning(const Subject& subject, const Error& error) override {
        log.push_back(subject.name + " warning: " + error.message());
    }

    std::vector<std::string> log;
    std::vector<std::string> asked_to_stop;
    std::optional<uint64_t> memory_max;  // as the out_of_memory before the end had it
    Ended last;
};

using Log = std::vector<std::string>;

// The files of a container's cgroup; `parent/web` is the directory that is removed at the end.
class CgroupFiles {
  public:
    CgroupFiles() {
        directory_.make_directory("parent/web");
        directory_.make_directory("files");
        write("cgroup.events", "populated 0\nfrozen 0\n");
        write("cgroup.kill", "");
    }
    void add_memory(unsigned oom_kill = 0) {
        set_oom_kills(oom_kill);
        write("memory.peak", "8192\n");
        write("memory.max", "65536\n");
        write("memory.oom.group", "0");
    }
    void set_oom_kills(unsigned count) {
        write("memory.events", fmt::format("low 0\nhigh 0\nmax 9\noom {0}\noom_kill {0}\n", count));
    }
    void write(const std::string& name, const std::string& text) {
        directory_.write("files/" + name, text);
    }
    void remove(const std::string& name) {
        std::filesystem::remove(directory_.at("files/" + name));
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        return directory_.read("files/" + name);
    }
    [[nodiscard]] bool is_killed() const { return read("cgroup.kill") == "1"; }
    [[nodiscard]] bool is_removed() const { return !directory_.has("parent/web"); }
    // Removed under another name; "/" stands for one that is always busy (rmdir gives EBUSY).
    [[nodiscard]] isolation::Cgroup cgroup(const std::string& name = "web") const {
        return {directory_.open("files"), directory_.open("parent"), name, "/sigil-web"};
    }

  private:
    testing::TempDir directory_;
};

class SupervisorTest : public ::testing::Test {
  protected:
    SupervisorTest() { reactor.use(ring); }

    static Spec spec_named(const std::string& name) {
        Spec spec;
        spec.name = name;
        return spec;
    }
    Token start(const Spec& spec = spec_named("web")) {
        return supervisor.start({.name = spec.name,
                                 .spec = std::make_shared<const Spec>(spec),
                                 .request = sys::monotonic_now()});
    }
    static isolation::LaunchOutcome launch_of(const Child& child) {
        isolation::LaunchOutcome outcome;
        outcome.process = child.process();
        outcome.times.cloned = outcome.times.isolated = outcome.times.executed =
            sys::monotonic_now();
        return outcome;
    }
    static isolation::LaunchOutcome launch_of(const Child& child, const CgroupFiles& files) {
        isolation::LaunchOutcome outcome = launch_of(child);
        outcome.cgroup = files.cgroup();
        return outcome;
    }
    // Started and launched, with or without a cgroup.
    template <typename... Files>
    Token run(const Child& child, Spec spec, const Files&... files) {
        const Token token = start(spec);
        supervisor.launched(token, launch_of(child, files...));
        return token;
    }
    template <typename... Files>
    Token run(const Child& child, const Files&... files) {
        return run(child, spec_named("web"), files...);
    }

    // The kernel completes the operation, and the reactor turns once.
    void complete(Token token, Operation operation, int32_t result) {
        ring.complete(token.with(operation), result);
        turn();
    }
    void inject(Token token, Operation operation, int32_t result) {
        ring.inject(token.with(operation), result);
        turn();
    }
    void exit(Token token) { complete(token, Operation::exit, POLLIN); }
    void turn() {
        auto turned = reactor.turn();
        EXPECT_TRUE(turned) << turned.error().message();
    }
    // Works off cancels until no more are asked for.
    void settle() {
        while (ring.work_off_cancels())
            turn();
    }
    [[nodiscard]] bool is_armed(Token token, Operation operation) const {
        return ring.has(token.with(operation));
    }
    [[nodiscard]] bool is_cancelled(Token token, Operation operation) const {
        return ring.was_cancelled(token.with(operation));
    }

    FakeRing ring;
    Reactor reactor;
    FakeLauncher launcher;
    Record record;
    Supervisor supervisor{reactor, launcher, record};
};

}  // namespace sigil::loop
