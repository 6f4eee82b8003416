// sigil-bench-ready: how long after the first instruction of the last container's command the
// process manager has READY=1, for one container and for many. This process is the manager: it
// sleeps on the socket of NOTIFY_SOCKET, so its own wake-up counts. The commands write into the
// rootfs's /stamps when they began (stamp.cc).

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "bars.h"
#include "failure.h"
#include "machine.h"
#include "process.h"
#include "stamp.h"
#include "statistics.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

constexpr int kWarmUps = 3;
constexpr int kReadySeconds = 20;

struct Options {
    std::string sigil = own_directory() + "/../sigil";
    int runs = 100;
};

// The manager's end of NOTIFY_SOCKET.
class NotifySocket {
  public:
    explicit NotifySocket(const std::string& path) {
        socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        if (socket_ < 0 || path.size() >= sizeof address.sun_path)
            fail("socket {}: {}", path, strerror(errno));
        path.copy(address.sun_path, path.size());
        if (bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
            fail("bind {}: {}", path, strerror(errno));
    }
    NotifySocket(const NotifySocket&) = delete;
    NotifySocket& operator=(const NotifySocket&) = delete;
    ~NotifySocket() { close(socket_); }

    // When READY=1 was there; 0 if it never came.
    int64_t wait_ready() const {
        const int64_t end = now_ns() + kReadySeconds * 1'000'000'000L;
        for (int64_t left = end - now_ns(); left > 0; left = end - now_ns()) {
            pollfd waiting = {socket_, POLLIN, 0};
            poll(&waiting, 1, static_cast<int>(left / 1'000'000) + 1);
            const std::string text = receive();
            if (("\n" + text).find("\nREADY=1") != std::string::npos)
                return now_ns();
        }
        return 0;
    }
    // What is told at the end of a run.
    void drain() const {
        while (!receive().empty()) {
        }
    }

  private:
    std::string receive() const {
        char text[4096];
        const ssize_t size = recv(socket_, text, sizeof text, MSG_DONTWAIT);
        return size > 0 ? std::string(text, static_cast<size_t>(size)) : std::string();
    }

    int socket_ = -1;
};

class Bench {
  public:
    Bench(const Options& options, const Workspace& workspace)
        : options_(options), workspace_(workspace), socket_(workspace.file("notify")) {}

    // Whether every bar was met.
    bool run();

  private:
    bool measure(int containers);
    double once(const Command& command, int containers);
    void write_jobs(const std::string& path, int containers) const;
    int64_t last_start(int containers) const;

    const Options& options_;
    const Workspace& workspace_;
    NotifySocket socket_;
    Runner runner_;
};

void Bench::write_jobs(const std::string& path, int containers) const {
    std::ofstream jobs(path);
    for (int index = 0; index < containers; ++index)
        jobs << fmt::format(R"({{"id":"ready-{}","args":["/stamp","/stamps","{}"]}})", index, index)
             << "\n";
}

int64_t Bench::last_start(int containers) const {
    std::ifstream file(workspace_.rootfs() + "/stamps", std::ios::binary);
    int64_t last = 0;
    for (int index = 0; index < containers; ++index) {
        Stamp stamp = {};
        if (!file.read(reinterpret_cast<char*>(&stamp), sizeof stamp) || stamp.began_ns == 0)
            fail("container {} has not run: {}", index, runner_.take_errors());
        last = std::max(last, stamp.began_ns);
    }
    return last;
}

double Bench::once(const Command& command, int containers) {
    const long pages = (containers + kStampsInPage - 1) / kStampsInPage;
    const std::string stamps = workspace_.rootfs() + "/stamps";
    std::ofstream(stamps, std::ios::trunc).close();
    if (truncate(stamps.c_str(), pages * kStampPage) < 0)
        fail("{}: {}", stamps, strerror(errno));
    const pid_t pid = runner_.spawn(command);
    const int64_t ready = socket_.wait_ready();
    const Finished finished = runner_.wait(pid);
    socket_.drain();
    if (ready == 0 || finished.code != 0)
        fail("sigil: {}, exit code {}: {}", ready == 0 ? "no READY=1" : "ready", finished.code,
             runner_.take_errors());
    return static_cast<double>(ready - last_start(containers)) / 1e3;
}

bool Bench::measure(int containers) {
    const std::string jobs = workspace_.file("jobs");
    write_jobs(jobs, containers);
    const Command command = {find_program("env"),
                             "NOTIFY_SOCKET=" + workspace_.file("notify"),
                             options_.sigil,
                             "run",
                             "--root",
                             workspace_.state() + "/ready",
                             "--rootfs",
                             workspace_.rootfs(),
                             "--from",
                             jobs,
                             "--jobs",
                             std::to_string(containers),
                             "--network",
                             "host",
                             "--quiet"};
    std::vector<double> samples;
    const int rounds = std::max(1, options_.runs / std::max(1, containers / 10));
    for (int round = -kWarmUps; round < rounds; ++round) {
        const double taken = once(command, containers);
        if (round >= 0)
            samples.push_back(taken);
    }
    const Summary summary = summarize(samples);
    const bool met = summary.median <= kReadyUs;
    fmt::print("  {:>4} {:>9.0f} {:>9.0f} {:>9.0f} {:>7}   bar {:.0f}: {}\n", containers,
               summary.median, summary.p90, summary.p99, rounds, kReadyUs, met ? "ok" : "MISSED");
    std::fflush(stdout);
    return met;
}

bool Bench::run() {
    fmt::print(
        "from the last command's first instruction to READY=1, µs\n  {:>4} {:>9} {:>9} "
        "{:>9} {:>7}\n",
        "of", "median", "p90", "p99", "runs");
    bool all_met = true;
    for (const int containers : {1, 10, 100})
        all_met = measure(containers) && all_met;
    return all_met;
}

Options parse(int argc, char** argv) {
    Options options;
    for (int index = 1; index < argc; index += 2) {
        const std::string_view word = argv[index];
        if (index + 1 < argc && word == "--sigil")
            options.sigil = argv[index + 1];
        else if (index + 1 < argc && word == "--runs")
            options.runs = std::max(1, std::atoi(argv[index + 1]));
        else
            fail("usage: sigil-bench-ready [--sigil PATH] [--runs N]");
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
