#include "memory.h"

#include <signal.h>

#include <algorithm>
#include <sstream>

#include "failure.h"

namespace sigil::bench {

namespace {

constexpr char kGuest[] = "/pause";
constexpr char kGuestName[] = "pause";
constexpr int kPatienceMs = 10'000;
constexpr int kStepMs = 10;
// PID 1 may become what it stays (sigil's init) only once the guest runs.
constexpr int kSettleMs = 300;

// The last number of NSpid is the process's number in its own namespace.
bool is_first_in_namespace(pid_t process) {
    std::istringstream status(read_file(fmt::format("/proc/{}/status", process)));
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("NSpid:"))
            continue;
        return line.ends_with("\t1") && std::count(line.begin(), line.end(), '\t') > 1;
    }
    return false;
}

std::vector<pid_t> guests_below(pid_t root) {
    std::vector<pid_t> guests = tree_of(root);
    std::erase_if(guests, [](pid_t process) { return name_of(process) != kGuestName; });
    return guests;
}

void await_guest(pid_t root, const Contestant& contestant, const Runner& runner) {
    for (int waited = 0; guests_below(root).empty(); waited += kStepMs) {
        if (waited > kPatienceMs) {
            kill(root, SIGKILL);
            fail("{} starts no guest: {}", contestant.name, runner.take_errors());
        }
        sleep_ms(kStepMs);
    }
    sleep_ms(kSettleMs);
}

ProcessMemory look_at(pid_t process, pid_t root) {
    ProcessMemory memory;
    memory.name = name_of(process);
    const bool is_guest = memory.name == kGuestName;
    const bool is_first = is_first_in_namespace(process);
    memory.role = process == root ? "supervisor"
                  : is_guest      ? "guest"
                  : is_first      ? "pid 1"
                                  : "helper";
    const std::string rollup = read_file(fmt::format("/proc/{}/smaps_rollup", process));
    memory.pss_kb = field_of(rollup, "Pss:");
    memory.rss_kb = field_of(rollup, "Rss:");
    return memory;
}

MemoryRow measure_one(Field& field, const Contestant& contestant, const Runner& runner) {
    MemoryRow row;
    row.name = contestant.name;
    const pid_t root = runner.spawn(field.command(contestant, Network::kNone, {kGuest}));
    await_guest(root, contestant, runner);
    for (pid_t process : tree_of(root)) {
        const ProcessMemory memory = look_at(process, root);
        if (memory.role == "supervisor")
            row.supervisor_kb = memory.pss_kb;
        if (memory.role == "pid 1")
            row.init_kb = memory.pss_kb;
        if (memory.role != "guest")
            row.around_kb += memory.pss_kb;
        row.processes.push_back(memory);
    }
    for (pid_t guest : guests_below(root))
        kill(guest, SIGKILL);
    const int code = runner.wait(root).code;
    const std::string errors = runner.take_errors();
    if (code != 128 + SIGKILL) {
        fail("{} ended with {}, not {}, when its guest was killed: {}", contestant.name, code,
             128 + SIGKILL, errors);
    }
    return row;
}

}  // namespace

MemorySection measure_memory(Field& field, const Runner& runner) {
    MemorySection section;
    for (const Contestant& contestant : field.contestants()) {
        const MemoryRow row = measure_one(field, contestant, runner);
        section.rows.push_back(row);
        if (contestant.name != "sigil")
            continue;
        section.bars.push_back({"sigil", "its supervisor's PSS, KB",
                                static_cast<double>(row.supervisor_kb), kSupervisorKilobytes});
        if (row.init_kb < 0)
            continue;
        section.bars.push_back(
            {"sigil", "its PID 1's PSS, KB", static_cast<double>(row.init_kb), kInitKilobytes});
    }
    return section;
}

}  // namespace sigil::bench
