// The guest of the latency sections: `stamp FILE INDEX` writes into FILE's slot INDEX when it began
// and 10 ms later when it ends, and exits with 0. The slot's page is mapped and touched before the
// second time is taken, so that nothing but the store and the exit come after it. `stamp FILE INDEX
// stay` counts the slot's first number up by one and sleeps: how many are up, whoever started them.

#include "stamp.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "bare.h"

namespace {

using sigil::bench::kStampPage;
using sigil::bench::kStampsInPage;
using sigil::bench::Stamp;

int64_t now_ns() {
    timespec time;
    bare::call(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000L + time.tv_nsec;
}

long number(const char* text) {
    long value = 0;
    for (; *text >= '0' && *text <= '9'; ++text)
        value = value * 10 + (*text - '0');
    return value;
}

}  // namespace

extern "C" [[noreturn]] __attribute__((used)) void start(long* stack) {
    const int64_t began = now_ns();
    char** arguments = reinterpret_cast<char**>(stack + 1);
    const bool stays = stack[0] == 4;
    if (stack[0] != 3 && !stays)
        bare::exit(2);
    const long index = number(arguments[2]);
    const long file = bare::call(SYS_open, arguments[1], O_RDWR);
    if (file < 0)
        bare::exit(3);
    const long page = bare::raw_call6(SYS_mmap, 0, kStampPage, PROT_READ | PROT_WRITE, MAP_SHARED,
                                      file, index / kStampsInPage * kStampPage);
    if (page < 0)
        bare::exit(4);
    Stamp* stamp = reinterpret_cast<Stamp*>(page) + index % kStampsInPage;
    if (stays) {
        __atomic_add_fetch(&stamp->began_ns, 1, __ATOMIC_RELAXED);
        for (;;)
            bare::call(SYS_pause);
    }
    stamp->began_ns = began;
    // Its end is not to meet who still works on its start.
    const timespec pause = {0, 10'000'000};
    bare::call(SYS_nanosleep, &pause, nullptr);
    stamp->ended_ns = now_ns();
    bare::exit(0);
}

SIGIL_BARE_START
