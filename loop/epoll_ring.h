// The ring on epoll(7), for hosts that have io_uring switched off. A read or write is done when its
// descriptor is ready for it; a file that can't be waited for (epoll_ctl(2): EPERM) always is. What
// is slow with a regular file is therefore slow for the loop, where io_uring has a worker for it.
#pragma once

#include <sys/epoll.h>

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/fd.h"
#include "loop/light_sleep.h"
#include "loop/read_buffers.h"
#include "loop/read_turns.h"
#include "loop/ring.h"

namespace sigil::loop {

class EpollRing final : public Ring {
  public:
    static Result<std::unique_ptr<EpollRing>> open();

    void poll(Token token, int fd, uint32_t events) override;
    void timer(Token token, Time at) override;
    void read(Token token, int fd) override;
    void write(Token token, int fd, std::span<const char> bytes) override;
    void drop(std::span<const char> pages) override { light_sleep_.add(pages); }
    void cancel(Token token) override;
    Result<void> wait(std::vector<Completion>& completions) override;
    [[nodiscard]] std::string_view data(const Completion& completion) const override;
    void give_back(const Completion& completion) override;
    [[nodiscard]] const char* name() const override { return "epoll"; }

  private:
    using Key = uint64_t;  // a packed token
    enum class Kind : uint8_t { poll, timer, read, write };
    struct Asked {
        Kind kind;
        int fd = -1;
        uint32_t events = 0;     // that it waits for
        Time at{};               // of a timer
        std::string_view bytes;  // of a write
    };
    // All that wait for one descriptor: epoll has one registration for it. Gone with the last of
    // them, so that none is left of a descriptor that is closed.
    struct Watch {
        uint32_t generation;  // tells its events from those of a registration before it
        std::vector<Key> keys;
    };
    using Watches = std::unordered_map<int, Watch>;

    explicit EpollRing(Fd epoll) : epoll_(std::move(epoll)) {}
    void watch(Token token, const Asked& asked);
    Result<void> arm(int fd, const Watch& watch, int operation);
    void give_up(Watches::iterator at, int code);
    void unwatch(int fd, Key key);
    size_t sleep_lightly(std::span<epoll_event> events, std::optional<Time> timeout);
    void on_event(int fd, uint32_t generation, uint32_t events);
    bool try_complete(Key key, uint32_t events);
    void complete_unwatched(Key key);
    void complete(Key key, int32_t result);
    void complete_read(Key key, int fd);
    bool complete_write(Key key, const Result<size_t>& taken);
    void expire_timers();
    [[nodiscard]] std::optional<Time> time_left() const;

    Fd epoll_;
    std::unordered_map<Key, Asked> asked_;  // what is in flight
    Watches watched_;
    std::set<std::pair<Time, Key>> timers_;
    uint32_t generation_ = 0;
    LightSleep light_sleep_;
    std::optional<ReadBuffers> buffers_;  // from the first read on
    ReadTurns turns_;
    std::vector<Completion> made_;  // to be told by the next wait()
};

}  // namespace sigil::loop
