#include "loop/light_sleep.h"

#include <asm/unistd.h>
#include <sys/mman.h>

#include "core/raw_syscall.h"

namespace sigil::loop {

// Calls nothing: both system calls are in here.
long LightSleep::enter(long number, long a, long b, long c, long d, long e, long f) {
    for (const std::span<const char> pages : pages_)
        raw::call(__NR_madvise, pages.data(), pages.size(), MADV_DONTNEED);
    const long result = raw::enter(number, a, b, c, d, e, f);
    pages_.clear();
    return result;
}

}  // namespace sigil::loop
