// A hundred thousand signals, and processes killed in the midst of their start, while containers
// come and go: every end is told as it was, and nothing is left.
#include <signal.h>

#include <array>
#include <map>
#include <random>

#include "many.h"
#include "model.h"

namespace sigil::e2e {
namespace {

using Storm = E2e;
using Clock = std::chrono::steady_clock;

// Forwarded, all of them; the real-time ones are queued, each for itself.
constexpr std::array kSignals = {SIGUSR1, SIGUSR2, SIGHUP,  SIGALRM,   SIGWINCH,
                                 SIGURG,  SIGCONT, SIGQUIT, SIGVTALRM, 34 + 5};
const std::set<std::string> kDeadly = {"SIGUSR1", "SIGUSR2",   "SIGHUP",    "SIGALRM",
                                       "SIGQUIT", "SIGVTALRM", "SIGRTMIN+5"};
const std::string kTrap = "trap '' USR1 USR2 HUP ALRM QUIT VTALRM 39;";

// A line of the stream. Whoever ignores the signals may get one before it does.
std::string stream_line(Model& model, unsigned number) {
    const std::string id = numbered("web", number);
    const int code = static_cast<int>(number % 100);
    std::string job;
    switch (number % 4) {
        case 0:
            model.expect(id, {.code = code, .signals = kDeadly});
            job = R"("args":["/bin/bare",")" + std::to_string(code) + R"("])";
            break;
        case 1:  // only a signal ends it
            model.expect(id, {.signals = kDeadly});
            job = R"("args":["sleep","100000"])";
            break;
        default:
            model.expect(id, {.code = code, .signals = kDeadly});
            job = R"("args":["sh","-c",")" + kTrap + "sleep 0.01; exit " + std::to_string(code) +
                  R"("],"restart":"on-failure:1")";
    }
    return R"({"id":")" + id + "\"," + job + "}\n";
}

TEST_F(Storm, EveryEndIsCountedUnderAHundredThousandSignals) {
    constexpr unsigned kAtOnce = 50;  // signals
    constexpr unsigned kAhead = 32;   // jobs that sigil has been given and has no place for yet
    const unsigned signals = scaled(100'000, 5'000);
    const unsigned jobs = scaled(1'000, 60);
    const Outputs outputs;
    Model model;
    Start start = sigil_run(
        {"--name", "web", "--quiet", "--events", outputs.events, "--from", "-", "--jobs", "50"},
        {});
    start.keeps_input_open = true;
    Running running(start);
    unsigned sent = 0;
    unsigned given = 0;
    const auto until = Clock::now() + patience();
    while ((sent < signals || given < jobs) && Clock::now() < until) {
        if (given < jobs && given < model.count("created") + kAhead)
            running.type(stream_line(model, ++given));
        // None before sigil takes them: the first would end it.
        model.read(outputs.events);
        if (model.taken() == 0)
            continue;
        for (unsigned left = kAtOnce; left > 0; --left)
            running.send(kSignals[sent++ % kSignals.size()]);
    }
    EXPECT_EQ(given, jobs) << "sigil starts no more";
    running.close_input();
    EXPECT_TRUE(eventually([&] {
        running.type("");
        running.send(SIGUSR1);
        model.read(outputs.events);
        return model.is_over();
    }));
    const Finished finished = running.wait();
    EXPECT_EQ(finished.err, "");
    EXPECT_EQ(model.count("created"), jobs);
    model.expect_all_counted();
}

// What a container's start looks like from outside: children of the launchers, and theirs.
std::vector<pid_t> starting(pid_t parent) {
    std::vector<pid_t> children;
    const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
    for (const std::string& task : names_in(tasks))
        for (const std::string& child : words_of(read_file(tasks + "/" + task + "/children")))
            children.push_back(::atoi(child.c_str()));
    return children;
}

// Kills PID 1 of some containers of a run as soon as it is seen, the command of others, and leaves
// the rest alone, until the run is over.
class Killer {
  public:
    explicit Killer(pid_t sigil) : sigil_(sigil) {}
    void look() {
        for (const pid_t init : starting(sigil_)) {
            const auto [known, is_new] = aims_.try_emplace(init, random_() % 4);
            if (known->second == 0)
                inits_ += kill_child(sigil_, init);
            else if (known->second == 1)
                for (const pid_t command : starting(init))
                    commands_ += kill_child(init, command);
        }
    }
    [[nodiscard]] int inits() const { return inits_; }
    [[nodiscard]] int commands() const { return commands_; }

  private:
    pid_t sigil_;
    std::mt19937 random_;
    std::map<pid_t, unsigned> aims_;
    int inits_ = 0;
    int commands_ = 0;
};

// `has_helper`: somebody is killed whose end is that of a launch, and not of a container.
void expect_survives_kills(const Words& options, bool has_helper = false) {
    const unsigned count = scaled(400, 40);
    const Outputs outputs;
    Model model;
    for (unsigned number = 1; number <= count; ++number)
        model.expect(numbered("web", number),
                     {.code = 3, .signals = {"SIGKILL"}, .may_fail = has_helper});
    Words words = {"--name", "web", "--quiet", "--events",           outputs.events,
                   "--jobs", "4",   "--count", std::to_string(count)};
    words.insert(words.end(), options.begin(), options.end());
    Running running(sigil_run(words, {"/bin/bare", "3"}));
    Killer killer(running.pid());
    const auto until = Clock::now() + patience();
    while (!model.is_over() && Clock::now() < until) {
        killer.look();
        model.read(outputs.events);
    }
    const Finished finished = running.wait();
    for (const std::string& line : lines_of(finished.err))
        EXPECT_TRUE(has_helper && line.ends_with("who was to clone it was killed")) << line;
    model.read(outputs.events);
    model.expect_all_counted();
    EXPECT_EQ(model.count("exited"), count);
    EXPECT_GT(killer.inits() + killer.commands(), 0);
}

TEST_F(Storm, APid1OrACommandMayBeKilledAtAnyMomentOfItsStart) {
    expect_survives_kills({});
}

TEST_F(Storm, ACommandThatIsPid1MayBeKilledAtAnyMomentOfItsStart) {
    expect_survives_kills({"--no-init"});
}

TEST_F(Storm, OneInAUserNamespaceMayBeKilledAtAnyMomentOfItsStart) {
    if (!roots_can_be_mapped())
        GTEST_SKIP() << "no idmapped mounts of a tmpfs in this kernel";
    expect_survives_kills({"--userns", "auto"}, true);
}

TEST_F(Storm, OneWithATmpfsMayBeKilledAtAnyMomentOfItsStart) {
    expect_survives_kills({"--tmpfs", "/tmp:1M", "--network", "host"});
}

}  // namespace
}  // namespace sigil::e2e
