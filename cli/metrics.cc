#include "cli/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/stream_socket.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_meter.h"

namespace sigil::cli {
namespace {

using isolation::CgroupMeter;

constexpr unsigned kMostHeaders = 64;
constexpr size_t kAtATime = 100;  // containers

// A family of metrics of which each container has one: read from its cgroup. Nothing: it has none.
struct Family {
    const char* name;
    const char* type;
    const char* help;
    bool (CgroupMeter::*read)(CgroupMeter::Reading& into);
    std::optional<double> (*value)(const CgroupMeter::Reading& now);
};

std::optional<double> number(std::optional<uint64_t> value) {
    if (!value || *value == UINT64_MAX)  // a limit that isn't there
        return std::nullopt;
    return static_cast<double>(*value);
}

using Now = const CgroupMeter::Reading&;

constexpr std::array kFamilies = {
    Family{"sigil_container_cpu_seconds_total", "counter",
           "Processor time that the container has used.", &CgroupMeter::read_cpu,
           [](Now now) -> std::optional<double> {
               constexpr double kMicroseconds = 1e6;  // in a second
               return static_cast<double>(now.cpu) / kMicroseconds;
           }},
    Family{"sigil_container_memory_bytes", "gauge", "Memory in use (memory.current).",
           &CgroupMeter::read_memory, [](Now now) { return number(now.memory); }},
    Family{"sigil_container_memory_limit_bytes", "gauge",
           "Limit of memory (memory.max); absent where there is none.", &CgroupMeter::read_limits,
           [](Now now) { return number(now.memory_limit); }},
    Family{"sigil_container_pids", "gauge", "Processes and threads (pids.current).",
           &CgroupMeter::read_pids, [](Now now) { return number(now.pids); }},
    Family{"sigil_container_io_read_bytes_total", "counter", "Bytes read from block devices.",
           &CgroupMeter::read_io, [](Now now) { return number(now.read_bytes); }},
    Family{"sigil_container_io_written_bytes_total", "counter", "Bytes written to block devices.",
           &CgroupMeter::read_io, [](Now now) { return number(now.written_bytes); }},
    Family{"sigil_container_pressure_ratio", "gauge",
           "Share of the last 10 s that some process waited for a processor, memory or a disk, "
           "whichever is highest (PSI, some avg10).",
           &CgroupMeter::read_pressure,
           [](Now now) -> std::optional<double> {
               return now.pressure ? std::optional(*now.pressure / 100) : std::nullopt;
           }},
};

std::string head(const char* name, const char* type, std::string_view help) {
    return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

std::string single(const char* name, const char* type, std::string_view help, uint64_t value) {
    return head(name, type, help) + fmt::format("{} {}\n", name, value);
}

const char* reason(int status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 431:
            return "Request Header Fields Too Large";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "OK";
    }
}

// What is wrong with "GET /metrics HTTP/1.1"; 200: nothing.
int status_of(std::string_view line) {
    std::string_view rest = line;
    const std::string_view method = take_part(rest, ' ');
    std::string_view target = take_part(rest, ' ');
    if (method.empty() || target.empty() || !rest.starts_with("HTTP/"))
        return 400;
    if (rest != "HTTP/1.1")  // an older client knows no chunks
        return 505;
    if (method != "GET")
        return 405;
    return take_part(target, '?') == "/metrics" ? 200 : 404;
}

std::string lower(std::string_view text) {
    std::string small(text);
    for (char& letter : small)
        if (letter >= 'A' && letter <= 'Z')
            letter = static_cast<char>(letter - 'A' + 'a');
    return small;
}

std::string chunk(std::string_view text) {
    return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}

}  // namespace

std::string escaped_label(std::string_view value) {
    std::string escaped;
    for (const char letter : value) {
        if (letter == '\\' || letter == '"')
            escaped += '\\';
        escaped += letter == '\n' ? std::string("\\n") : std::string(1, letter);
    }
    return escaped;
}

Result<MetricsSocket> MetricsSocket::open(const MetricsAddress& address) {
    const std::string& path = address.path;
    if (path.empty())
        return MetricsSocket(TRY(listen_tcp(address.host, address.port), "listen on {} port {}",
                                 address.host, address.port),
                             path);
    auto socket = listen_unix(AT_FDCWD, path);
    if (!socket && socket.error().is(EADDRINUSE)) {
        // One that a killed run has left: nobody listens there.
        auto other = connect_unix(AT_FDCWD, path);
        if (!other && other.error().is(ECONNREFUSED) && sys::unlinkat(AT_FDCWD, path.c_str()))
            socket = listen_unix(AT_FDCWD, path);
    }
    return MetricsSocket(TRY(std::move(socket), "listen on {}", printable(path)), path);
}

MetricsSocket::~MetricsSocket() {
    if (!path_.empty())
        (void)sys::unlinkat(AT_FDCWD, path_.c_str());
}

Metrics::Metrics(loop::Reactor& reactor, const Sources& sources)
    : sources_(sources),
      server_(reactor, *this, loop::Source::metrics,
              {.refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                          "Connection: close\r\n\r\n"}) {}

// ---- requests -----------------------------------------------------------------------------------

// RFC 9112. A body, which no GET needs, is refused.
void Metrics::request(loop::Token token, std::string_view line) {
    Peer& peer = peers_[token.pack()];
    if (peer.is_answering)
        return;
    if (!std::exchange(peer.has_begun, true)) {
        peer.status = status_of(line);
        return;
    }
    if (line.empty()) {
        if (peer.status == 200 && !peer.has_host)
            peer.status = 400;
        return answer(token, peer);
    }
    const size_t colon = line.find(':');
    const std::string name = lower(line.substr(0, colon));
    if (colon == std::string_view::npos || name.empty() ||
        name.find_first_of(" \t") != std::string::npos || name == "content-length" ||
        name == "transfer-encoding")
        peer.status = 400;
    else if (++peer.headers > kMostHeaders)
        peer.status = 431;
    peer.has_host = peer.has_host || name == "host";
}

void Metrics::overlong(loop::Token token) {
    Peer& peer = peers_[token.pack()];
    if (peer.is_answering)
        return server_.close(token);
    peer.status = 431;
    answer(token, peer);
}

void Metrics::answer(loop::Token token, Peer& peer) {
    peer.is_answering = true;
    if (peer.status != 200) {
        const int status = peer.status;
        server_.send(token,
                     fmt::format("HTTP/1.1 {} {}\r\n{}Content-Length: 0\r\n"
                                 "Connection: close\r\n\r\n",
                                 status, reason(status), status == 405 ? "Allow: GET\r\n" : ""));
        return server_.close(token);
    }
    if (sources_.cgroups)
        sources_.fleet.for_each_cgroup([&peer](const std::string& id, const std::string& cgroup) {
            peer.containers.push_back({id, cgroup});
        });
    server_.send(token,
                 "HTTP/1.1 200 OK\r\n"
                 "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                 "Transfer-Encoding: chunked\r\n"
                 "Connection: close\r\n\r\n" +
                     chunk(run_families()));
}

// ---- answers ------------------------------------------------------------------------------------

void Metrics::flushed(loop::Token token) {
    const auto found = peers_.find(token.pack());
    if (found == peers_.end() || !found->second.is_answering)
        return;
    Peer& peer = found->second;
    std::string part;
    while (part.empty() && peer.family < kFamilies.size())
        part = next_part(peer);
    if (!part.empty())
        return server_.send(token, chunk(part));
    server_.send(token, "0\r\n\r\n");
    server_.close(token);
}

std::string Metrics::run_families() const {
    const loop::Fleet& fleet = sources_.fleet;
    const loop::Summary& summary = fleet.summary();
    std::string text;
    text += head("sigil_build_info", "gauge", "The version of sigil.") +
            "sigil_build_info{version=\"" SIGIL_VERSION "\"} 1\n";
    text += single("sigil_containers_running", "gauge", "Containers that run.", fleet.running());
    text += single("sigil_containers_started_total", "counter",
                   "Starts of containers, restarts among them.", summary.started);
    text += head("sigil_containers_ended_total", "counter",
                 "Containers that have ended for good, by the cause of their last end.");
    for (int cause = 0; cause < loop::kCauses; ++cause)
        text += fmt::format("sigil_containers_ended_total{{cause=\"{}\"}} {}\n",
                            loop::name(static_cast<loop::Cause>(cause)),
                            summary.causes[static_cast<size_t>(cause)]);
    text += single("sigil_containers_rejected_total", "counter",
                   "Containers that were never started: lines that cannot be read, cycles.",
                   summary.rejected);
    text += single("sigil_restarts_total", "counter", "Restarts of containers.", summary.restarts);
    text += single("sigil_containers_out_of_memory_total", "counter",
                   "Containers that have ended for good and had lost a process for want of memory.",
                   summary.out_of_memory);
    if (sources_.streams)
        if (const auto lost = sources_.streams->all_lost())
            text += single("sigil_log_lost_bytes_total", "counter",
                           "Output of containers that could not be written to their logs.",
                           lost->bytes);
    return text;
}

// Of one family some containers; moves on to the next family behind the last.
std::string Metrics::next_part(Peer& peer) const {
    const Family& family = kFamilies[peer.family];
    std::string text;
    if (peer.next == 0)
        text = head(family.name, family.type, family.help);
    const size_t end = std::min(peer.next + kAtATime, peer.containers.size());
    for (; peer.next < end; ++peer.next) {
        const Container& container = peer.containers[peer.next];
        CgroupMeter meter(sources_.cgroups->root(), container.cgroup);
        CgroupMeter::Reading now;
        if (!(meter.*family.read)(now))
            continue;  // it has ended
        if (const auto value = family.value(now))
            text += fmt::format("{}{{id=\"{}\"}} {}\n", family.name, escaped_label(container.id),
                                *value);
    }
    if (peer.next == peer.containers.size()) {
        peer.next = 0;
        ++peer.family;
    }
    return text;
}

}  // namespace sigil::cli
