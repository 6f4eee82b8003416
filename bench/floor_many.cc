// floor-many: the least that a kernel asks for many containers of one process: the floor's recipe
// from several threads, a cgroup for each container, one epoll for all the ends. Each start is
// mkdir, clone3(VM|VFORK|FILES|PIDFD|INTO_CGROUP), epoll_ctl; each end is epoll_wait, waitid,
// close, rmdir. No init, no queue of jobs, no report, no check against a hostile rootfs.
//
// It climbs a ladder: for each number of --live it brings that many sleepers up, then starts
// --count of the command, at most --at-a-time at once; in the end it kills the sleepers. What it
// found goes to standard output as one JSON object.

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <semaphore>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "floor_recipe.h"
#include "stamp.h"
#include "statistics.h"

namespace sigil::floor {

namespace {

constexpr char kUsage[] =
    "usage: sigil-floor-many [OPTIONS] ROOTFS COMMAND [ARGS]\n"
    "  --net none|host    (none)\n"
    "  --cgroups on|off   a cgroup for each container (on)\n"
    "  --count N          starts of the command (0)\n"
    "  --threads T        that start them (1)\n"
    "  --at-a-time J      started and not yet reaped (64)\n"
    "  --live N[,N...]    sleepers beside them: all of it once for each number (0)\n"
    "  --sleeper PATH     what the sleepers run (/pause)\n"
    "  --stamps FILE      the command gets its number as one argument more, and writes into FILE\n"
    "                     when it began and ended (stamp.h)\n";

struct Options {
    bool own_network = true;
    bool cgroups = true;
    int count = 0;
    int threads = 1;
    int at_a_time = 64;
    std::vector<int> live;
    std::string sleeper = "/pause";
    std::string stamps;
    std::string rootfs;
    std::vector<char*> command;
};

struct Container {
    std::atomic<int> pidfd{-1};
    bool stays = false;
    int64_t requested = 0;  // all by CLOCK_MONOTONIC, nanoseconds
    int64_t executed = 0;
    int64_t noticed = 0;
    int64_t cleaned = 0;
};

struct Kill {
    int live = 0;
    double milliseconds = 0;
};

struct Stage {
    int live = 0;
    int64_t up_from_ns = 0;
    int64_t up_at_ns = 0;
    long pss_kb = 0;
    double seconds = 0;
    std::vector<double> start_us;  // request to exec
    std::vector<double> first_us;  // request to the guest's first instruction
    std::vector<double> exit_us;   // the guest's last to the notice of its end
    std::vector<double> clean_us;  // the same until it is reaped and its cgroup gone
};

int64_t now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

double microseconds(int64_t nanoseconds) {
    return static_cast<double>(nanoseconds) / 1e3;
}

class Fleet {
  public:
    explicit Fleet(const Options& options);

    // Brings `count` more sleepers up: returns once the last of them has executed.
    void add_sleepers(int count);
    // Starts the command so often, and returns once each is reaped and its cgroup gone.
    void run_commands(int count);
    // Ends what still runs, by SIGKILL, and cleans up after it.
    Kill kill_all();
    // Lets the threads go.
    void finish();

    int live() const { return live_; }
    const std::vector<Container>& containers() const { return containers_; }

  private:
    [[noreturn]] void give_up(const char* step, int error);
    void open_cgroups();
    void open_epoll();
    void request(int count, bool stay);
    void launch_all();
    void launch(size_t index);
    int64_t start_process(Container& container, size_t index, int cgroup);
    void turn();
    void reap(size_t index);
    void remove_cgroup(size_t index);
    std::string cgroup_name(size_t index) const;

    const Options& options_;
    std::vector<Container> containers_;
    std::vector<std::thread> threads_;
    std::counting_semaphore<> permits_{0};
    std::atomic<size_t> next_{0};
    std::atomic<int> started_{0};
    std::atomic<bool> over_{false};
    int told_at_ = 0;  // started_ that `told_` is rung at
    int told_ = -1;
    int epoll_ = -1;
    int signals_ = -1;
    int cgroups_ = -1;
    int live_ = 0;
    int running_ = 0;    // of the current batch of commands, asked for and not yet cleaned
    bool rung_ = false;  // all sleepers are up
    bool killed_ = false;
    std::vector<char*> environment_{nullptr};
};

constexpr useconds_t kLandingUs = 50'000;  // in which launches under way come to their end
constexpr uint64_t kToldToken = UINT64_MAX;
constexpr uint64_t kSignalToken = UINT64_MAX - 1;

size_t total(const Options& options) {
    const int most = *std::max_element(options.live.begin(), options.live.end());
    return static_cast<size_t>(most) +
           options.live.size() * static_cast<size_t>(std::max(options.count, 0));
}

Fleet::Fleet(const Options& options) : options_(options), containers_(total(options)) {
    open_epoll();
    if (options.cgroups)
        open_cgroups();
    for (int i = 0; i < options.threads; ++i)
        threads_.emplace_back([this] { launch_all(); });
}

void Fleet::give_up(const char* step, int error) {
    std::fprintf(stderr, "sigil-floor-many: %s: %s\n", step, strerror(error));
    over_ = true;
    usleep(kLandingUs);
    kill_all();
    std::_Exit(kOwnFailure);
}

void Fleet::open_epoll() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    told_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    signals_ = signalfd(-1, &set, SFD_CLOEXEC);
    for (auto [file, token] : {std::pair{told_, kToldToken}, {signals_, kSignalToken}}) {
        epoll_event event = {EPOLLIN, {.u64 = token}};
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event) < 0)
            give_up("epoll_ctl", errno);
    }
}

void Fleet::open_cgroups() {
    for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        struct statfs info;
        if (statfs(path, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) {
            std::string own;
            std::ifstream lines("/proc/self/cgroup");
            for (std::string line; std::getline(lines, line);) {
                if (line.starts_with("0::"))
                    own = path + line.substr(3);
            }
            cgroups_ = open(own.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (cgroups_ >= 0)
                return;
        }
    }
    give_up("find a cgroup v2 (--cgroups off does without)", ENOENT);
}

std::string Fleet::cgroup_name(size_t index) const {
    return "floor-" + std::to_string(getpid()) + "-" + std::to_string(index);
}

void Fleet::launch_all() {
    for (;;) {
        permits_.acquire();
        if (over_)
            return;
        launch(next_.fetch_add(1));
    }
}

void Fleet::launch(size_t index) {
    Container& container = containers_[index];
    container.requested = now_ns();
    int cgroup = -1;
    if (cgroups_ >= 0) {
        const std::string name = cgroup_name(index);
        if (mkdirat(cgroups_, name.c_str(), 0755) < 0)
            give_up("make a cgroup", errno);
        cgroup = openat(cgroups_, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (cgroup < 0)
            give_up("open a cgroup", errno);
    }
    const int64_t pidfd = start_process(container, index, cgroup);
    container.executed = now_ns();
    if (cgroup >= 0)
        close(cgroup);
    container.pidfd = static_cast<int>(pidfd);
    const bool stays = container.stays;
    // From here on the container may be reaped at any time. One shot: a child that is being cloned
    // may hold the descriptor a moment longer, so that close() doesn't yet take it out of the
    // epoll.
    epoll_event event = {EPOLLIN | EPOLLONESHOT, {.u64 = index}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, static_cast<int>(pidfd), &event) < 0)
        give_up("watch a container", errno);
    if (stays && ++started_ == told_at_)
        eventfd_write(told_, 1);
}

int64_t Fleet::start_process(Container& container, size_t index, int cgroup) {
    alignas(16) char stack[kChildStack];
    char sleeper[256];
    char number[24];
    char* sleeping[] = {sleeper, nullptr};
    std::snprintf(sleeper, sizeof sleeper, "%s", options_.sleeper.c_str());
    std::snprintf(number, sizeof number, "%zu", index);
    std::vector<char*> command = options_.command;
    if (!options_.stamps.empty())
        command.push_back(number);
    command.push_back(nullptr);

    Plan plan = {options_.rootfs.c_str(), container.stays ? sleeping : command.data(),
                 const_cast<char**>(environment_.data()), options_.own_network, true};
    int pidfd = -1;
    clone_args arguments = clone_arguments(plan, &pidfd, stack, sizeof stack);
    if (cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = static_cast<uint64_t>(cgroup);
    }
    const long result = clone_child(&arguments, &plan);
    if (result < 0)
        give_up("clone3", static_cast<int>(-result));
    return pidfd;
}

void Fleet::request(int count, bool stay) {
    const size_t first = next_;
    for (size_t i = first; i < first + static_cast<size_t>(count); ++i)
        containers_[i].stays = stay;
}

void Fleet::add_sleepers(int count) {
    if (count <= 0)
        return;
    request(count, true);
    rung_ = false;
    told_at_ = started_ + count;
    live_ += count;
    permits_.release(count);
    while (!rung_)
        turn();
}

void Fleet::run_commands(int count) {
    request(count, false);
    const int window = options_.at_a_time > 0 ? std::min(options_.at_a_time, count) : count;
    int asked = window;
    running_ = window;
    permits_.release(window);
    while (running_ > 0) {
        const int before = running_;
        turn();
        const int more = std::min(before - running_, count - asked);
        if (more <= 0)
            continue;
        asked += more;
        running_ += more;
        permits_.release(more);
    }
}

// Waits once and handles what came.
void Fleet::turn() {
    epoll_event events[64];
    const int count = epoll_wait(epoll_, events, 64, -1);
    if (count < 0 && errno != EINTR)
        give_up("epoll_wait", errno);
    const int64_t now = now_ns();
    for (int i = 0; i < count; ++i) {
        const uint64_t token = events[i].data.u64;
        if (token == kSignalToken)
            give_up("stopped by a signal", EINTR);
        if (token == kToldToken) {
            eventfd_t value;
            eventfd_read(told_, &value);
            rung_ = true;
            continue;
        }
        containers_[token].noticed = now;
    }
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 < kSignalToken)
            reap(events[i].data.u64);
    }
}

void Fleet::reap(size_t index) {
    Container& container = containers_[index];
    const int pidfd = container.pidfd.exchange(-1);
    siginfo_t info = {};
    if (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) < 0)
        give_up("waitid", errno);
    close(pidfd);
    if (cgroups_ >= 0)
        remove_cgroup(index);
    container.cleaned = now_ns();
    if (container.stays)
        --live_;
    else
        --running_;
    const bool as_asked = container.stays ? killed_ : info.si_status == 0;
    if (!as_asked && !killed_) {
        std::fprintf(stderr, "sigil-floor-many: a container ended with %d\n", info.si_status);
        give_up("run", ECANCELED);
    }
}

// The last process has left its cgroup by the time it is reaped; not so everywhere.
void Fleet::remove_cgroup(size_t index) {
    const std::string name = cgroup_name(index);
    const int64_t patience = now_ns() + 1'000'000'000;
    while (unlinkat(cgroups_, name.c_str(), AT_REMOVEDIR) < 0) {
        if (errno != EBUSY || now_ns() > patience) {
            std::fprintf(stderr, "sigil-floor-many: rmdir %s: %s\n", name.c_str(), strerror(errno));
            return;
        }
        sched_yield();
    }
}

Kill Fleet::kill_all() {
    if (killed_)
        std::_Exit(kOwnFailure);
    killed_ = true;
    Kill result = {live_, 0};
    const int64_t start = now_ns();
    size_t left = 0;
    for (Container& container : containers_) {
        if (container.pidfd < 0)
            continue;
        syscall(SYS_pidfd_send_signal, container.pidfd.load(), SIGKILL, nullptr, 0);
        ++left;
    }
    for (size_t i = 0; left > 0 && i < containers_.size(); ++i) {
        if (containers_[i].pidfd < 0)
            continue;
        reap(i);
        --left;
    }
    result.milliseconds = static_cast<double>(now_ns() - start) / 1e6;
    return result;
}

void Fleet::finish() {
    over_ = true;
    permits_.release(options_.threads);
    for (std::thread& thread : threads_)
        thread.join();
}

long own_pss_kb() {
    std::ifstream lines("/proc/self/smaps_rollup");
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("Pss:"))
            return std::atol(line.c_str() + 4);
    }
    return 0;
}

const bench::Stamp* map_stamps(const Options& options) {
    if (options.stamps.empty())
        return nullptr;
    const int file = open(options.stamps.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    const long pages = static_cast<long>(total(options)) / bench::kStampsInPage + 1;
    if (file < 0 || ftruncate(file, pages * bench::kStampPage) < 0)
        fail("open", options.stamps.c_str(), -errno);
    void* memory = mmap(nullptr, static_cast<size_t>(pages * bench::kStampPage), PROT_READ,
                        MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        fail("map", options.stamps.c_str(), -errno);
    return static_cast<const bench::Stamp*>(memory);
}

Stage climb(Fleet& fleet, const Options& options, int live, size_t first,
            const bench::Stamp* stamps) {
    Stage stage;
    stage.live = live;
    stage.up_from_ns = now_ns();
    fleet.add_sleepers(live - fleet.live());
    stage.up_at_ns = now_ns();
    stage.pss_kb = own_pss_kb();
    first += static_cast<size_t>(live);
    const int64_t start = now_ns();
    fleet.run_commands(options.count);
    stage.seconds = static_cast<double>(now_ns() - start) / 1e9;
    for (size_t i = first; i < first + static_cast<size_t>(options.count); ++i) {
        const Container& one = fleet.containers()[i];
        stage.start_us.push_back(microseconds(one.executed - one.requested));
        if (stamps == nullptr)
            continue;
        stage.first_us.push_back(microseconds(stamps[i].began_ns - one.requested));
        stage.exit_us.push_back(microseconds(one.noticed - stamps[i].ended_ns));
        stage.clean_us.push_back(microseconds(one.cleaned - stamps[i].ended_ns));
    }
    return stage;
}

void print_series(const char* name, const std::vector<double>& samples) {
    if (samples.empty())
        return;
    const bench::Summary summary = bench::summarize(samples);
    std::printf(",\"%s\":{\"median\":%.1f,\"p10\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
                name, summary.median, summary.p10, summary.p90, summary.p99, summary.most);
}

void print(const Options& options, const std::vector<Stage>& stages, const Kill& killed) {
    std::printf("{\"threads\":%d,\"at_a_time\":%d,\"net\":\"%s\",\"cgroups\":%s,\"stages\":[",
                options.threads, options.at_a_time, options.own_network ? "none" : "host",
                options.cgroups ? "true" : "false");
    for (size_t i = 0; i < stages.size(); ++i) {
        const Stage& stage = stages[i];
        std::printf("%s{\"live\":%d,\"up_ms\":%.3f,\"up_at_us\":%ld,\"pss_kb\":%ld",
                    i > 0 ? "," : "", stage.live,
                    static_cast<double>(stage.up_at_ns - stage.up_from_ns) / 1e6,
                    static_cast<long>(stage.up_at_ns / 1000), stage.pss_kb);
        if (options.count > 0) {
            std::printf(",\"count\":%d,\"seconds\":%.6f,\"per_second\":%.1f", options.count,
                        stage.seconds, options.count / stage.seconds);
        }
        print_series("start_us", stage.start_us);
        print_series("first_us", stage.first_us);
        print_series("exit_us", stage.exit_us);
        print_series("clean_us", stage.clean_us);
        std::printf("}");
    }
    std::printf("],\"kill\":{\"live\":%d,\"ms\":%.3f}}\n", killed.live, killed.milliseconds);
}

[[noreturn]] void usage() {
    std::fputs(kUsage, stderr);
    std::exit(kOwnFailure);
}

std::vector<int> numbers(const char* text) {
    std::vector<int> result;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');)
        result.push_back(std::atoi(word.c_str()));
    if (result.empty() || !std::is_sorted(result.begin(), result.end()) || result.front() < 0)
        usage();
    return result;
}

bool one_of(const char* text, const char* yes, const char* no) {
    if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
        usage();
    return strcmp(text, yes) == 0;
}

void take(Options& options, int code, const char* value) {
    switch (code) {
        case 'n':
            options.own_network = one_of(value, "none", "host");
            break;
        case 'g':
            options.cgroups = one_of(value, "on", "off");
            break;
        case 'c':
            options.count = std::atoi(value);
            break;
        case 't':
            options.threads = std::clamp(std::atoi(value), 1, 256);
            break;
        case 'j':
            options.at_a_time = std::atoi(value);
            break;
        case 'l':
            options.live = numbers(value);
            break;
        case 's':
            options.sleeper = value;
            break;
        case 'm':
            options.stamps = value;
            break;
        default:
            usage();
    }
}

Options parse(int argc, char** argv) {
    static const option kOptions[] = {
        {"net", required_argument, nullptr, 'n'},
        {"cgroups", required_argument, nullptr, 'g'},
        {"count", required_argument, nullptr, 'c'},
        {"threads", required_argument, nullptr, 't'},
        {"live", required_argument, nullptr, 'l'},
        {"at-a-time", required_argument, nullptr, 'j'},
        {"sleeper", required_argument, nullptr, 's'},
        {"stamps", required_argument, nullptr, 'm'},
        {},
    };
    Options options;
    for (int code; (code = getopt_long(argc, argv, "+", kOptions, nullptr)) != -1;)
        take(options, code, optarg);
    if (argc - optind < 2)
        usage();
    options.rootfs = argv[optind];
    options.command.assign(argv + optind + 1, argv + argc);
    if (options.live.empty())
        options.live = {0};
    return options;
}

void raise_descriptor_limit() {
    rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int run(const Options& options) {
    raise_descriptor_limit();
    const bench::Stamp* stamps = map_stamps(options);
    Fleet fleet(options);
    std::vector<Stage> stages;
    for (int live : options.live) {
        const size_t earlier = stages.size() * static_cast<size_t>(options.count);
        stages.push_back(climb(fleet, options, live, earlier, stamps));
    }
    const Kill killed = fleet.kill_all();
    fleet.finish();
    print(options, stages, killed);
    return 0;
}

}  // namespace
}  // namespace sigil::floor

int main(int argc, char** argv) {
    return sigil::floor::run(sigil::floor::parse(argc, argv));
}
