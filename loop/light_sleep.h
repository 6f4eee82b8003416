// A sleep that leaves as little of the program in memory as there can be.
//
// The kernel maps a page of a file with the fifteen around it (do_fault_around(), 64 KB). So a loop
// that lets go of its text, and then goes through a dozen functions to the system call that it
// sleeps in, has half a megabyte of it back before it sleeps. What is dropped here is dropped right
// before that system call.
#pragma once

#include <span>
#include <vector>

namespace sigil::loop {

class LightSleep {
  public:
    // Of a private mapping of a file, and never written to: they come back when they are touched.
    void add(std::span<const char> pages) { pages_.push_back(pages); }
    [[nodiscard]] bool is_due() const { return !pages_.empty(); }
    // Drops them (madvise(2), MADV_DONTNEED), and makes that system call. Returns what it returns:
    // -errno on failure.
    long enter(long number, long a, long b, long c, long d, long e, long f);

  private:
    std::vector<std::span<const char>> pages_;
};

}  // namespace sigil::loop
