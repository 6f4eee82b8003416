// What a run is doing, for Prometheus: its text format, over HTTP/1.1 on a port or a Unix socket,
// from the supervisor's own loop.
//
//     GET /metrics HTTP/1.1   ─▶  200, in chunks; the connection is closed after it
//
// An answer is made as it is taken: some containers at a time, a file of the cgroup for each
// figure. So a scrape of many neither takes memory for all of them nor holds the loop up.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cli/run_options.h"
#include "cli/streams.h"
#include "core/error.h"
#include "core/fd.h"
#include "isolation/cgroup_host.h"
#include "loop/fleet.h"
#include "loop/line_server.h"

namespace sigil::cli {

// A label's value as it stands between quotes.
std::string escaped_label(std::string_view value);

// Listens from before anything has started, so that its failure is an error. A Unix socket's file
// goes with it.
class MetricsSocket {
  public:
    static Result<MetricsSocket> open(const MetricsAddress& address);
    MetricsSocket(MetricsSocket&& other) noexcept
        : socket_(std::move(other.socket_)), path_(std::exchange(other.path_, {})) {}
    MetricsSocket& operator=(MetricsSocket&&) = delete;
    ~MetricsSocket();
    Fd take() { return std::move(socket_); }

  private:
    MetricsSocket(Fd socket, std::string path)
        : socket_(std::move(socket)), path_(std::move(path)) {}

    Fd socket_;
    std::string path_;  // empty: TCP
};

class Metrics final : private loop::LineServer::Client {
  public:
    // All outlive it.
    struct Sources {
        const loop::Fleet& fleet;
        const JobStreams* streams;             // null: there are none
        const isolation::CgroupHost* cgroups;  // null: the machine has no cgroup v2
    };

    Metrics(loop::Reactor& reactor, const Sources& sources);
    void listen(Fd socket) { server_.listen(std::move(socket)); }
    void finish() { server_.shut(); }

  private:
    struct Container {
        std::string id;
        std::string cgroup;
    };
    // An HTTP request as far as it has come, and then how much of its answer is made.
    struct Peer {
        bool has_begun = false;
        bool has_host = false;
        bool is_answering = false;
        int status = 200;
        unsigned headers = 0;
        std::vector<Container> containers;
        size_t family = 0;
        size_t next = 0;  // of the containers
    };

    void request(loop::Token token, std::string_view line) override;
    void overlong(loop::Token token) override;
    void flushed(loop::Token token) override;
    void left(loop::Token token) override { peers_.erase(token.pack()); }

    void answer(loop::Token token, Peer& peer);
    [[nodiscard]] std::string run_families() const;
    std::string next_part(Peer& peer) const;

    Sources sources_;
    loop::LineServer server_;
    std::unordered_map<uint64_t, Peer> peers_;
};

}  // namespace sigil::cli
