// The options of `sigil run`, and what they make of a command line.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cli/options.h"
#include "core/job.h"
#include "core/run_record.h"
#include "loop/open_ring.h"

namespace sigil::cli {

// Where the containers' stdout and stderr go.
enum class Output : uint8_t {
    automatic,  // inherit for one container, prefix for many
    inherit,    // sigil's own
    prefix,     // sigil's own, each line led by the container's name
    events,     // into --events
    discard,
};

// What happens while nobody takes what a container writes.
enum class LogPolicy : uint8_t {
    block,  // it waits
    drop,   // what it writes is lost, and counted
};

// Who tells the process manager that started sigil of readiness and the like ($NOTIFY_SOCKET).
enum class Notify : uint8_t {
    sigil,      // sigil: once the containers have started
    container,  // they, each over a socket of its own
    ignore,     // nobody
};

// Where --metrics listens.
struct MetricsAddress {
    std::string path;  // of a Unix socket; empty: TCP
    std::string host;
    uint16_t port = 0;
};

// What a command line of `sigil run` asks for.
struct RunRequest {
    // The one container; with `count` each of them; with `from` the defaults of each line. For
    // many, spec.name is only what numbered names start with, and spec.hostname is empty unless
    // given.
    Job job;

    std::optional<uint64_t> count;    // --count
    std::optional<std::string> from;  // --from
    std::optional<uint64_t> jobs;     // --jobs
    std::string seccomp;  // --seccomp; of each container; empty: as it is privileged or not
    bool fail_fast = false;
    bool tty = false;
    std::optional<std::string> detach_keys;  // as they are sent
    uint64_t warm = 0;
    std::optional<uint64_t> launchers;

    Output output = Output::automatic;
    LogPolicy log_policy = LogPolicy::block;
    std::optional<std::string> log_dir;
    std::optional<uint64_t> log_max_size;   // --log-max-size, bytes
    std::optional<uint64_t> log_max_files;  // --log-max-files
    std::optional<std::string> events;
    std::optional<std::string> report;
    std::optional<MetricsAddress> metrics;
    Notify notify = Notify::sigil;
    std::optional<int> notification_fd;                   // --notification-fd
    std::string root;                                     // --root; else the one before the command
    loop::RingChoice ring = loop::RingChoice::automatic;  // --ring, or else $SIGIL_RING
    bool quiet = false;
    bool wants_help = false;

    [[nodiscard]] bool is_many() const { return count || from; }
};

std::span<const Option<RunRequest>> run_options();
// Options, then the command; the defaults filled in.
Result<RunRequest> parse_run(std::span<const char* const> arguments);

// What must hold of a job beyond each option by itself. `dashes` leads the names of options: "--",
// or nothing where they are keys of JSON.
Result<void> check_job(const Job& job, std::string_view dashes);
// Names it BASE-NUMBER; the hostname too, unless it has one.
Result<void> number_job(Job& job, std::string_view base, uint64_t number);

}  // namespace sigil::cli
