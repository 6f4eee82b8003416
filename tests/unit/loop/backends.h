// The kernel's rings, for tests that hold of each: io_uring with buffers that it shares, io_uring
// that reads after a poll as before Linux 5.19, and epoll.
#pragma once

#include <memory>
#include <ostream>

#include <gtest/gtest.h>

#include "core/try.h"
#include "loop/epoll_ring.h"
#include "loop/uring.h"

namespace sigil::loop {

struct Backend {
    const char* name;
    Result<std::unique_ptr<Ring>> (*open)(unsigned entries);
};

inline void PrintTo(const Backend& backend, std::ostream* stream) {
    *stream << backend.name;
}

inline Result<std::unique_ptr<Ring>> open_uring(unsigned entries, bool buffer_ring) {
    return TRY(UringRing::open(entries, buffer_ring));
}

inline auto backends() {
    return ::testing::Values(
        Backend{"Uring", [](unsigned entries) { return open_uring(entries, true); }},
        Backend{"UringWithOwnBuffers", [](unsigned entries) { return open_uring(entries, false); }},
        Backend{"Epoll",
                [](unsigned) -> Result<std::unique_ptr<Ring>> { return TRY(EpollRing::open()); }});
}

inline std::string name_of(const ::testing::TestParamInfo<Backend>& info) {
    return info.param.name;
}

// With a ring of the backend; skipped, with the reason, where io_uring is switched off.
class OnEachRing : public ::testing::TestWithParam<Backend> {
  protected:
    void open(unsigned entries) {
        auto opened = GetParam().open(entries);
        if (!opened)
            GTEST_SKIP() << opened.error().message();
        ring = std::move(*opened);
    }
    std::unique_ptr<loop::Ring> ring;
};

}  // namespace sigil::loop
