// The child half of a launch whose parent does not wait for its end (`create`, `exec`, a container
// made ahead of need), or has to do something meanwhile (id maps, hooks, a terminal): the
// interpreter of bootstrap.cc as a program of its own.
//
// Its parent has cloned sharing memory, as for any launch, and executed this from a sealed memfd at
// once. So nothing of the parent's memory is copied, a created container waits for its start in
// a few KB, and what the container sees as /proc/self/exe is not the file of a program of the host:
// there is nothing to overwrite (CVE-2019-5736).
//
// argv[1]: the descriptor of the plan, a StagePlan.
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "core/exit_code.h"
#include "core/raw_syscall.h"
#include "isolation/bootstrap.h"
#include "isolation/meeting.h"
#include "isolation/stage/protocol.h"

namespace {

using namespace sigil;
using namespace sigil::isolation;

constexpr size_t kStackSize = 24UL * 1024;
alignas(16) char second_stack[kStackSize];
LaunchReport report;

[[noreturn]] void leave() {
    for (;;)
        raw::call(__NR_exit_group, kExitRuntimeFailure);
}

int parse(const char* text) {
    int number = 0;
    for (; *text >= '0' && *text <= '9'; ++text)
        number = number * 10 + (*text - '0');
    return number;
}

const StagePlan* map_plan(int fd, uint64_t address) {
    StagePlan head = {};
    if (raw::call(__NR_pread64, fd, &head, sizeof head, 0) != sizeof head)
        leave();
    const long mapped = raw::call(__NR_mmap, address, head.size, PROT_READ,
                                  MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
    if (mapped != static_cast<long>(address))
        leave();
    raw::call(__NR_close, fd);
    return reinterpret_cast<const StagePlan*>(address);
}

// The first descriptor is the plan's.
long await_rest(Bootstrap& rest) {
    PlanDescriptors descriptors = {-1, -1, -1, -1};
    const long count = await_descriptors(rest.channel, descriptors);
    if (count < 1)
        return count < 0 ? count : -EBADMSG;
    const StagePlan* plan = map_plan(descriptors[0], kRestAddress);
    rest.target = {plan->target, plan->target_count};
    rest.init = {plan->init, plan->init_count};
    for (size_t index = 1; index < descriptors.size(); ++index)
        rest.passed[index - 1] = descriptors[index];
    return 0;
}

}  // namespace

extern "C" [[noreturn]] void stage_main(const long* stack) {
    auto* const* arguments = reinterpret_cast<const char* const*>(stack + 1);
    if (stack[0] < 2)
        leave();
    const StagePlan* plan = map_plan(parse(arguments[1]), kPlanAddress);
    // Its end tells the parent that the command's execve has succeeded.
    raw::call(__NR_fcntl, plan->channel, F_SETFD, FD_CLOEXEC);
    const Bootstrap bootstrap = {
        .setup = {plan->setup, plan->setup_count},
        .target = {plan->target, plan->target_count},
        .init = {plan->init, plan->init_count},
        .await_rest = plan->is_parked ? await_rest : nullptr,
        .root = plan->root,
        .report = &report,
        .channel = plan->channel,
        .second_stack = second_stack,
        .second_stack_size = sizeof second_stack,
    };
    run_bootstrap(bootstrap);
}

// The compiler may call these for an initialisation or an assignment.
extern "C" void* memset(void* to, int value, size_t count) {
    auto* bytes = static_cast<volatile char*>(to);
    for (size_t index = 0; index < count; ++index)
        bytes[index] = static_cast<char>(value);
    return to;
}

extern "C" void* memcpy(void* to, const void* from, size_t count) {
    auto* target = static_cast<volatile char*>(to);
    const auto* source = static_cast<const char*>(from);
    for (size_t index = 0; index < count; ++index)
        target[index] = source[index];
    return to;
}

asm(R"(
    .globl _start
_start:
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call stage_main
)");
