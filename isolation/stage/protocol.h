// How a plan reaches the stage: a memfd, its number in argv[1], mapped at an address that the
// parent knows, so that the pointers in it are already right. The rest of one that is parked comes
// the same way, by its channel.
#pragma once

#include <stdint.h>

#include "isolation/step.h"

namespace sigil::isolation {

// Above what a static program's heap can reach, below where the kernel maps by itself.
inline constexpr uint64_t kPlanAddress = 0x1'0000'0000;
inline constexpr uint64_t kRestAddress = 0x2'0000'0000;

struct StagePlan {
    uint64_t size;  // of the whole, bytes
    const Step* setup;
    const Step* target;
    const Step* init;
    uint32_t setup_count;
    uint32_t target_count;
    uint32_t init_count;
    uint32_t is_parked;  // target and init come later
    int32_t root;
    int32_t channel;
};

}  // namespace sigil::isolation
