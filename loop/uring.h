// The ring on io_uring(7).
#pragma once

#include <linux/time_types.h>

#include <deque>
#include <memory>

#include "loop/ring.h"

struct io_uring;
struct io_uring_sqe;

namespace sigil::loop {

class UringRing final : public Ring {
  public:
    // To be called, and the ring used, by one thread only (IORING_SETUP_SINGLE_ISSUER).
    static Result<std::unique_ptr<UringRing>> open(unsigned entries);
    ~UringRing() override;

    void poll(Token token, int fd, uint32_t events) override;
    void timer(Token token, Time at) override;
    void cancel(Token token) override;
    Result<void> wait(std::vector<Completion>& completions) override;

  private:
    explicit UringRing(std::unique_ptr<io_uring> ring);
    io_uring_sqe* next_entry(Token token);

    std::unique_ptr<io_uring> ring_;
    std::deque<__kernel_timespec> times_;  // read by the kernel when the timers are handed in
};

}  // namespace sigil::loop
