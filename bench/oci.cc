// sigil-bench-oci: sigil as an OCI runtime beside crun and runc, on the same bundle, whole
// processes. What an engine pays for a container: create, start and delete; run; exec into one that
// runs; 100 of them, one after the other and at once; the peak memory of create. All with podman's
// seccomp profile.

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "bars.h"
#include "bundle.h"
#include "failure.h"
#include "machine.h"
#include "podman_profile.h"
#include "process.h"
#include "statistics.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

constexpr int kMany = 100;
constexpr int kWarmUps = 2;

struct Options {
    std::string sigil = own_directory() + "/../sigil";
    std::string seccomp = "/usr/share/containers/seccomp.json";  // empty: no filter
    int runs = 60;
    int many_rounds = 3;
};

struct Runtime {
    std::string name;
    std::string program;
};

class Bench {
  public:
    Bench(const Options& options, const Workspace& workspace)
        : options_(options), workspace_(workspace) {
        for (const Runtime& runtime :
             {Runtime{"sigil", options.sigil}, Runtime{"crun", "crun"}, Runtime{"runc", "runc"}}) {
            const std::string program = find_program(runtime.program);
            if (program.empty())
                fmt::print("  {}: skipped, it is not installed\n", runtime.name);
            else
                runtimes_.push_back({runtime.name, program});
        }
        const std::string seccomp =
            options.seccomp.empty() ? "" : podman_profile(options.seccomp, engine_capabilities());
        for (const char* guest : {"/true", "/pause"})
            write_bundle(bundle(guest), workspace.rootfs(), {guest}, true, seccomp);
    }

    void run();

  private:
    using Act = std::function<double(const Runtime&)>;

    std::string bundle(const std::string& guest) const {
        return workspace_.file("oci" + guest.substr(1));
    }
    Command verb(const Runtime& runtime, const Command& words) const {
        Command command = {runtime.program, "--root", workspace_.state() + "/oci-" + runtime.name};
        command.insert(command.end(), words.begin(), words.end());
        return command;
    }
    std::string next_name() { return fmt::format("sigil-bench-{}-{}", getpid(), ++containers_); }
    double time(const Runtime& runtime, const Command& words) const {
        return runner_.time(runtime.name, verb(runtime, words));
    }

    double create_start_delete(const Runtime& runtime);
    double sequence(const Runtime& runtime);
    double at_once(const Runtime& runtime);
    void compare(const char* what, int rounds, const Act& act, double to_crun, double to_runc);
    void measure_exec();
    void measure_memory();

    const Options& options_;
    const Workspace& workspace_;
    Runner runner_;
    std::vector<Runtime> runtimes_;
    int containers_ = 0;
};

double Bench::create_start_delete(const Runtime& runtime) {
    const std::string name = next_name();
    double sum = time(runtime, {"create", "--bundle", bundle("/true"), name});
    sum += time(runtime, {"start", name});
    // Its process is ours now: dead once it is reaped.
    while (::waitpid(-1, nullptr, 0) < 0 && errno == EINTR) {
    }
    sum += time(runtime, {"delete", name});
    return sum;
}

double Bench::sequence(const Runtime& runtime) {
    double sum = 0;
    for (int index = 0; index < kMany; ++index)
        sum += time(runtime, {"run", "--bundle", bundle("/true"), next_name()});
    return sum;
}

double Bench::at_once(const Runtime& runtime) {
    const int64_t from = now_ns();
    std::vector<pid_t> pids;
    for (int index = 0; index < kMany; ++index)
        pids.push_back(
            runner_.spawn(verb(runtime, {"run", "--bundle", bundle("/true"), next_name()})));
    for (const pid_t pid : pids)
        if (runner_.wait(pid).code != 0)
            fail("{}: one of {} at once: {}", runtime.name, kMany, runner_.take_errors());
    return static_cast<double>(now_ns() - from) / 1e6;
}

// Each round everyone once, in an order shuffled anew.
void Bench::compare(const char* what, int rounds, const Act& act, double to_crun, double to_runc) {
    std::vector<std::vector<double>> samples(runtimes_.size());
    std::vector<size_t> order(runtimes_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::mt19937 random(1);
    for (int round = -std::min(kWarmUps, rounds); round < rounds; ++round) {
        std::shuffle(order.begin(), order.end(), random);
        for (const size_t index : order) {
            const double taken = act(runtimes_[index]);
            if (round >= 0)
                samples[index].push_back(taken);
            reap_orphans();
        }
    }
    fmt::print("\n{}, ms, {} rounds\n  {:<8} {:>9} {:>9} {:>9}\n", what, rounds, "", "median",
               "p10", "p99");
    for (size_t index = 0; index < runtimes_.size(); ++index) {
        const Summary summary = summarize(samples[index]);
        fmt::print("  {:<8} {:>9.3f} {:>9.3f} {:>9.3f}\n", runtimes_[index].name, summary.median,
                   summary.p10, summary.p99);
    }
    for (size_t index = 1; index < runtimes_.size(); ++index) {
        const double limit = runtimes_[index].name == "crun" ? to_crun : to_runc;
        const double ratio = summarize(samples[0]).median / summarize(samples[index]).median;
        if (limit > 0)
            fmt::print("  sigil {:.2f} x {}, bar {:.2f}: {}\n", ratio, runtimes_[index].name, limit,
                       ratio <= limit ? "ok" : "MISSED");
        else
            fmt::print("  sigil {:.2f} x {}\n", ratio, runtimes_[index].name);
    }
    std::fflush(stdout);
}

void Bench::measure_exec() {
    std::vector<std::string> names;
    for (const Runtime& runtime : runtimes_) {
        names.push_back(next_name());
        time(runtime, {"create", "--bundle", bundle("/pause"), names.back()});
        time(runtime, {"start", names.back()});
    }
    compare(
        "exec of true in a container that runs", options_.runs,
        [&](const Runtime& runtime) {
            const auto index = static_cast<size_t>(&runtime - runtimes_.data());
            return time(runtime, {"exec", names[index], "/true"});
        },
        kExecToCrun, 0);
    for (size_t index = 0; index < runtimes_.size(); ++index)
        time(runtimes_[index], {"delete", "--force", names[index]});
    reap_orphans();
}

// The kernel's high-water mark of the process that creates, its children apart.
void Bench::measure_memory() {
    fmt::print("\npeak memory of create, KB\n");
    for (const Runtime& runtime : runtimes_) {
        const std::string name = next_name();
        Command command = verb(runtime, {"create", "--bundle", bundle("/pause"), name});
        command.insert(command.begin(), own_directory() + "/sigil-bench-peak");
        fmt::print("  {:<8} {:>8}\n", runtime.name,
                   std::atol(runner_.output_or_fail(command).c_str()));
        time(runtime, {"delete", "--force", name});
        reap_orphans();
    }
}

void Bench::run() {
    compare(
        "create, start, delete", options_.runs,
        [this](const Runtime& runtime) { return create_start_delete(runtime); }, kOciToCrun,
        kOciToRunc);
    compare(
        "run", options_.runs,
        [this](const Runtime& runtime) {
            return time(runtime, {"run", "--bundle", bundle("/true"), next_name()});
        },
        kOciToCrun, kOciToRunc);
    measure_exec();
    compare(
        "run, 100 one after the other", options_.many_rounds,
        [this](const Runtime& runtime) { return sequence(runtime); }, kOciToCrun, kOciToRunc);
    compare(
        "run, 100 at once", options_.many_rounds,
        [this](const Runtime& runtime) { return at_once(runtime); }, kOciToCrun, kOciToRunc);
    measure_memory();
}

[[noreturn]] void usage(int code) {
    fmt::print(
        "Usage: sigil-bench-oci [--sigil PATH] [--seccomp FILE] [--runs N] [--many-rounds N]\n"
        "\n"
        "  --seccomp FILE   a profile as engines have it; 'none': no filter;\n"
        "                   default: /usr/share/containers/seccomp.json\n");
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
        else if (word == "--seccomp")
            options.seccomp = std::string_view(value) == "none" ? "" : value;
        else if (word == "--runs")
            options.runs = std::max(1, std::atoi(value));
        else if (word == "--many-rounds")
            options.many_rounds = std::max(1, std::atoi(value));
        else
            usage(2);
    }
    return options;
}

int run(const Options& options) {
    settle_in();
    print_machine(describe_machine());
    const Workspace workspace(own_directory());
    Bench(options, workspace).run();
    return 0;
}

}  // namespace

}  // namespace sigil::bench

int main(int argc, char** argv) {
    return sigil::bench::run_guarded(
        [&] { return sigil::bench::run(sigil::bench::parse(argc, argv)); });
}
