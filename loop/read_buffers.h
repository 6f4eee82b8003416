// The buffers that reads of a ring come in. io_uring takes one when there are bytes for it, out of
// a ring that it shares with us (IORING_REGISTER_PBUF_RING, Linux 5.19); elsewhere we do.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <span>
#include <string_view>
#include <vector>

#include "loop/token.h"

struct io_uring;
struct io_uring_buf_ring;

namespace sigil::loop {

class ReadBuffers {
  public:
    static constexpr unsigned kCount = 64;  // a power of two, for the kernel
    static constexpr size_t kSize = 4096;   // a pipe has a page in each of its own
    static constexpr uint16_t kGroup = 0;

    // Registers them with the ring, which outlives them; where the kernel refuses, or there is
    // none, they are ours to take.
    explicit ReadBuffers(io_uring* ring);
    ReadBuffers(const ReadBuffers&) = delete;
    ReadBuffers& operator=(const ReadBuffers&) = delete;
    ~ReadBuffers();

    [[nodiscard]] bool shared() const { return shared_ != nullptr; }
    // How many are neither taken by a completion that was reaped nor with a handler.
    [[nodiscard]] unsigned free() const { return free_; }
    // The bytes of a read that has completed.
    [[nodiscard]] std::string_view data(const Completion& completion) const;

    // The kernel took one.
    void taken() { --free_; }
    // Where they aren't shared: reads what is there into a free one; without one, -ENOBUFS.
    Completion read(Token token, int fd);
    void give_back(const Completion& completion);

  private:
    [[nodiscard]] std::span<char> bytes(uint16_t buffer) const;
    void give_back(uint16_t buffer);

    io_uring* ring_;
    char* memory_;
    io_uring_buf_ring* shared_ = nullptr;
    std::vector<uint16_t> own_;  // the free ones, where they aren't shared
    unsigned free_ = 0;
};

}  // namespace sigil::loop
