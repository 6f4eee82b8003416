// The guest of the memory section: sleeps until it is killed, so that the processes around it can
// be looked at.

#include "bare.h"

extern "C" [[noreturn]] void _start() {
    for (;;)
        bare::call(SYS_pause);
}
