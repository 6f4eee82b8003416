// What a completion belongs to: 64 bits that travel through the kernel as user_data and back.
// {source, operation, generation, slot}: the generation tells a completion for what a slot holds
// now from a late one for what it held before.
#pragma once

#include <stdint.h>

namespace sigil::loop {

enum class Source : uint8_t {
    none,
    signals,
    launcher,
    container,
    settling,
    fleet,
    lines,
    output,
    events,
    reports,
    terminal,
    notifier,
    relay,
    logs,
    control,
    metrics,
};
inline constexpr int kSources = 16;

enum class Operation : uint8_t {
    none,          // nobody waits for it: the completion of a cancel
    readable,      // a descriptor of the source itself
    exit,          // the container's pidfd
    oom,           // its memory.events
    emptied,       // its cgroup.events
    grace_over,    // the timer of a stop
    timed_out,     // the timer of --timeout
    restart,       // the timer of a backoff
    read_out,      // the pipe of a container's stdout
    read_err,      // and of its stderr
    write,         // to where output goes
    writable,      // the same, once it takes more
    end_of_input,  // the timer of a terminal's
    connection,    // a listening socket
};
inline constexpr int kOperations = 14;

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
    static constexpr uint16_t kNoBuffer = UINT16_MAX;

    Token token;
    int32_t result = 0;           // what the operation returned, or -errno
    uint16_t buffer = kNoBuffer;  // of the ring's, with the bytes of a read
    bool more = false;            // of a poll_on: it is in flight still
};

}  // namespace sigil::loop
