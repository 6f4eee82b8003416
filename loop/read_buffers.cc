#include "loop/read_buffers.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <new>

#include "core/sys.h"

namespace sigil::loop {
namespace {

// Pages of their own: the kernel wants the shared ring aligned to one, and a buffer that is never
// taken stays untouched, and so without memory.
char* map(size_t size) {
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {  // as where new fails
        if (const std::new_handler handler = std::get_new_handler())
            handler();
        ::abort();
    }
    return static_cast<char*>(memory);
}

constexpr size_t kRingSize = ReadBuffers::kCount * sizeof(io_uring_buf);
constexpr size_t kRingPages = (kRingSize + 4095) / 4096 * 4096;
constexpr size_t kMapped = kRingPages + ReadBuffers::kCount * ReadBuffers::kSize;

}  // namespace

ReadBuffers::ReadBuffers(io_uring* ring) : ring_(ring), memory_(map(kMapped)) {
    if (ring_) {
        io_uring_buf_reg registration = {};
        registration.ring_addr = reinterpret_cast<uint64_t>(memory_);
        registration.ring_entries = kCount;
        registration.bgid = kGroup;
        if (io_uring_register_buf_ring(ring_, &registration, 0) == 0) {
            shared_ = reinterpret_cast<io_uring_buf_ring*>(memory_);
            io_uring_buf_ring_init(shared_);
        }
    }
    for (uint16_t buffer = 0; buffer < kCount; ++buffer)
        give_back(buffer);
}

ReadBuffers::~ReadBuffers() {
    if (shared_)
        io_uring_unregister_buf_ring(ring_, kGroup);
    ::munmap(memory_, kMapped);
}

std::span<char> ReadBuffers::bytes(uint16_t buffer) const {
    return {memory_ + kRingPages + buffer * kSize, kSize};
}

std::string_view ReadBuffers::data(const Completion& completion) const {
    if (completion.buffer == Completion::kNoBuffer || completion.result <= 0)
        return {};
    return {bytes(completion.buffer).data(), static_cast<size_t>(completion.result)};
}

Completion ReadBuffers::read(Token token, int fd) {
    if (free_ == 0)
        return {token, -ENOBUFS};
    const uint16_t buffer = own_.back();
    own_.pop_back();
    --free_;
    auto count = sys::read(fd, bytes(buffer));
    return {token, count ? static_cast<int32_t>(*count) : -count.error().code(), buffer};
}

void ReadBuffers::give_back(const Completion& completion) {
    if (completion.buffer != Completion::kNoBuffer)
        give_back(completion.buffer);
}

void ReadBuffers::give_back(uint16_t buffer) {
    ++free_;
    if (!shared_) {
        own_.push_back(buffer);
        return;
    }
    io_uring_buf_ring_add(shared_, bytes(buffer).data(), kSize, buffer,
                          io_uring_buf_ring_mask(kCount), 0);
    io_uring_buf_ring_advance(shared_, 1);
}

}  // namespace sigil::loop
