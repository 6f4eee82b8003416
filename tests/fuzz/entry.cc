#include <stddef.h>
#include <stdint.h>

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    sigil::fuzz::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
