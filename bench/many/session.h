// One `sigil run` that is fed and watched while it runs: jobs as JSON lines into its standard
// input, events as JSON lines out of a FIFO.

#pragma once

#include <map>
#include <string>

#include <rapidjson/document.h>

#include "many/setup.h"

namespace sigil::bench {

class Session {
  public:
    enum class Events { kOff, kOn };

    // Starts sigil with these words (sigil_words()); its events, if wanted, are added.
    Session(const Setup& setup, Command words, const Command& guest, Events events);
    // Kills it, and with it its containers, if it still runs.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Queues a line of {"id": ID, "args": [...]}; flush() writes what is queued.
    void add_job(const std::string& id, const Command& guest);
    void flush();
    void close_input();

    // Waits until `total` events of this kind have come since the start.
    void await(const std::string& kind, int total);
    // Waits until the container has ended; its `exited` event.
    const rapidjson::Document& await_exit(const std::string& id);
    int count(const std::string& kind) const;
    // mono_us of the latest event of this kind.
    double latest_us(const std::string& kind) const;

    // Waits for sigil's own end; its exit code.
    int wait();
    // SIGTERM, and the milliseconds until sigil has ended.
    double stop();

    pid_t pid() const { return process_; }
    int64_t spawned_ns() const { return spawned_ns_; }

  private:
    void close_all();
    void pump(bool wants_to_write);
    void read_events();
    void take_event(const char* line, size_t size);
    [[noreturn]] void fail_with(const std::string& what);

    const Runner& runner_;
    std::string fifo_;
    pid_t process_ = -1;
    int pidfd_ = -1;
    int input_ = -1;
    int events_ = -1;
    int64_t spawned_ns_ = 0;
    std::string outbox_;
    std::string inbox_;
    std::map<std::string, int> counts_;
    std::map<std::string, double> latest_us_;
    std::string exited_id_;
    rapidjson::Document exited_;
};

}  // namespace sigil::bench
