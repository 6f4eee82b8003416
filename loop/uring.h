// The ring on io_uring(7).
#pragma once

#include <linux/time_types.h>

#include <deque>
#include <memory>
#include <unordered_map>

#include "loop/light_sleep.h"
#include "loop/read_buffers.h"
#include "loop/read_turns.h"
#include "loop/ring.h"

struct io_uring;
struct io_uring_cqe;
struct io_uring_sqe;

namespace sigil::loop {

class UringRing final : public Ring {
  public:
    // To be called, and the ring used, by one thread only (IORING_SETUP_SINGLE_ISSUER).
    // `buffer_ring`: whether to try for one (Linux 5.19), or to read after a poll as without.
    static Result<std::unique_ptr<UringRing>> open(unsigned entries, bool buffer_ring = true);
    ~UringRing() override;

    void poll(Token token, int fd, uint32_t events) override;
    void poll_on(Token token, int fd, uint32_t events) override;
    void timer(Token token, Time at) override;
    void read(Token token, int fd) override;
    void write(Token token, int fd, std::span<const char> bytes) override;
    void drop(std::span<const char> pages) override { light_sleep_.add(pages); }
    void cancel(Token token) override;
    Result<void> wait(std::vector<Completion>& completions) override;
    [[nodiscard]] std::string_view data(const Completion& completion) const override;
    void give_back(const Completion& completion) override;
    [[nodiscard]] const char* name() const override { return "io_uring"; }

  private:
    UringRing(std::unique_ptr<io_uring> ring, bool buffer_ring);
    io_uring_sqe* next_entry(Token token);
    io_uring_sqe* next_poll(Token token, int fd, uint32_t events);
    void hand_in(const ReadTurns::Read& read);
    void hand_in_queued();
    Result<void> enter(bool block);
    int submit_and_sleep();
    void reap(std::vector<Completion>& completions);
    Completion complete(const io_uring_cqe& entry);
    Completion read_polled(Token token, int32_t events);

    std::unique_ptr<io_uring> ring_;
    std::deque<__kernel_timespec> times_;  // read by the kernel when the timers are handed in

    LightSleep light_sleep_;

    bool buffer_ring_;
    std::unique_ptr<ReadBuffers> buffers_;  // from the first read on
    ReadTurns turns_;
    std::vector<Completion> made_;  // by the ring itself
    std::unordered_map<uint64_t, int>
        polled_;  // without a buffer ring: reads and their descriptors
};

}  // namespace sigil::loop
