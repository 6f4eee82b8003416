#include "loop/settling.h"

#include <stdint.h>
#include <sys/mman.h>

// From the linker: where the program's text begins and ends (end(3)).
extern "C" const char __executable_start[];
extern "C" const char etext[];

namespace sigil::loop {
namespace {

constexpr Token kTimer = {Source::settling, Operation::timed_out};
constexpr uintptr_t kPage = 4096;

}  // namespace

void Settling::attach(Reactor& reactor, Time at) {
    reactor.attach(Source::settling, *this);
    reactor.ring().timer(kTimer, at);
}

void Settling::complete(const Completion&) {
    const auto begin = reinterpret_cast<uintptr_t>(__executable_start) & ~(kPage - 1);
    const auto end = (reinterpret_cast<uintptr_t>(etext) + kPage - 1) & ~(kPage - 1);
    // A private mapping of a file that was never written to: nothing is lost (madvise(2)).
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace sigil::loop
