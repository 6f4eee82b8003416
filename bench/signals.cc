// sigil-bench-signals: from kill(2) on the host to the first instruction of the handler inside,
// through sigil, and through the inits that do nothing but forward. All of them live for the whole
// run; each round sends one signal through each, in an order shuffled anew. Twice: with this
// process and all of theirs on one processor, where it is their own work that counts, and wherever
// the scheduler puts them, where it is as much the wake-up of an idle processor.
//
// Who forwards is a hop: `sigil run --no-init` is one (sigil, the command), as `tini -- command`
// is; `sigil run` is two (sigil, the init, the command), as one tini below another is.

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "bars.h"
#include "catch.h"
#include "contestants.h"
#include "failure.h"
#include "machine.h"
#include "process.h"
#include "statistics.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

constexpr int kWarmUps = 20;
constexpr int kStartSeconds = 10;
constexpr int kArrivalSeconds = 2;

struct Options {
    std::string sigil = own_directory() + "/../sigil";
    int runs = 2000;
    int pause_us = 1000;  // between two signals, so that everyone sleeps again
};

// Someone who passes a signal on to a `catch` of its own.
struct Forwarder {
    std::string name;
    int hops = 0;
    pid_t pid = -1;
    std::vector<double> microseconds;
};

// The page of catch.h, in the rootfs of all.
class SharedPage {
  public:
    explicit SharedPage(const std::string& path) {
        const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0 || ftruncate(file, kCaughtPage) < 0)
            fail("{}: {}", path, strerror(errno));
        void* page = mmap(nullptr, kCaughtPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page == MAP_FAILED)
            fail("map {}: {}", path, strerror(errno));
        close(file);
        caught_ = static_cast<Caught*>(page);
    }
    SharedPage(const SharedPage&) = delete;
    SharedPage& operator=(const SharedPage&) = delete;
    ~SharedPage() { munmap(caught_, kCaughtPage); }

    uint32_t ready() const { return __atomic_load_n(&caught_->ready, __ATOMIC_ACQUIRE); }
    uint32_t count() const { return __atomic_load_n(&caught_->count, __ATOMIC_ACQUIRE); }
    int64_t at_ns() const { return caught_->at_ns; }
    // Sleeps until the number is another than `old`; false once the time is up.
    bool wait_ready(uint32_t old) { return wait(&caught_->ready, old, kStartSeconds); }
    bool wait_count(uint32_t old) { return wait(&caught_->count, old, kArrivalSeconds); }

  private:
    static bool wait(uint32_t* word, uint32_t old, int seconds) {
        const int64_t end = now_ns() + seconds * 1'000'000'000L;
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == old) {
            const int64_t left = end - now_ns();
            if (left <= 0)
                return false;
            const timespec timeout = {left / 1'000'000'000L, left % 1'000'000'000L};
            syscall(SYS_futex, word, FUTEX_WAIT, old, &timeout, nullptr, 0);
        }
        return true;
    }

    Caught* caught_;
};

class Bench {
  public:
    Bench(const Options& options, const Workspace& workspace)
        : options_(options), workspace_(workspace), page_(workspace.rootfs() + "/caught") {}
    ~Bench() { stop(); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // Whether every bar was met.
    bool run();

  private:
    void start_all();
    void start(const std::string& name, int hops, const Command& command);
    bool send_one(const Forwarder& forwarder, double* microseconds);
    void measure();
    void print(const char* where) const;
    bool judge() const;
    void place(const cpu_set_t& processors) const;
    void stop();
    const Forwarder* find(std::string_view name) const;

    const Options& options_;
    const Workspace& workspace_;
    SharedPage page_;
    Runner runner_;
    std::vector<Forwarder> forwarders_;
};

void Bench::start_all() {
    const Command guest = {workspace_.rootfs() + "/catch", workspace_.rootfs() + "/caught"};
    const auto through = [&](Command command, int times) {
        Command whole;
        for (int hop = 0; hop < times; ++hop)
            whole.insert(whole.end(), command.begin(), command.end());
        whole.insert(whole.end(), guest.begin(), guest.end());
        return whole;
    };
    start("direct", 0, guest);
    Field field(
        {.sigil = options_.sigil, .floor = "", .only = {"sigil", "sigil-no-init", "crun", "runc"}},
        workspace_, runner_);
    for (const Contestant& contestant : field.contestants())
        start(contestant.name, contestant.kind == Kind::kSigil ? 2 : 1,
              field.command(contestant, Network::kHost, {"/catch", "/caught"}));
    for (const Skipped& skipped : field.skipped())
        fmt::print("  {}: skipped, {}\n", skipped.name, skipped.reason);
    for (const char* init : {"tini", "catatonit"}) {
        const std::string program = find_program(init);
        if (program.empty()) {
            fmt::print("  {}: skipped, it is not installed\n", init);
            continue;
        }
        // -s: no complaint that it is not PID 1; it is the same loop then.
        const Command once = std::string_view(init) == "tini" ? Command{program, "-s", "--"}
                                                              : Command{program, "--"};
        start(init, 1, through(once, 1));
        start(fmt::format("{}-twice", init), 2, through(once, 2));
    }
}

// Starts it, waits until its `catch` listens, and sees one signal arrive; who doesn't pass it on
// takes no part.
void Bench::start(const std::string& name, int hops, const Command& command) {
    const uint32_t before = page_.ready();
    Forwarder forwarder{name, hops, runner_.spawn(command), {}};
    if (!page_.wait_ready(before)) {
        kill(forwarder.pid, SIGKILL);
        runner_.wait(forwarder.pid);
        fail("{}: not up after {} seconds: {}", name, kStartSeconds, runner_.take_errors());
    }
    forwarders_.push_back(forwarder);
    double ignored = 0;
    if (send_one(forwarder, &ignored))
        return;
    fmt::print("  {}: left out, a signal does not come through\n", name);
    kill(forwarder.pid, SIGKILL);
    runner_.wait(forwarder.pid);
    forwarders_.pop_back();
}

bool Bench::send_one(const Forwarder& forwarder, double* microseconds) {
    const uint32_t before = page_.count();
    const int64_t sent = now_ns();
    if (kill(forwarder.pid, SIGUSR1) < 0)
        fail("{} is gone: {}", forwarder.name, runner_.take_errors());
    if (!page_.wait_count(before))
        return false;
    *microseconds = static_cast<double>(page_.at_ns() - sent) / 1e3;
    return true;
}

// This process and all those that pass signals on, with every thread.
void Bench::place(const cpu_set_t& processors) const {
    std::vector<pid_t> processes = tree_of(getpid());
    for (const pid_t process : processes) {
        std::error_code gone;
        const std::string tasks = fmt::format("/proc/{}/task", process);
        for (const auto& task : std::filesystem::directory_iterator(tasks, gone))
            sched_setaffinity(std::atoi(task.path().filename().c_str()), sizeof processors,
                              &processors);
    }
}

void Bench::measure() {
    for (Forwarder& forwarder : forwarders_)
        forwarder.microseconds.clear();
    std::vector<size_t> order(forwarders_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937 random(1);
    for (int round = -kWarmUps; round < options_.runs; ++round) {
        std::shuffle(order.begin(), order.end(), random);
        for (const size_t index : order) {
            Forwarder& forwarder = forwarders_[index];
            usleep(static_cast<useconds_t>(options_.pause_us));
            double taken = 0;
            if (!send_one(forwarder, &taken))
                fail("{}: a signal did not arrive", forwarder.name);
            if (round >= 0)
                forwarder.microseconds.push_back(taken);
        }
    }
}

void Bench::print(const char* where) const {
    fmt::print("\nfrom kill to the handler, {}, µs, {} signals each, {} µs apart\n", where,
               options_.runs, options_.pause_us);
    fmt::print("  {:<16} {:>4} {:>9} {:>9} {:>9}\n", "", "hops", "median", "p90", "p99");
    for (const Forwarder& forwarder : forwarders_) {
        const Summary summary = summarize(forwarder.microseconds);
        fmt::print("  {:<16} {:>4} {:>9.1f} {:>9.1f} {:>9.1f}\n", forwarder.name, forwarder.hops,
                   summary.median, summary.p90, summary.p99);
    }
}

bool Bench::judge() const {
    bool all_met = true;
    const auto compare = [&](const char* name, const std::string& peer_name) {
        const Forwarder* own = find(name);
        const Forwarder* peer = find(peer_name);
        if (own == nullptr || peer == nullptr)
            return;
        const Summary ours = summarize(own->microseconds);
        const Summary theirs = summarize(peer->microseconds);
        const Bar bar{name, peer_name, ours.median / theirs.median, kSignalToInit};
        fmt::print("  {} {:.2f} x {} (p99 {:.2f}), bar {:.2f}: {}\n", bar.subject, bar.value,
                   bar.against, ours.p99 / theirs.p99, bar.limit, bar.met() ? "ok" : "MISSED");
        all_met = all_met && bar.met();
    };
    fmt::print("\n");
    for (const char* init : {"tini", "catatonit"}) {
        compare("sigil-no-init", init);
        compare("sigil", fmt::format("{}-twice", init));
    }
    std::fflush(stdout);
    return all_met;
}

void Bench::stop() {
    for (const Forwarder& forwarder : forwarders_)
        kill(forwarder.pid, SIGTERM);
    for (const Forwarder& forwarder : forwarders_)
        runner_.wait(forwarder.pid);
    forwarders_.clear();
    reap_orphans();
}

const Forwarder* Bench::find(std::string_view name) const {
    const auto found = std::ranges::find(forwarders_, name, &Forwarder::name);
    return found == forwarders_.end() ? nullptr : &*found;
}

bool Bench::run() {
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        fail("sched_getaffinity: {}", strerror(errno));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int processor = 0; processor < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++processor)
        if (CPU_ISSET(processor, &all))
            CPU_SET(processor, &one);
    start_all();
    place(one);
    measure();
    print("on one processor");
    const bool met_on_one = judge();
    place(all);
    measure();
    print("on any");
    return judge() && met_on_one;
}

[[noreturn]] void usage(int code) {
    fmt::print("Usage: sigil-bench-signals [--sigil PATH] [--runs N] [--pause-us N]\n");
    std::exit(code);
}

Options parse(int argc, char** argv) {
    Options options;
    for (int index = 1; index < argc; ++index) {
        const std::string_view word = argv[index];
        if (word == "--help")
            usage(0);
        if (index + 1 >= argc)
            usage(2);
        const char* value = argv[++index];
        if (word == "--sigil")
            options.sigil = value;
        else if (word == "--runs")
            options.runs = std::max(1, std::atoi(value));
        else if (word == "--pause-us")
            options.pause_us = std::max(0, std::atoi(value));
        else
            usage(2);
    }
    return options;
}

int run(const Options& options) {
    settle_in();
    print_machine(describe_machine());
    const Workspace workspace(own_directory());
    return Bench(options, workspace).run() ? 0 : 1;
}

}  // namespace

}  // namespace sigil::bench

int main(int argc, char** argv) {
    return sigil::bench::run_guarded(
        [&] { return sigil::bench::run(sigil::bench::parse(argc, argv)); });
}
