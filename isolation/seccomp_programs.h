// The filters of one supervisor's bundles: a profile is compiled once, however many containers have
// it. In memory alone: an engine's profile is compiled in 50 us, and a file of what others have
// compiled would have to be read, compared and guarded for that.
#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "core/error.h"
#include "core/oci.h"
#include "core/seccomp_program.h"

namespace sigil::isolation {

// For any thread.
class SeccompPrograms {
  public:
    // What compile() makes of linux.seccomp.
    Result<std::shared_ptr<const SeccompProgram>> of(const Seccomp& profile);

  private:
    struct Compiled {
        Seccomp profile;
        std::shared_ptr<const SeccompProgram> program;
    };
    std::mutex mutex_;
    std::deque<Compiled> compiled_;
};

}  // namespace sigil::isolation
