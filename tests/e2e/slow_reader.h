// A pipe whose reader, the test, reads when it likes.
#pragma once

#include <string>

namespace sigil::e2e {

class SlowReader {
  public:
    SlowReader();
    ~SlowReader();
    SlowReader(const SlowReader&) = delete;
    SlowReader& operator=(const SlowReader&) = delete;

    // What a program is to write to. Closed by drain().
    [[nodiscard]] int writer() const { return write_; }
    // Leaves no room in it.
    void fill();
    // Reads to the end, which comes once no program has it; without what fill() has put there.
    std::string drain();
    // Nobody will read.
    void leave();

  private:
    int read_ = -1;
    int write_ = -1;
    size_t filled_ = 0;
};

}  // namespace sigil::e2e
