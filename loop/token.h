// What a completion belongs to: 64 bits that travel through the kernel as user_data and back.
// {source, operation, generation, slot}: the generation tells a completion for what a slot holds
// now from a late one for what it held before.
#pragma once

#include <stdint.h>

namespace sigil::loop {

enum class Source : uint8_t { none, signals, launcher, container, settling, fleet, lines };
inline constexpr int kSources = 7;

enum class Operation : uint8_t {
    none,        // nobody waits for it: the completion of a cancel
    readable,    // a descriptor of the source itself
    exit,        // the container's pidfd
    oom,         // its memory.events
    emptied,     // its cgroup.events
    grace_over,  // the timer of a stop
    timed_out,   // the timer of --timeout
    restart,     // the timer of a backoff
};
inline constexpr int kOperations = 8;

struct Token {
    Source source = Source::none;
    Operation operation = Operation::none;
    uint32_t generation = 0;  // 24 bits
    uint32_t slot = 0;        // 24 bits

    static constexpr uint32_t kMask = 0xffffff;

    [[nodiscard]] constexpr uint64_t pack() const {
        return uint64_t{static_cast<uint8_t>(source)} << 56 |
               uint64_t{static_cast<uint8_t>(operation)} << 48 |
               uint64_t{generation & kMask} << 24 | (slot & kMask);
    }
    static constexpr Token unpack(uint64_t bits) {
        return {static_cast<Source>(bits >> 56), static_cast<Operation>(bits >> 48 & 0xff),
                static_cast<uint32_t>(bits >> 24 & kMask), static_cast<uint32_t>(bits & kMask)};
    }
    [[nodiscard]] constexpr Token with(Operation other) const {
        return {source, other, generation, slot};
    }
    constexpr bool operator==(const Token&) const = default;
};

// What the ring says: a plain value, so that a test can make any sequence of them without a kernel.
struct Completion {
    Token token;
    int32_t result = 0;  // what the operation returned, or -errno
};

}  // namespace sigil::loop
