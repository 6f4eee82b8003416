// What a raw system call has returned, as a Result: for sys.cc and sys_process.cc alone.
#pragma once

#include <errno.h>
#include <stddef.h>

#include "core/error.h"
#include "core/fd.h"
#include "core/raw_syscall.h"

namespace sigil::sys {

inline tl::unexpected<Error> failed(long result, const char* operation) {
    return tl::unexpected(Error::from_errno(static_cast<int>(-result), operation));
}

inline Result<void> nothing(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return {};
}

inline Result<size_t> count(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return static_cast<size_t>(result);
}

inline Result<Fd> descriptor(long result, const char* operation) {
    if (result < 0)
        return failed(result, operation);
    return Fd(static_cast<int>(result));
}

template <typename... Args>
long retry_interrupted(long number, Args... args) {
    long result;
    do
        result = raw::call(number, args...);
    while (result == -EINTR);
    return result;
}

}  // namespace sigil::sys
